// Quotas: what a tenant may have at most, exactly, whoever asks at the same moment.
import { eq, sql } from 'drizzle-orm'
import { beforeEach, describe, expect, test } from 'vitest'
import { agents, deletedRuns, runs, tenants } from '#db/schema.ts'
import { type Quota, requireQuota } from '#server/quotas.ts'
import { anAgent, aSuite, type Input, unique } from './doors.ts'
import { countAudit, type SeededKey, seedAgent, seedKey, seedTenant, seedUser, useServer } from './harness.ts'
import { seedRun, seedSuite } from './run-seeds.ts'

const server = useServer()
const house = { id: '', admin: {} as SeededKey, root: {} as SeededKey }

beforeEach(async () => {
  house.id = (await seedTenant(server)).id
  house.admin = await seedKey(server, house.id, 'TenantAdmin')
  house.root = await seedKey(server, (await seedTenant(server)).id, 'SuperAdmin')
})

async function ask(method: string, path: string, json?: unknown, key = house.admin.key) {
  const response = await server.request(`/api${path}`, { method, key, json })
  const text = await response.text()
  const body: Input = text === '' ? {} : JSON.parse(text)
  return { status: response.status, headers: response.headers, body }
}
const setQuotas = async (quotas: Partial<Record<Quota, number | null>>) =>
  expect((await ask('PATCH', `/admin/tenants/${house.id}`, quotas, house.root.key)).status).toBe(200)
const post = (path: string, json: unknown) => ask('POST', path, json)

/** Whoever makes one more of each. */
const makers = {
  maxAgents: async () => post('/agents', anAgent()),
  maxTestSuites: async () => post('/testsuites', aSuite()),
  maxApiKeys: async () => post('/admin/api-keys', { name: unique('Key'), role: 'Viewer' }),
  maxRunsPerMonth: async () => {
    const suite = await seedSuite(server, house.id)
    const agent = await seedAgent(server, house.id)
    return post('/runs', { suiteId: suite.id, agentId: agent.id })
  },
}

describe.each(Object.entries(makers) as [keyof typeof makers, (typeof makers)[keyof typeof makers]][])('%s', (quota, make) => {
  test('is a 429 that names it and no wait, changes nothing, and is gone with the quota', async () => {
    // The admin's own key counts.
    const others = quota === 'maxApiKeys' ? 1 : 0
    await setQuotas({ [quota]: 2 + others })
    for (let i = 0; i < 2; i++) expect((await make()).status).toBeLessThan(300)
    const audit = await countAudit(server, house.id)
    const { status, headers, body } = await make()
    expect([status, headers.get('retry-after'), headers.get('content-type')]).toEqual([429, null, 'application/problem+json'])
    expect(body).toMatchObject({
      type: 'urn:mate:problem:quota_exceeded',
      title: 'Quota exceeded',
      code: 'quota_exceeded',
      quota,
    })
    const count = 2 + others
    expect(body.detail).toMatch(
      new RegExp(`^The tenant has ${count} of ${count} [a-zA-Z ]+ \\(quota ${quota}\\)\\. .+ a SuperAdmin`),
    )
    expect(await countAudit(server, house.id)).toBe(audit)
    const { body: usage } = await ask('GET', '/tenant')
    expect([usage[quota], (usage.used as Input)[quota]]).toEqual([count, count])
    await setQuotas({ [quota]: null })
    expect((await make()).status).toBeLessThan(300)
  })

  test('is not exceeded by eight at once', async () => {
    const others = quota === 'maxApiKeys' ? 1 : 0
    await setQuotas({ [quota]: 3 + others })
    const statuses = await Promise.all(Array.from({ length: 8 }, async () => (await make()).status))
    expect(statuses.filter((status) => status < 300).length).toBe(3)
    expect(statuses.filter((status) => status === 429).length).toBe(5)
    expect(((await ask('GET', '/tenant')).body.used as Input)[quota]).toBe(3 + others)
  })
})

