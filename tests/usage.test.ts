// What a key is used for: every call is counted once, by key, day and operation, whatever the server meets; and the least role that would do.
import { eq, sql } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { apiKeyUsage, tenants } from '#db/schema.ts'
import { noteCall, pendingCounts, putBackCounts, takeCounts, writeCounts } from '#server/call-counts.ts'
import { makePlace, type Place, startChildServer, waitUntil } from './child-server.ts'
import { anAgent, eventually } from './doors.ts'
import {
  isPostgres,
  type SeededKey,
  type SeededUsage,
  seedKey,
  seedTenant,
  seedUsage,
  type TestServer,
  useServer,
} from './harness.ts'

interface Usage {
  days: { date: string; calls: number; refusals: number }[]
  operations: { operation: string; calls: number; refusals: number; lastAt: string; lastIp: string | null }[]
  refusals: { at: string; operation: string; reason: string; occurrences: number; ip: string | null }[]
  recommendation: { role: string; since: string; calls: number } | null
}

const server = useServer()
const house = { id: '', admin: {} as SeededKey }
beforeAll(async () => {
  house.id = (await seedTenant(server)).id
  house.admin = await seedKey(server, house.id, 'TenantAdmin')
})

async function usageOf({ id }: { id: string }, query = '', at: Pick<TestServer, 'request'> = server): Promise<Usage> {
  const response = await at.request(`/api/admin/api-keys/${id}/usage${query}`, { key: house.admin.key })
  expect(response.status).toBe(200)
  return (await response.json()) as Usage
}

const total = ({ operations }: Usage) => operations.reduce((sum, { calls, refusals }) => sum + calls + refusals, 0)
const today = () => new Date().toISOString().slice(0, 10)
const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString().slice(0, 10)

/** Tries again at once when midnight fell into it. */
async function withinOneDay<T>(work: () => Promise<T>): Promise<T> {
  const day = today()
  const result = await work()
  return today() === day ? result : work()
}

describe('a call', () => {
  test('is counted once, by operation, as let in or refused, whatever came of it and by whichever door', async () => {
    await withinOneDay(async () => {
      const key = await seedKey(server, house.id, 'Viewer')
      const as = { key: key.key }
      for (let i = 0; i < 5; i++) await server.request('/api/agents', as)
      for (let i = 0; i < 2; i++) await server.request('/trpc/agents.list?input=%7B%7D', as)
      expect((await server.request(`/api/agents/${crypto.randomUUID()}`, as)).status).toBe(404)
      expect((await server.request('/api/agents?limit=0', as)).status).toBe(400)
      for (let i = 0; i < 3; i++)
        expect((await server.request('/api/agents', { method: 'POST', ...as, json: anAgent() })).status).toBe(403)
      // What reaches no operation is no call of one.
      expect((await server.request('/api/nothing', as)).status).toBe(404)

      const usage = await eventually(
        () => usageOf(key),
        // Days and operations are two statements: a batch may come between them.
        (found) => total(found) >= 12 && found.days.some(({ calls }) => calls > 0),
      )
      const last = { lastAt: expect.stringMatching(/^20.*Z$/), lastIp: '127.0.0.1' }
      expect(usage.operations).toEqual([
        { operation: 'agents.list', calls: 8, refusals: 0, ...last },
        { operation: 'agents.create', calls: 0, refusals: 3, ...last },
        { operation: 'agents.get', calls: 1, refusals: 0, ...last },
      ])
      expect(usage.days).toHaveLength(90)
      expect(usage.days.at(-1)).toEqual({ date: today(), calls: 9, refusals: 3 })
      expect(usage.days[0]).toEqual({ date: daysAgo(89), calls: 0, refusals: 0 })
      expect(usage.refusals).toEqual([
        {
          at: expect.any(String),
          operation: 'agents.create',
          reason: 'agents.create needs the role TenantAdmin; this key has Viewer.',
          occurrences: expect.any(Number),
          ip: '127.0.0.1',
        },
      ])
    })
  })

  test('of a key that was revoked is counted as refused', async () => {
    const key = await seedKey(server, house.id, 'Viewer', { revokedAt: new Date() })
    for (let i = 0; i < 4; i++) expect((await server.request('/api/me', { key: key.key })).status).toBe(401)
    const usage = await eventually(
      () => usageOf(key),
      (found) => total(found) >= 4,
    )
    expect(usage.operations).toMatchObject([{ operation: 'me.get', calls: 0, refusals: 4 }])
    expect(usage.refusals).toMatchObject([{ operation: 'me.get', reason: 'The key is revoked.', ip: '127.0.0.1' }])
  })

  test('is shown for as many days as asked, the newest last, and no longer', async () => {
    const key = await seedKey(server, house.id, 'Viewer')
    await seedUsage(server, house.id, key.id, [
      { operation: 'agents.list', calls: 1, daysAgo: 0 },
      { operation: 'agents.list', calls: 2, refusals: 1, daysAgo: 2 },
      { operation: 'agents.get', calls: 4, daysAgo: 2 },
      { operation: 'agents.list', calls: 8, daysAgo: 3 },
    ])
    const { days, operations } = await usageOf(key, '?days=3')
    expect(days).toEqual([
      { date: daysAgo(2), calls: 6, refusals: 1 },
      { date: daysAgo(1), calls: 0, refusals: 0 },
      { date: today(), calls: 1, refusals: 0 },
    ])
    expect(operations.map(({ operation, calls }) => [operation, calls])).toEqual([
      ['agents.get', 4],
      ['agents.list', 3],
    ])
    const ofOne = await usageOf(key, '?days=3&operation=agents.list')
    expect(ofOne.days.map(({ calls, refusals }) => [calls, refusals])).toEqual([
      [2, 1],
      [0, 0],
      [1, 0],
    ])
    expect(ofOne.operations).toEqual(operations)
    for (const bad of ['0', '401', '1.5', 'x']) {
      const response = await server.request(`/api/admin/api-keys/${key.id}/usage?days=${bad}`, { key: house.admin.key })
      expect([bad, response.status]).toEqual([bad, 400])
    }
  })
})

