// Reads run outside a transaction, on connections whose tenant the look-up sets: none may see another request's tenant.

import { eq, sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type Database, openDatabase, type Tx } from '#db/client.ts'
import { agents, tenants } from '#db/schema.ts'
import { generateApiKey } from '#server/api-key.ts'
import { asSuperuser, sleep, startChildServer } from './child-server.ts'
import { anAgent } from './doors.ts'
import {
  auditOf,
  createTestDatabase,
  isPostgres,
  seedAgent,
  seedKey,
  seedTenant,
  seedUser,
  startTestServer,
  type TestServer,
} from './harness.ts'
import { startRelay } from './relay.ts'

describe('requests of many tenants at once', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer()
  })
  afterAll(() => server.stop())

  test('each see the rows of their own tenant and nothing else, 1,200 requests over the same connections', async () => {
    const houses = await Promise.all(
      Array.from({ length: 12 }, async () => {
        const tenant = await seedTenant(server)
        const names = [await seedAgent(server, tenant.id), await seedAgent(server, tenant.id)].map(({ name }) => name).sort()
        return { names, tenant, key: (await seedKey(server, tenant.id, 'Viewer')).key }
      }),
    )
    const unknown = generateApiKey().key
    const ask = async (n: number) => {
      const house = houses[n % houses.length]
      // Between them, what sets no tenant or fails.
      if (n % 7 === 0) expect((await server.request('/api/agents', { key: unknown })).status).toBe(401)
      if (n % 11 === 0) expect((await server.request('/api/agents?cursor=x', { key: house?.key ?? '' })).status).toBe(400)
      const response = await server.request(n % 2 ? '/api/agents' : '/trpc/agents.list?input=%7B%7D', { key: house?.key ?? '' })
      const body = await response.json()
      const { items } = (n % 2 ? body : body.result.data) as { items: { name: string }[] }
      expect(items.map(({ name }) => name).sort()).toEqual(house?.names)
    }
    for (let round = 0; round < 20; round++) await Promise.all(Array.from({ length: 60 }, (_, i) => ask(round * 60 + i)))
  })

  test('a SuperAdmin who reads another tenant leaves nothing of it to the next request', async () => {
    const [home, other] = [await seedTenant(server), await seedTenant(server)]
    await seedAgent(server, other.id)
    const { key: admin } = await seedKey(server, home.id, 'SuperAdmin')
    const { key: viewer } = await seedKey(server, home.id, 'Viewer')
    for (let i = 0; i < 30; i++) {
      const there = await server.request('/api/agents', { key: admin, headers: { 'x-tenant-id': other.id } })
      expect((await there.json()).items).toHaveLength(1)
      for (const key of [admin, viewer]) expect((await (await server.request('/api/agents', { key })).json()).items).toEqual([])
    }
  })
})

const onPostgres = isPostgres ? describe : () => {}
const testOnPostgres = isPostgres ? test : () => {}

