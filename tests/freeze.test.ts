// Freeze: once it has answered, nothing that a key of the tenant asked for can commit, on any node; and it can be undone.
import { and, eq } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Database } from '#db/client.ts'
import { agents, auditLog, tenants } from '#db/schema.ts'
import { type Role, roles } from '#server/roles.ts'
import { type ChildServer, sleep, startChildServer } from './child-server.ts'
import { callRest, callTrpc, openPageDoor, operations, unique } from './doors.ts'
import {
  auditOf,
  countAudit,
  createTestDatabase,
  isPostgres,
  postForm,
  type SeededKey,
  seedKey,
  seedTenant,
  seedUser,
  slowCommits,
  startTestServer,
  type TestServer,
  withoutScripts,
} from './harness.ts'

const rounds = isPostgres ? 60 : 5
const workers = 12

type Node = Pick<TestServer, 'request'>
const nodes: Node[] = []
const stops: (() => Promise<unknown>)[] = []
let database: Database
let server: TestServer

beforeAll(async () => {
  const made = await createTestDatabase()
  database = made.database
  server = await startTestServer({}, database)
  await slowCommits(database, [agents])
  if (made.url) {
    const settings = { DATABASE_URL: made.url, MATE_DB_CONNECTIONS: '10' }
    const children: ChildServer[] = await Promise.all([startChildServer(settings), startChildServer(settings)])
    nodes.push(...children)
    stops.push(...children.map((child) => () => child.kill('SIGTERM')))
  } else nodes.push(server, server)
  stops.push(() => server.stop())
})

afterAll(async () => {
  for (const stop of stops) await stop()
})

const nodeOf = (i: number) => nodes[i % nodes.length] as Node
const operation = (name: string) => {
  const found = operations.find((each) => each.name === name)
  if (!found) throw new Error(`there is no ${name}`)
  return found
}
const [freeze, unfreeze] = [operation('apiKeys.freeze'), operation('apiKeys.unfreeze')]
const countAgents = (tenantId: string) => database.db.$count(agents, eq(agents.tenantId, tenantId))
const countEntries = (tenantId: string, action: string) =>
  database.db.$count(auditLog, and(eq(auditLog.tenantId, tenantId), eq(auditLog.action, action)))
const statusOf = async ({ key }: SeededKey, i = 0) => (await nodeOf(i).request('/api/me', { key })).status

/** Writes, or reads, until the key is refused; what each answer was. */
async function workUntilFrozen(worker: number, { key }: SeededKey, prefix: string): Promise<number> {
  for (let done = 0; ; done++) {
    const connector = { type: 'http', url: 'https://agent.example.com/' }
    const write = { method: 'POST', json: { name: `${prefix}-${worker}-${done}`, environment: 'test', connector } }
    const response = await nodeOf(worker).request('/api/agents', { key, ...(worker % 4 === 3 ? {} : write) })
    await response.arrayBuffer()
    if (response.status === 403) return done
    expect(response.status).toBe(worker % 4 === 3 ? 200 : 201)
  }
}

test(`${workers} workers with 3 keys on two nodes, ${rounds} rounds: not one late commit, and every read after it is refused`, {
  timeout: 300_000,
}, async () => {
  let total = 0
  for (let round = 0; round < rounds; round++) {
    const tenant = await seedTenant({ database })
    const admin = await seedKey({ database }, tenant.id, 'TenantAdmin')
    const keys = [0, 1, 2].map(() => seedKey({ database }, tenant.id, 'TenantAdmin'))
    const victims = await Promise.all(keys)
    const working = Promise.all(
      Array.from({ length: workers }, (_, i) => workUntilFrozen(i, victims[i % 3] as SeededKey, `freeze ${round}`)),
    )
    await sleep(15 + 25 * Math.random())
    const response = await nodeOf(round).request('/api/admin/api-keys/freeze', { method: 'POST', key: admin.key })
    const atAnswer = await countAgents(tenant.id)
    const after = await Promise.all(victims.map((key, i) => statusOf(key, i)))
    expect(response.status).toBe(200)
    expect(after).toEqual([403, 403, 403])
    await working
    expect((await countAgents(tenant.id)) - atAnswer).toBe(0)
    expect(await countEntries(tenant.id, 'agent.created')).toBe(atAnswer)
    expect(await countEntries(tenant.id, 'tenant.keys_frozen')).toBe(1)
    total += atAnswer
  }
  expect(total).toBeGreaterThan(rounds)
})