describe('a batch', () => {
  const write = () => {
    const taken = takeCounts()
    return server.database.transaction((tx) => writeCounts(tx, taken))
  }
  const rowsOf = ({ id }: SeededKey) =>
    server.database.db
      .select({ day: apiKeyUsage.day, operation: apiKeyUsage.operation, calls: apiKeyUsage.calls, ip: apiKeyUsage.lastIp })
      .from(apiKeyUsage)
      .where(eq(apiKeyUsage.keyId, id))
      .orderBy(apiKeyUsage.day, apiKeyUsage.operation)
  const call = (keyId: string, ip = '192.0.2.1') =>
    ({ keyId, operation: 'agents.list', neededRole: 'Viewer', isRefused: false, ip }) as const

  test('adds to what is there, by the day in UTC to the millisecond, and keeps the newest address', async () => {
    const key = await seedKey(server, house.id, 'Viewer')
    const midnight = Date.parse('2026-03-01T00:00:00Z')
    noteCall(call(key.id, '192.0.2.1'), midnight - 1)
    noteCall(call(key.id, '192.0.2.2'), midnight)
    await write()
    noteCall(call(key.id, '192.0.2.3'), midnight + 1)
    await write()
    // From another node, and late.
    noteCall(call(key.id, '192.0.2.4'), midnight)
    await write()
    expect(await rowsOf(key)).toEqual([
      { day: '2026-02-28', operation: 'agents.list', calls: 1, ip: '192.0.2.1' },
      { day: '2026-03-01', operation: 'agents.list', calls: 3, ip: '192.0.2.3' },
    ])
  })

  test('that could not be written is written with the next one, and nothing is counted twice', async () => {
    const key = await seedKey(server, house.id, 'Viewer')
    for (let i = 0; i < 3; i++) noteCall(call(key.id))
    const taken = takeCounts()
    const failed = server.database.transaction(async (tx) => {
      await writeCounts(tx, taken)
      throw new Error('the commit failed')
    })
    noteCall(call(key.id))
    await expect(failed).rejects.toThrow('the commit failed')
    putBackCounts(taken)
    noteCall({ ...call(key.id), operation: 'agents.get' })
    await write()
    expect(await rowsOf(key)).toMatchObject([
      { operation: 'agents.get', calls: 1 },
      { operation: 'agents.list', calls: 4 },
    ])
  })

  test('with calls of a key that is deleted meanwhile is written for all the others', async () => {
    const [gone, kept] = [await seedKey(server, house.id, 'Viewer'), await seedKey(server, house.id, 'Viewer')]
    await seedUsage(server, house.id, gone.id, [{ operation: 'me.get', calls: 7 }])
    for (const { id } of [gone, kept]) noteCall(call(id))
    const deleted = await server.request(`/api/admin/api-keys/${gone.id}`, { method: 'DELETE', key: house.admin.key })
    expect(deleted.status).toBe(204)
    await write()
    expect(await rowsOf(kept)).toMatchObject([{ calls: 1 }])
    expect(await rowsOf(gone)).toEqual([])
  })

  test('is bounded: of more than 50,000 kinds of calls the later ones are dropped, and those known go on counting', () => {
    const id = crypto.randomUUID()
    for (let i = 0; i < 60_000; i++) noteCall({ ...call(id), operation: `operation ${i}` })
    noteCall({ ...call(id), operation: 'operation 0' })
    expect(pendingCounts()).toBe(50_000)
    const taken = [...takeCounts().values()]
    expect(taken[0]).toMatchObject({ operation: 'operation 0', calls: 2 })
    expect(pendingCounts()).toBe(0)
  })
})

