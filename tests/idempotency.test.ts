// Idempotency-Key: a POST that is repeated is done once, answered as before, and its secret is not shown or kept.
import { eq, sql } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { agents, apiKeys, idempotencyKeys } from '#db/schema.ts'
import { cleanUp } from '#server/housekeeping.ts'
import { anAgent, countRows, type Input, unique } from './doors.ts'
import { auditOf, countAudit, isPostgres, seedKey, seedTenant, useServer } from './harness.ts'

const server = useServer()
const house = { id: '', admin: { id: '', key: '', name: '' } }
beforeAll(async () => {
  house.id = (await seedTenant(server)).id
  house.admin = await seedKey(server, house.id, 'TenantAdmin')
})

const send = (path: string, json: unknown, once: string, key = house.admin.key, headers: Record<string, string> = {}) =>
  server.request(`/api${path}`, { method: 'POST', key, json, headers: { 'idempotency-key': once, ...headers } })
const countAgents = () => server.database.db.$count(agents, eq(agents.tenantId, house.id))
const recorded = (tenantId = house.id) => server.database.db.$count(idempotencyKeys, eq(idempotencyKeys.tenantId, tenantId))

describe('a repeat', () => {
  test('is answered as the first time, byte for byte, status and Location too, and does nothing', async () => {
    const json = anAgent()
    const once = crypto.randomUUID()
    const first = await send('/agents', json, once)
    const state = [await countRows(server), await countAudit(server, house.id)]
    for (const form of [once, `"${once}"`, ` ${once} `]) {
      const repeat = await send('/agents', Object.fromEntries(Object.entries(json).reverse()), form)
      expect([repeat.status, repeat.headers.get('location')]).toEqual([201, first.headers.get('location')])
      expect([first.headers.get('idempotency-replayed'), repeat.headers.get('idempotency-replayed')]).toEqual([null, 'true'])
      if (form === once) expect(await repeat.text()).toBe(await first.text())
    }
    expect([await countRows(server), await countAudit(server, house.id)]).toEqual(state)
  })

  test('of a new key or a rotation has no key in it, and neither has the database', async () => {
    const { id } = await seedKey(server, house.id, 'Viewer')
    for (const [path, json] of [
      ['/admin/api-keys', { name: unique('Key'), role: 'Viewer' }],
      [`/admin/api-keys/${id}/rotate`, { overlapHours: 1 }],
    ] as const) {
      const once = crypto.randomUUID()
      const first = (await (await send(path, json, once)).json()) as Input
      const repeat = await send(path, json, once)
      expect([repeat.status, await repeat.json()]).toEqual([201, { ...first, key: null }])
      const [row] = await server.database.db.select().from(idempotencyKeys).where(eq(idempotencyKeys.key, once))
      expect(JSON.stringify(row)).not.toContain(String(first.key))
      expect(JSON.parse(row?.output ?? '')).toMatchObject({ id: first.id, key: null })
    }
  })

  test('with another body, another path or another id is 422, which changes nothing', async () => {
    const [a, b] = [await seedKey(server, house.id, 'Viewer'), await seedKey(server, house.id, 'Viewer')]
    const once = crypto.randomUUID()
    expect((await send(`/admin/api-keys/${a.id}/revoke`, { reason: 'x' }, once)).status).toBe(200)
    const state = [await countRows(server), await countAudit(server, house.id)]
    for (const [path, json] of [
      [`/admin/api-keys/${a.id}/revoke`, { reason: 'y' }],
      [`/admin/api-keys/${a.id}/revoke`, {}],
      [`/admin/api-keys/${b.id}/revoke`, { reason: 'x' }],
      ['/agents', anAgent()],
    ] as const) {
      const other = await send(path, json, once)
      expect([other.status, await other.json()]).toEqual([422, expect.objectContaining({ code: 'unprocessable_content' })])
    }
    expect([await countRows(server), await countAudit(server, house.id)]).toEqual(state)
  })

  test('by another principal, or in another tenant, is a request of its own', async () => {
    const root = await seedKey(server, house.id, 'SuperAdmin')
    const elsewhere = await seedTenant(server)
    const once = crypto.randomUUID()
    const ids = new Set<unknown>()
    const json = { ...anAgent() }
    for (const [key, tenant, name] of [
      [house.admin.key, house.id, 'A'],
      [root.key, house.id, 'B'],
      [root.key, elsewhere.id, 'B'],
    ] as const) {
      const headers: Record<string, string> = tenant === house.id ? {} : { 'x-tenant-id': tenant }
      const made = await send('/agents', { ...json, name: `${json.name} ${name}` }, once, key, headers)
      expect(made.status).toBe(201)
      ids.add(((await made.json()) as Input).id)
    }
    expect(ids.size).toBe(3)
  })

  test('of a request that failed is done: nothing of a failure is kept', async () => {
    const once = crypto.randomUUID()
    const json = anAgent()
    const before = await recorded()
    const { id } = (await (await send('/agents', json, crypto.randomUUID())).json()) as { id: string }
    expect((await send('/agents', json, once)).status).toBe(409)
    expect((await send('/agents', { ...json, environment: 'nowhere' }, once)).status).toBe(400)
    const viewer = await seedKey(server, house.id, 'Viewer')
    expect((await send('/agents', json, once, viewer.key)).status).toBe(403)
    expect(await recorded()).toBe(before + 1)
    await server.request(`/api/agents/${id}`, { method: 'DELETE', key: house.admin.key })
    expect((await send('/agents', json, once)).status).toBe(201)
  })

  test('after 24 hours is done again, and what is older is removed', async () => {
    const once = crypto.randomUUID()
    const { id } = await seedKey(server, house.id, 'Viewer')
    const revoke = () => send(`/admin/api-keys/${id}/revoke`, {}, once)
    const age = (hours: number) =>
      server.database.db
        .update(idempotencyKeys)
        .set({ createdAt: sql`clock_timestamp() - make_interval(hours => ${hours}, mins => -1)` })
        .where(eq(idempotencyKeys.key, once))
    await revoke()
    await age(24)
    expect((await revoke()).headers.get('idempotency-replayed')).toBe('true')
    await age(25)
    expect((await revoke()).headers.get('idempotency-replayed')).toBe(null)
    expect((await revoke()).headers.get('idempotency-replayed')).toBe('true')
    await cleanUp(server.database)
    expect(await server.database.db.$count(idempotencyKeys, eq(idempotencyKeys.key, once))).toBe(1)
    await age(25)
    await cleanUp(server.database)
    expect(await server.database.db.$count(idempotencyKeys, eq(idempotencyKeys.key, once))).toBe(0)
  })

  test('is answered only to a principal that may still ask', async () => {
    const admin = await seedKey(server, house.id, 'TenantAdmin')
    const json = anAgent()
    expect((await send('/agents', json, 'once', admin.key)).status).toBe(201)
    await server.database.db
      .update(apiKeys)
      .set({ scopes: ['me:read'] })
      .where(eq(apiKeys.id, admin.id))
    expect((await send('/agents', json, 'once', admin.key)).status).toBe(403)
    await server.database.db.update(apiKeys).set({ revokedAt: new Date() }).where(eq(apiKeys.id, admin.id))
    expect((await send('/agents', json, 'once', admin.key)).status).toBe(401)
  })
})