test('eight workers that freeze a tenant again and again, while it is unfrozen behind them, never meet a 5xx', async () => {
  const tenant = await seedTenant({ database })
  const keys = await Promise.all(Array.from({ length: 8 }, () => seedKey({ database }, tenant.id, 'TenantAdmin')))
  const work = async ({ key }: { key: string }, worker: number) => {
    const seen: number[] = []
    for (let i = 0; i < 12; i++) {
      await database.db.update(tenants).set({ keysFrozenAt: null }).where(eq(tenants.id, tenant.id))
      const path = i % 2 === 0 ? 'freeze' : 'unfreeze'
      const response = await nodeOf(worker + i).request(`/api/admin/api-keys/${path}`, { method: 'POST', key })
      await response.arrayBuffer()
      seen.push(response.status)
    }
    return seen
  }
  const seen = new Set((await Promise.all(keys.map(work))).flat())
  expect([...seen].filter((status) => status >= 500)).toEqual([])
  expect(seen).toContain(200)
})

test('twelve keys of a tenant that freeze it at once are each answered within 5 seconds, and it is frozen once', async () => {
  for (let round = 0; round < 4; round++) {
    const tenant = await seedTenant({ database })
    const keys = await Promise.all(Array.from({ length: 12 }, () => seedKey({ database }, tenant.id, 'TenantAdmin')))
    const from = Date.now()
    const answers = await Promise.all(
      keys.map(({ key }, i) => nodeOf(i).request('/api/admin/api-keys/freeze', { method: 'POST', key })),
    )
    expect(Date.now() - from).toBeLessThan(5_000)
    const statuses = answers.map(({ status }) => status)
    expect(statuses).toContain(200)
    expect(statuses.every((status) => status === 200 || status === 403)).toBe(true)
    expect(await countEntries(tenant.id, 'tenant.keys_frozen')).toBe(1)
  }
})