describe('the counts outlive', () => {
  /** Calls of one key, by eight at once; resolves when all are answered. */
  async function callTimes(at: Pick<TestServer, 'request'>, key: string, times: number): Promise<void> {
    const worker = async (from: number) => {
      for (let i = from; i < times; i += 8) expect((await at.request('/api/me', { key })).status).toBe(200)
    }
    await Promise.all(Array.from({ length: 8 }, (_, i) => worker(i)))
  }

  interface Shelf {
    tenantId: string
    admin: SeededKey
    key: SeededKey
  }

  async function seed(place: Place): Promise<Shelf> {
    const database = await place.open()
    const tenant = await seedTenant({ database })
    const [admin, key] = [await seedKey({ database }, tenant.id, 'TenantAdmin'), await seedKey({ database }, tenant.id, 'Viewer')]
    await database.close()
    return { tenantId: tenant.id, admin, key }
  }

  async function countIn(place: Place, { key }: Shelf): Promise<number> {
    const database = await place.open()
    const [row] = await database.db
      .select({ calls: sql<number>`coalesce(sum(${apiKeyUsage.calls}), 0)::int` })
      .from(apiKeyUsage)
      .where(eq(apiKeyUsage.keyId, key.id))
    await database.close()
    return row?.calls ?? -1
  }

  const nodes = isPostgres ? 2 : 1
  test(`a clean stop of each of ${nodes} at once, to the last call; and 400 days, but none longer`, async () => {
    const place = await makePlace()
    const shelf = await seed(place)
    const old = [399, 400, 401, 500].map((days) => ({ operation: 'agents.list', calls: 1_000 * days, daysAgo: days }))
    const before = await place.open()
    await seedUsage({ database: before }, shelf.tenantId, shelf.key.id, old)
    await before.close()
    const servers = await Promise.all(Array.from({ length: nodes }, () => startChildServer(place.settings)))
    await Promise.all(servers.map((each) => callTimes(each, shelf.key.key, 333)))
    const exits = await Promise.all(servers.map((each) => each.kill('SIGTERM')))
    expect(exits.map(({ code }) => code)).toEqual(servers.map(() => 0))
    expect(await countIn(place, shelf)).toBe(333 * nodes + 399_000 + 400_000)
  })

  test('kill -9, but for what was called since the last batch', async () => {
    const place = await makePlace()
    const shelf = await seed(place)
    const child = await startChildServer(place.settings)
    await callTimes(child, shelf.key.key, 200)
    const answeredAt = Date.now()
    const path = `/api/admin/api-keys/${shelf.key.id}/usage`
    await waitUntil(async () => {
      const usage = (await (await child.request(path, { key: shelf.admin.key })).json()) as Usage
      return usage.operations[0]?.calls === 200
    })
    // A batch every two seconds; the rest is for a machine under load.
    expect(Date.now() - answeredAt).toBeLessThan(5_000)
    await callTimes(child, shelf.key.key, 40)
    await child.kill('SIGKILL')
    const count = await countIn(place, shelf)
    expect(count).toBeGreaterThanOrEqual(200)
    expect(count).toBeLessThanOrEqual(240)
  })
})