onPostgres('a reader of PostgreSQL', () => {
  const roleOf = sql<string>`current_user`
  const setTenant = (id: string) => sql<string>`set_config('mate.tenant_id', ${id}, false)`
  const once = sql`(select) as once`

  test('is mate_app from its start, and stays so', async () => {
    const { database } = await createTestDatabase()
    onTestFinished(() => database.close())
    const seen = await database.read(async (tx, span) => {
      const [before] = await tx.select({ role: roleOf }).from(once)
      await tx.execute(sql`reset role`)
      const [after] = await tx.select({ role: roleOf }).from(once)
      return { span, before, after }
    })
    expect(seen).toEqual({ span: 'session', before: { role: 'mate_app' }, after: { role: 'mate_app' } })
  })

  test('whose connection is lost between the look-up and the read fails, and answers no empty list', async () => {
    const { database } = await createTestDatabase()
    onTestFinished(() => database.close())
    const tenant = await seedTenant({ database })
    await seedAgent({ database }, tenant.id)
    const read = (cut: boolean) =>
      database.read(async (tx) => {
        const [row] = await tx.select({ pid: sql<number>`pg_backend_pid()`, tenant: setTenant(tenant.id) }).from(once)
        if (cut) {
          await asSuperuser((admin) => admin`select pg_terminate_backend(${row?.pid ?? 0}::int, 5000)`)
          await new Promise((resolve) => setTimeout(resolve, 200))
        }
        return tx.select({ id: agents.id }).from(agents)
      })
    expect(await read(false)).toHaveLength(1)
    await expect(read(true)).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' })
    expect(await read(false)).toHaveLength(1)
  })

  test.each([
    ['and a changer', 2, 1],
    ['and a writer', 3, 2],
  ] as const)(
    '%s begin nothing that was given up while the database was frozen: a long queue is gone at once',
    async (_, connections, begunAtOnce) => {
      const { database: direct, url = '' } = await createTestDatabase()
      const relay = await startRelay(url)
      const database = await openDatabase({ url: relay.url, maxConnections: connections })
      onTestFinished(async () => {
        relay.thaw()
        await database.close()
        await direct.close()
        relay.close()
      })
      let begun = 0
      const work = async (tx: Tx) => {
        begun++
        return tx.select({ role: roleOf }).from(once)
      }
      await Promise.all([database.read(work), database.transaction(work)])
      expect(begun).toBe(2)

      relay.freeze()
      const given = Array.from({ length: 50 }, (_, i) => (i % 2 ? database.read(work) : database.transaction(work)))
      for (const { status } of await Promise.allSettled(given)) expect(status).toBe('rejected')
      const begunWhileFrozen = begun
      relay.thaw()
      await Promise.all([database.read(work), database.transaction(work)])
      // Of the fifty only those that had a connection in hand: a changer begins when BEGIN was answered, a writer before.
      expect({ begunWhileFrozen, begun }).toEqual({ begunWhileFrozen: 2 + begunAtOnce, begun: 4 + begunAtOnce })
    },
  )

  test('of changes, cut off in the middle, commits nothing, and what comes after runs in no transaction of its own', async () => {
    const { database: direct, url = '' } = await createTestDatabase()
    const relay = await startRelay(url)
    const database = await openDatabase({ url: relay.url, maxConnections: 3 })
    onTestFinished(async () => {
      await database.close()
      await direct.close()
      relay.close()
    })
    const names = async () => (await direct.db.select({ name: tenants.name }).from(tenants)).map(({ name }) => name)
    await database.transaction(async (tx) => tx.insert(tenants).values({ name: 'kept' }))
    const cut = database.transaction(async (tx) => {
      await tx.insert(tenants).values({ name: 'first half' })
      relay.cut()
      await sleep(300)
      await tx.insert(tenants).values({ name: 'second half' })
    })
    await expect(cut).rejects.toThrow()
    const cutAtCommit = database.transaction(async (tx, runLast) => {
      await tx.insert(tenants).values({ name: 'before the last' })
      runLast(async () => {
        const last = tx.insert(tenants).values({ name: 'last' }).execute()
        relay.cut()
        await last
      })
    })
    await expect(cutAtCommit).rejects.toThrow()
    const failsLast = database.transaction(async (tx, runLast) => {
      await tx.insert(tenants).values({ name: 'before what fails' })
      runLast(async () => tx.insert(tenants).values({ id: 'no uuid', name: 'fails' }))
    })
    await expect(failsLast).rejects.toThrow('Failed query')
    const swallowed = database.transaction(async (tx) => {
      await tx
        .insert(tenants)
        .values({ id: 'no uuid', name: 'fails' })
        .catch(() => {})
    })
    await expect(swallowed).rejects.toThrow('rolled back')
    await database.transaction(async (tx) => tx.insert(tenants).values({ name: 'after' }))
    expect(await names()).toEqual(['kept', 'after'])
  })

  test('is not used behind a pooler: the reads are transactions then, and no session keeps a statement', async () => {
    const { database: direct, url = '' } = await createTestDatabase()
    onTestFinished(() => direct.close())
    const pooler = await startRelay(url, { isPooler: true })
    onTestFinished(() => pooler.close())
    const database = await openDatabase({ url: pooler.url, maxConnections: 4 })
    onTestFinished(() => database.close())
    for (let i = 0; i < 3; i++) {
      expect(await database.read(async (_, span) => span)).toBe('transaction')
    }
    const tenant = await seedTenant({ database })
    const countStatements = (of: Database) =>
      of.read(async (tx, span) => {
        await tx.select({ id: agents.id }).from(agents).where(eq(agents.tenantId, tenant.id))
        const [row] = await tx.select({ count: sql<number>`count(*)::int` }).from(sql`pg_prepared_statements`)
        return { span, hasSome: (row?.count ?? 0) > 0 }
      })
    expect(await countStatements(database)).toEqual({ span: 'transaction', hasSome: false })
    expect(await direct.read(async (_, span) => span)).toBe('session')
  })
})

testOnPostgres('connections that end as soon as they are let in fail the requests, and not the process', async () => {
  const { database: direct, url = '' } = await createTestDatabase()
  const relay = await startRelay(url)
  const uncaught: unknown[] = []
  const note = (error: unknown) => uncaught.push(error)
  process.on('unhandledRejection', note)
  const database = await openDatabase({ url: relay.url, maxConnections: 4 })
  onTestFinished(async () => {
    process.off('unhandledRejection', note)
    await database.close()
    await direct.close()
    relay.close()
  })
  relay.cutNew()
  const work = async (tx: Tx) => tx.select({ role: sql<string>`current_user` }).from(sql`(select) as once`)
  const given = Array.from({ length: 8 }, (_, i) => (i % 2 ? database.read(work) : database.transaction(work)))
  for (const { status } of await Promise.allSettled(given)) expect(status).toBe('rejected')
  await new Promise((resolve) => setTimeout(resolve, 0))
  expect(uncaught).toEqual([])
})