describe('while frozen', () => {
  const frozen = async () => {
    const tenant = await seedTenant(server)
    const admin = await seedKey(server, tenant.id, 'TenantAdmin')
    const response = await callRest(server, freeze, { reason: 'a stolen laptop' }, admin)
    return { tenant, admin, response }
  }

  test('every key is 403 and told why, those that have ended stay 401, and other tenants’ keys work', async () => {
    const { tenant, admin, response } = await frozen()
    expect(response.output).toMatchObject({ frozenBy: admin.name, frozenReason: 'a stolen laptop' })
    expect(response.output.notice).toContain('this one too')
    for (const role of roles) {
      const { key } = await seedKey(server, tenant.id, role)
      const refused = await server.request('/api/agents', { key })
      expect([refused.status, await refused.json()]).toEqual([
        403,
        expect.objectContaining({ detail: expect.stringContaining('frozen') }),
      ])
    }
    const revoked = await seedKey(server, tenant.id, 'Viewer', { revokedAt: new Date() })
    const expired = await seedKey(server, tenant.id, 'Viewer', { expiresAt: new Date() })
    expect([await statusOf(revoked), await statusOf(expired)]).toEqual([401, 401])
    expect(await statusOf(await seedKey(server, (await seedTenant(server)).id, 'Viewer'))).toBe(200)
    const reasons = (await auditOf(server, tenant.id)).filter(({ action }) => action === 'api_key.refused')
    expect(reasons.length).toBeGreaterThanOrEqual(roles.length)
  })

  test.each([
    ['REST', callRest],
    ['tRPC', callTrpc],
  ] as const)('no key of the tenant unfreezes it, whatever its role; a SuperAdmin’s of another does, by %s', async (_, call) => {
    const { tenant } = await frozen()
    for (const role of roles) {
      const own = await seedKey(server, tenant.id, role)
      expect((await call(server, unfreeze, {}, own)).status).toBe(403)
    }
    const elsewhere = await seedTenant(server)
    const there = { 'x-tenant-id': tenant.id }
    const admin = await seedKey(server, elsewhere.id, 'TenantAdmin')
    expect((await call(server, unfreeze, {}, { ...admin, headers: there })).status).toBe(403)
    const viewer = await seedKey(server, tenant.id, 'Viewer')
    expect(await statusOf(viewer)).toBe(403)
    const root = await seedKey(server, elsewhere.id, 'SuperAdmin')
    expect((await call(server, unfreeze, { reason: 'found' }, { ...root, headers: there })).output).toMatchObject({
      frozenAt: null,
    })
    expect(await statusOf(viewer)).toBe(200)
    expect((await auditOf(server, tenant.id)).at(-1)).toMatchObject({
      action: 'tenant.keys_unfrozen',
      actorId: root.id,
      entityType: 'tenant',
      entityId: tenant.id,
      details: { reason: 'found' },
    })
  })

  test.each(roles)('a %s may unfreeze on the page exactly when they are an admin', async (role: Role) => {
    const { tenant } = await frozen()
    const user = await seedUser(server, tenant.id, role)
    const viewer = await seedKey(server, tenant.id, 'Viewer')
    const page = await openPageDoor(server)
    const isAdmin = roles.indexOf(role) >= roles.indexOf('TenantAdmin')
    expect((await page(unfreeze, {}, user.cookie)).status).toBe(isAdmin ? 200 : 403)
    expect(await statusOf(viewer)).toBe(isAdmin ? 200 : 403)
  })

  test('a second freeze, and an unfreeze of what works, are 200 and change nothing', async () => {
    const { tenant } = await frozen()
    const { cookie } = await seedUser(server, tenant.id, 'TenantAdmin')
    const page = await openPageDoor(server)
    const state = async () => [
      await countAudit(server, tenant.id),
      await database.db.select().from(tenants).where(eq(tenants.id, tenant.id)),
    ]
    const before = await state()
    expect((await page(freeze, { reason: 'another' }, cookie)).status).toBe(200)
    expect(await state()).toEqual(before)
    await page(unfreeze, {}, cookie)
    const thawed = await state()
    expect((await page(unfreeze, {}, cookie)).status).toBe(200)
    expect(await state()).toEqual(thawed)
  })

  test('the page says so, and undoes it with JavaScript off', async () => {
    const { tenant } = await frozen()
    const { cookie } = await seedUser(server, tenant.id, 'TenantAdmin')
    const viewer = await seedKey(server, tenant.id, 'Viewer')
    const shown = async () => withoutScripts(await (await server.request('/api-keys', { headers: { cookie } })).text())
    expect(await shown()).toContain('All API keys are frozen')
    expect(await shown()).toContain('a stolen laptop')
    // Once, and not again as a notice below.
    expect(await shown()).not.toContain('All keys were frozen')
    expect((await postForm(server, '/api-keys/freeze', cookie, { intent: 'unfreeze' })).status).toBe(302)
    expect(await shown()).not.toContain('All API keys are frozen')
    expect(await shown()).toMatch(/The keys work again.*All keys were frozen/s)
    expect(await statusOf(viewer)).toBe(200)
    expect((await postForm(server, '/api-keys/freeze', cookie, { intent: 'freeze', reason: unique('Why') })).status).toBe(302)
    expect(await statusOf(viewer)).toBe(403)
    expect(await shown()).not.toContain('The keys work again')
  })
})