describe('the least role is recommended', () => {
  const reads = (calls: number, daysAgo = 0): SeededUsage => ({ operation: 'agents.list', calls, daysAgo })
  const ofAdmin = (calls: number, daysAgo = 0): SeededUsage => ({
    ...{ operation: 'agents.create', neededRole: 'TenantAdmin', calls, daysAgo },
  })
  const recommended = async (role: 'Viewer' | 'TenantAdmin' | 'SuperAdmin', rows: SeededUsage[], fields = {}) => {
    const key = await seedKey(server, house.id, role, fields)
    if (rows.length > 0) await seedUsage(server, house.id, key.id, rows)
    return (await usageOf(key, '?days=1')).recommendation
  }

  test('when a TenantAdmin key only read in 30 days: Viewer is enough', async () => {
    const rows = [reads(40, 10), reads(2), { operation: 'me.get', calls: 5, daysAgo: 29 }]
    expect(await recommended('TenantAdmin', rows)).toEqual({ role: 'Viewer', since: daysAgo(29), calls: 47 })
  })

  test('as high as the highest call needs, and for no key that needs the role it has', async () => {
    expect(await recommended('SuperAdmin', [reads(500, 10), ofAdmin(1, 3)])).toMatchObject({ role: 'TenantAdmin' })
    expect(await recommended('TenantAdmin', [reads(500, 10), ofAdmin(1, 3)])).toBeNull()
    expect(await recommended('Viewer', [reads(500, 10)])).toBeNull()
  })

  test('by the calls that were let in: what was refused needs no role', async () => {
    const refused = { ...ofAdmin(0, 3), refusals: 9 }
    expect(await recommended('SuperAdmin', [reads(30, 10), refused])).toMatchObject({ role: 'Viewer', calls: 30 })
  })

  test('by what an operation asks for now, when it asks for more than it did then', async () => {
    const then = { ...ofAdmin(30, 10), neededRole: 'Viewer' as const }
    expect(await recommended('SuperAdmin', [then])).toMatchObject({ role: 'TenantAdmin' })
  })

  test('only from 20 calls and 7 days on, within the last 30, and for an active key', async () => {
    expect(await recommended('TenantAdmin', [])).toBeNull()
    expect(await recommended('TenantAdmin', [reads(19, 10)])).toBeNull()
    expect(await recommended('TenantAdmin', [reads(20, 10)])).not.toBeNull()
    expect(await recommended('TenantAdmin', [reads(500, 6)])).toBeNull()
    expect(await recommended('TenantAdmin', [reads(499, 6), reads(1, 7)])).not.toBeNull()
    expect(await recommended('TenantAdmin', [reads(500, 30)])).toBeNull()
    expect(await recommended('TenantAdmin', [ofAdmin(9, 30), reads(500, 29)])).toMatchObject({ role: 'Viewer' })
    expect(await recommended('TenantAdmin', [reads(500, 10)], { revokedAt: new Date() })).toBeNull()
    expect(await recommended('TenantAdmin', [reads(500, 10)], { expiresAt: new Date(Date.now() - 1_000) })).toBeNull()
  })

  test('not below what calls needed that their operation alone does not tell: another tenant, a higher role', async () => {
    const other = await seedTenant(server)
    const acting = await seedKey(server, house.id, 'SuperAdmin')
    const granting = await seedKey(server, house.id, 'SuperAdmin')
    const ending = await seedKey(server, house.id, 'SuperAdmin')
    const plain = await seedKey(server, house.id, 'SuperAdmin')
    const target = await seedKey(server, house.id, 'SuperAdmin')
    for (const { id } of [acting, granting, ending, plain]) await seedUsage(server, house.id, id, [reads(100, 10)])
    const admin = '/api/admin/api-keys'
    const answers = [
      await server.request('/api/agents', { key: acting.key, headers: { 'x-tenant-id': other.id } }),
      await server.request(admin, { method: 'POST', key: granting.key, json: { name: 'granted', role: 'SuperAdmin' } }),
      await server.request(`${admin}/${target.id}/revoke`, { method: 'POST', key: ending.key }),
      await server.request(admin, { method: 'POST', key: plain.key, json: { name: 'plain', role: 'Viewer' } }),
    ]
    expect(answers.map(({ status }) => status)).toEqual([200, 201, 200, 201])
    await eventually(
      () => usageOf(plain),
      (usage) => total(usage) > 100,
    )
    for (const key of [acting, granting, ending]) {
      const usage = await usageOf(key)
      expect([total(usage), usage.recommendation]).toEqual([101, null])
    }
    expect((await usageOf(plain)).recommendation).toMatchObject({ role: 'TenantAdmin', calls: 101 })
  })
})

test('a key’s usage is its tenant’s: nothing of it is shown by a SuperAdmin’s call in another tenant', async () => {
  const root = await seedKey(server, house.id, 'SuperAdmin')
  const other = await seedTenant(server)
  await server.request('/api/agents', { key: root.key, headers: { 'x-tenant-id': other.id } })
  await eventually(
    () => usageOf(root),
    (usage) => total(usage) === 1,
  )
  const rows = await server.database.db.select().from(apiKeyUsage).where(eq(apiKeyUsage.keyId, root.id))
  expect(rows.map(({ tenantId }) => tenantId)).toEqual([house.id])
  const [tenant] = await server.database.db.select({ id: tenants.id }).from(tenants).where(eq(tenants.id, other.id))
  expect(tenant).toBeDefined()
})