testOnPostgres('of several hosts in DATABASE_URL neither one that is down is used nor a replica, but the primary', async () => {
  const { database: direct, url = '' } = await createTestDatabase()
  const replica = await startRelay(url, { isReplica: true })
  const through = new URL(url)
  const hosts = ['127.0.0.1:1', new URL(replica.url).host, `${through.hostname}:${through.port || 5432}`]
  const database = await openDatabase({ url: url.replace(through.host, hosts.join(',')), maxConnections: 4 })
  onTestFinished(async () => {
    await database.close()
    await direct.close()
    replica.close()
  })
  const tenant = await seedTenant({ database })
  const work = async (tx: Tx) => tx.select({ role: sql<string>`current_user` }).from(sql`(select) as once`)
  const given = Array.from({ length: 16 }, (_, i) => (i % 2 ? database.read(work) : database.transaction(work)))
  expect(await Promise.all(given)).toHaveLength(16)
  expect(await seedAgent({ database: direct }, tenant.id)).toBeDefined()
})

// A database that takes connections and answers nothing. The embedded one is in the process: it can't freeze by itself.
testOnPostgres(
  'while the database is frozen every door answers 503 within 2 seconds; 5 seconds after it is back all is well',
  async () => {
    const { database: direct, url = '' } = await createTestDatabase()
    const relay = await startRelay(url)
    const server = await startTestServer({}, await openDatabase({ url: relay.url, maxConnections: 6 }))
    onTestFinished(async () => {
      relay.thaw()
      await server.stop()
      await direct.close()
      relay.close()
    })
    const tenant = await seedTenant(server)
    const { key } = await seedKey(server, tenant.id, 'TenantAdmin')
    const { cookie } = await seedUser(server, tenant.id, 'TenantAdmin')
    const askAll = () => {
      const requests = [
        ['/health/ready', {}],
        ['/api/agents', { key }],
        ['/trpc/agents.list?input=%7B%7D', { key }],
        ['/api/agents', { key, method: 'POST', json: anAgent() }],
        ['/api-keys', { headers: { cookie } }],
      ] as const
      return Promise.all(
        requests.map(async ([path, options]) => {
          const from = performance.now()
          const { status } = await server.request(path, options)
          return { path, status, isInTime: performance.now() - from < 2_000 }
        }),
      )
    }
    const statusesNow = async () => (await askAll()).map(({ status }) => status)
    const well = [200, 200, 200, 201, 200]
    expect(await statusesNow()).toEqual(well)

    relay.freeze()
    // More at once than there are connections, and again once all of those are stuck.
    for (const answers of [await Promise.all([1, 2, 3, 4].map(askAll)), [await askAll()]]) {
      for (const answer of answers.flat()) expect(answer).toEqual({ path: answer.path, status: 503, isInTime: true })
    }
    expect((await server.request('/health/live')).status).toBe(200)

    relay.thaw()
    const from = performance.now()
    while (JSON.stringify(await statusesNow()) !== JSON.stringify(well)) expect(performance.now() - from).toBeLessThan(5_000)
    const rows = await direct.db.select({ id: agents.id }).from(agents).where(eq(agents.tenantId, tenant.id))
    const entries = (await auditOf(server, tenant.id)).filter(({ action }) => action === 'agent.created')
    expect(entries.map(({ entityId }) => entityId).sort()).toEqual(rows.map(({ id }) => id).sort())
  },
)

testOnPostgres('what a frozen database holds up in a page is named in the log, by the operation that waited', async () => {
  const { database: direct, url = '' } = await createTestDatabase()
  const relay = await startRelay(url)
  const server = await startChildServer({ DATABASE_URL: relay.url })
  onTestFinished(async () => {
    relay.thaw()
    await server.kill('SIGTERM')
    await direct.close()
    relay.close()
  })
  relay.freeze()
  const form = new URLSearchParams({ email: 'ada@example.com', password: 'a-long-pass-phrase' })
  const asked = [
    ['/sign-in', { method: 'POST', body: form, headers: { origin: server.url } }, 'sign in'],
    ['/sign-in', {}, 'sign in'],
    ['/setup?token=unknown', {}, 'set up'],
    ['/invitation?token=unknown', {}, 'invitation'],
  ] as const
  for (const [path, options, operation] of asked) {
    const response = await server.request(path, options)
    expect({ path, status: response.status }).toEqual({ path, status: 503 })
    const requestId = response.headers.get('x-request-id')
    const lines = server.output.stderr.split('\n').filter((line) => line.includes(`"requestId":"${requestId}"`))
    expect(lines.map((line) => JSON.parse(line).operation)).toEqual([operation])
  }
})