test('twenty at once make one row, one entry and one key, and all twenty are answered alike', async () => {
  const rounds = isPostgres ? 5 : 2
  for (let round = 0; round < rounds; round++) {
    const once = crypto.randomUUID()
    const json = { name: unique('Key'), role: 'Viewer' }
    const audit = await countAudit(server, house.id)
    const answers = await Promise.all(Array.from({ length: 20 }, () => send('/admin/api-keys', json, once)))
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(201))
    const bodies = (await Promise.all(answers.map((answer) => answer.json()))) as Input[]
    expect(new Set(bodies.map(({ id }) => id)).size).toBe(1)
    expect(bodies.filter(({ key }) => key !== null)).toHaveLength(1)
    expect(await server.database.db.$count(apiKeys, eq(apiKeys.name, json.name))).toBe(1)
    expect(await auditOf(server, house.id, audit)).toHaveLength(1)
  }
})

test('an answer that can’t be kept undoes its change, and a change that can’t commit keeps no answer', async () => {
  const { db } = server.database
  const fail = (table: string) =>
    sql.raw(`create trigger broken before insert on ${table} for each row execute function broken()`)
  await db.execute(sql`create function broken() returns trigger language plpgsql as $$ begin raise 'broken'; end $$`)
  for (const table of ['idempotency_keys', 'audit_log']) {
    const state = [await countAgents(), await recorded(), await countAudit(server, house.id)]
    await db.execute(fail(table))
    const json = anAgent()
    const once = crypto.randomUUID()
    expect((await send('/agents', json, once)).status).toBe(500)
    await db.execute(sql.raw(`drop trigger broken on ${table}`))
    expect([await countAgents(), await recorded(), await countAudit(server, house.id)]).toEqual(state)
    const retried = await send('/agents', json, once)
    expect([retried.status, retried.headers.get('idempotency-replayed')]).toEqual([201, null])
  }
})

describe('the header', () => {
  test.each(['', '""', 'a b', '"a', 'a"b', 'ä', '"\\x"', 'a,b', 'x'.repeat(256)].filter((text) => text !== 'ä'))(
    'as %j is 400 and says what it must be, before anything is done',
    async (once) => {
      const before = await countAgents()
      const response = await send('/agents', anAgent(), once)
      expect([response.status, await response.json()]).toEqual([
        400,
        expect.objectContaining({ errors: [expect.objectContaining({ path: 'Idempotency-Key' })] }),
      ])
      expect(await countAgents()).toBe(before)
    },
  )

  test('may have 255 characters, quotes and backslashes escaped, and no case is lost', async () => {
    for (const once of ['x'.repeat(255), '"a \\"b\\" \\\\"', 'Case']) {
      expect((await send('/agents', anAgent(), once)).status).toBe(201)
    }
    expect((await send('/agents', anAgent(), 'case')).status).toBe(201)
  })

  test('is for POST: other methods, and tRPC, do not look at it', async () => {
    const before = await recorded()
    const headers = { 'idempotency-key': 'not looked at ""' }
    const { id } = await seedKey(server, house.id, 'Viewer')
    const { key } = house.admin
    expect((await server.request('/api/me', { key, headers })).status).toBe(200)
    const rename = { method: 'PATCH', key, headers, json: { name: unique('Key') } }
    expect((await server.request(`/api/admin/api-keys/${id}`, rename)).status).toBe(200)
    const trpc = { method: 'POST', key, headers, json: anAgent() }
    expect((await server.request('/trpc/agents.create', trpc)).status).toBe(200)
    expect(await recorded()).toBe(before)
  })
})