describe('what counts', () => {
  test('of agents and suites is every one, and a place is free once one is deleted', async () => {
    await setQuotas({ maxAgents: 1 })
    const { body } = await makers.maxAgents()
    expect((await makers.maxAgents()).status).toBe(429)
    expect((await ask('DELETE', `/agents/${body.id}`)).status).toBe(204)
    expect((await makers.maxAgents()).status).toBe(201)
  })

  test('of keys is what is active: not what is revoked or expired; a rotation takes its key’s place, also when it is full', async () => {
    await seedKey(server, house.id, 'Viewer', { expiresAt: new Date(Date.now() - 1_000) })
    await seedKey(server, house.id, 'Viewer', { revokedAt: new Date() })
    await setQuotas({ maxApiKeys: 2 })
    const { body } = await makers.maxApiKeys()
    expect((await makers.maxApiKeys()).status).toBe(429)
    const rotated = await post(`/admin/api-keys/${body.id}/rotate`, { overlapHours: 24 })
    expect(rotated.status).toBe(201)
    expect(((await ask('GET', '/tenant')).body.used as Input).maxApiKeys).toBe(2)
    expect((await makers.maxApiKeys()).status).toBe(429)
    // An expired key has no place that its successor could take.
    const { id } = await seedKey(server, house.id, 'Viewer', { expiresAt: new Date(Date.now() - 1_000) })
    expect((await post(`/admin/api-keys/${id}/rotate`, {})).body.code).toBe('quota_exceeded')
    expect((await post(`/admin/api-keys/${rotated.body.id}/revoke`, {})).status).toBe(200)
    expect((await post(`/admin/api-keys/${id}/rotate`, {})).status).toBe(201)
  })

  test('of runs is those of this month in UTC, deleted ones too', async () => {
    await setQuotas({ maxRunsPerMonth: 2 })
    const now = new Date()
    const lastMonth = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1) - 1)
    const old = await seedRun(server, house.id, { createdAt: lastMonth })
    const first = await seedRun(server, house.id, { createdAt: new Date(lastMonth.getTime() + 1) })
    expect((await makers.maxRunsPerMonth()).status).toBe(202)
    for (const { id } of [old, first]) expect((await ask('DELETE', `/runs/${id}`)).status).toBe(204)
    expect(await server.database.db.$count(runs, eq(runs.tenantId, house.id))).toBe(1)
    const refused = await makers.maxRunsPerMonth()
    expect([refused.status, refused.body.detail]).toEqual([429, expect.stringContaining('2 of 2 runs this month')])
    // Next month none of it counts.
    await server.database.db.update(deletedRuns).set({ month: sql`month - interval '1 month'` })
    expect((await makers.maxRunsPerMonth()).status).toBe(202)
  })

  test('of users is those who are active', async () => {
    await setQuotas({ maxUsers: 1 })
    const require = () =>
      server.database.transaction(async (tx) => {
        await requireQuota(tx, house.id, 'maxUsers')
      })
    await require()
    const { id } = await seedUser(server, house.id, 'Viewer')
    await expect(require()).rejects.toThrow('The tenant has 1 of 1 active users (quota maxUsers). Deactivate or remove one, or')
    await server.database.db.execute(sql`update users set is_active = false where id = ${id}`)
    await require()
  })

  test('is another tenant’s own', async () => {
    const other = await seedTenant(server)
    await seedAgent(server, other.id)
    await setQuotas({ maxAgents: 1 })
    expect((await makers.maxAgents()).status).toBe(201)
  })
})

test('a quota below what is used ends nothing, and 0 lets nothing be made', async () => {
  for (let i = 0; i < 3; i++) await seedAgent(server, house.id)
  await setQuotas({ maxAgents: 2, maxTestSuites: 0 })
  expect(await server.database.db.$count(agents, eq(agents.tenantId, house.id))).toBe(3)
  expect((await makers.maxAgents()).body.detail).toContain('3 of 2 agents')
  expect((await makers.maxTestSuites()).body.detail).toContain('0 of 0 test suites')
})

test('a tenant without quotas waits for nobody: no lock is taken', async () => {
  const held = () =>
    server.database.transaction(async (tx) => {
      const count = async () => {
        const [row] = await tx
          .select({ count: sql<number>`count(*)::int` })
          .from(sql`pg_locks`)
          .where(sql`locktype = 'advisory' and pid = pg_backend_pid()`)
        return row?.count ?? 0
      }
      const before = await count()
      await requireQuota(tx, house.id, 'maxAgents')
      return (await count()) - before
    })
  expect(await held()).toBe(0)
  await server.database.db.update(tenants).set({ maxAgents: 5 }).where(eq(tenants.id, house.id))
  expect(await held()).toBe(1)
})
