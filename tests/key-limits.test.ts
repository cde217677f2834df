// A limited key: where it may be used from, how often, and for what; and that it makes no key beyond its own limits.
import { eq, sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { apiKeys } from '#db/schema.ts'
import { isAllowedFrom } from '#server/key-limits.ts'
import { listScopes } from '#server/operations.ts'
import { type ChildServer, startChildServer } from './child-server.ts'
import { anAgent, callRest, callTrpc, inTenant, isEffective, isOnlyAudited, rowsOf, thaw, unique, validInput } from './doors.ts'
import { auditOf, createTestDatabase, isPostgres, seedKey, seedTenant, type TestServer, useServer } from './harness.ts'

const server = useServer({ MATE_TRUST_PROXY: '127.0.0.1' })
const house = { id: '', admin: { id: '', key: '', name: '' } }
beforeAll(async () => {
  house.id = (await seedTenant(server)).id
  house.admin = await seedKey(server, house.id, 'TenantAdmin')
})

const post = (key: string, json: unknown, headers: Record<string, string> = {}) =>
  server.request('/api/admin/api-keys', { method: 'POST', key, json, headers })
const patch = (key: string, id: string, json: unknown) =>
  server.request(`/api/admin/api-keys/${id}`, { method: 'PATCH', key, json })
const rowOf = async (id: string) => (await server.database.db.select().from(apiKeys).where(eq(apiKeys.id, id))).at(0)

describe('allowed IPs', () => {
  const from = (key: string, address: string) => server.request('/api/me', { key, headers: { 'x-forwarded-for': address } })

  test.each([
    ['203.0.113.7/24', '203.0.113.0/24', ['203.0.113.1', '203.0.113.255', '::ffff:203.0.113.9'], ['203.0.112.255', '::1']],
    ['203.0.113.7', '203.0.113.7/32', ['203.0.113.7'], ['203.0.113.6', '::203.0.113.7']],
    ['2001:DB8:0:0:1::/64', '2001:db8::/64', ['2001:db8::ffff', '2001:db8:0:0:ffff::'], ['2001:db8:0:1::', '203.0.113.7']],
    ['::ffff:203.0.113.0/120', '203.0.113.0/24', ['203.0.113.1', '::FFFF:203.0.113.9'], ['203.0.114.1']],
    ['::/0', '::/0', ['2001:db8::1'], ['203.0.113.7']],
    ['0.0.0.0/0', '0.0.0.0/0', ['203.0.113.7'], ['2001:db8::1']],
  ])('%s is kept as %s, lets in %j and refuses %j', async (given, kept, inside, outside) => {
    const made = await post(house.admin.key, { name: unique('Key'), role: 'Viewer', allowedIps: [given, given] })
    const { key, allowedIps } = (await made.json()) as { key: string; allowedIps: string[] }
    expect(allowedIps).toEqual([kept])
    for (const address of inside) expect([address, (await from(key, address)).status]).toEqual([address, 200])
    for (const address of outside) {
      const refused = await from(key, address)
      expect([address, refused.status]).toEqual([address, 403])
      expect(await refused.json()).toMatchObject({
        detail: expect.stringContaining(`may not be used from ${address.toLowerCase()}`),
      })
    }
  })

  test('a refusal is audited with the address, and is no use of the key', async () => {
    const { id, key } = await seedKey(server, house.id, 'Viewer', { allowedIps: ['198.51.100.0/24'] })
    const audit = (await auditOf(server, house.id)).length
    expect((await from(key, '203.0.113.7')).status).toBe(403)
    expect(await auditOf(server, house.id, audit)).toMatchObject([
      { action: 'api_key.refused', entityId: id, ip: '203.0.113.7', details: { operation: 'me.get' } },
    ])
    expect((await from(key, '198.51.100.3')).status).toBe(200)
  })

  test('what a client writes itself into X-Forwarded-For is not believed', async () => {
    const { key } = await seedKey(server, house.id, 'Viewer', { allowedIps: ['198.51.100.0/24'] })
    expect((await from(key, '198.51.100.3, 203.0.113.7')).status).toBe(403)
    expect((await from(key, '203.0.113.7, 198.51.100.3')).status).toBe(200)
  })

  test('a client whose address is not known is not let in, unless the key has no limit', () => {
    expect([isAllowedFrom(['0.0.0.0/0', '::/0'], null), isAllowedFrom(null, null)]).toEqual([false, true])
  })
})

describe('what is no limit is refused, field by field:', () => {
  test.each([
    ['allowedIps', [], 'allowedIps', 'never means everything'],
    ['scopes', [], 'scopes', 'never means everything'],
    ['allowedIps', ['10.0.0.0/33'], 'allowedIps.0', 'Must be an address'],
    ['allowedIps', ['10.0.0.1', '10.0.0'], 'allowedIps.1', 'Must be an address'],
    ['allowedIps', ['fe80::1%eth0'], 'allowedIps.0', 'Must be an address'],
    ['allowedIps', ['010.0.0.1'], 'allowedIps.0', 'Must be an address'],
    ['allowedIps', ['10.0.0.0/8/8'], 'allowedIps.0', 'Must be an address'],
    ['allowedIps', ['10.0.0.0/-1'], 'allowedIps.0', 'Must be an address'],
    ['allowedIps', [''], 'allowedIps.0', 'Must be an address'],
    ['allowedIps', Array(51).fill('10.0.0.1'), 'allowedIps', '50'],
    ['requestsPerMinute', 0, 'requestsPerMinute', '1'],
    ['requestsPerMinute', 1.5, 'requestsPerMinute', 'int'],
    ['requestsPerMinute', 100_001, 'requestsPerMinute', '100000'],
    ['scopes', ['agents:read', 'agents:destroy'], 'scopes.1', 'Is no scope. There are agents:read'],
    ['scopes', ['*'], 'scopes.0', 'Is no scope'],
  ])('%s %j', async (field, value, path, message) => {
    const { id } = await seedKey(server, house.id, 'Viewer')
    const before = await rowsOf(server, house.id)
    for (const response of [
      await post(house.admin.key, { name: unique('Key'), role: 'Viewer', [field]: value }),
      await patch(house.admin.key, id, { [field]: value }),
    ]) {
      expect(response.status).toBe(400)
      const { errors } = (await response.json()) as { errors: { path: string; message: string }[] }
      expect(errors).toEqual([{ path, message: expect.stringContaining(message) }])
    }
    expect(await rowsOf(server, house.id)).toBe(before)
  })

  test('the database itself keeps no empty list', async () => {
    for (const limits of [{ allowedIps: [] }, { scopes: [] }, { requestsPerMinute: 0 }]) {
      await expect(seedKey(server, house.id, 'Viewer', limits)).rejects.toThrow()
    }
  })
})

describe('requests a minute', () => {
  const nodes: Pick<TestServer, 'request'>[] = []
  const children: ChildServer[] = []
  const shared = { database: server.database }
  beforeAll(async () => {
    if (!isPostgres) {
      nodes.push(server, server)
      shared.database = server.database
      return
    }
    const made = await createTestDatabase()
    shared.database = made.database
    for (let i = 0; i < 2; i++) children.push(await startChildServer({ DATABASE_URL: made.url ?? '' }))
    nodes.push(...children)
  })
  afterAll(async () => {
    for (const child of children) await child.kill('SIGTERM')
    if (isPostgres) await shared.database.close()
  })

  test('are counted on all nodes together: of 30 at once exactly 7 pass, the rest is 429 and says how long to wait', async () => {
    const tenant = await seedTenant(shared)
    const { key } = await seedKey(shared, tenant.id, 'Viewer', { requestsPerMinute: 7 })
    const ask = (i: number) => (nodes[i % 2] as (typeof nodes)[number]).request('/api/me', { key })
    const answers = await Promise.all(Array.from({ length: 30 }, (_, i) => ask(i)))
    const passed = answers.filter(({ status }) => status === 200)
    const refused = answers.filter(({ status }) => status === 429)
    expect([passed.length, refused.length]).toEqual([7, 23])
    const left = passed.map(({ headers }) => Number(/^"minute";r=(\d+);t=\d+$/.exec(headers.get('ratelimit') ?? '')?.[1]))
    expect(left.sort()).toEqual([0, 1, 2, 3, 4, 5, 6])
    for (const { headers } of answers) expect(headers.get('ratelimit-policy')).toBe('"minute";q=7;w=60')
    for (const { headers } of refused) {
      const wait = Number(headers.get('retry-after'))
      expect(wait).toBeGreaterThan(50)
      expect(wait).toBeLessThanOrEqual(60)
      expect(headers.get('ratelimit')).toMatch(/^"minute";r=0;t=\d+$/)
    }
    expect(await refused[0]?.json()).toMatchObject({ code: 'too_many_requests', detail: expect.stringContaining('7 requests') })
    const entries = (await auditOf(shared, tenant.id)).map(({ action }) => action)
    expect(new Set(entries)).toEqual(new Set(['api_key.refused']))
  })

  test('count what is refused or fails too, and what was rolled back stays counted', async () => {
    const { key } = await seedKey(server, house.id, 'TenantAdmin', { requestsPerMinute: 4 })
    const left = (response: Response) => /r=(\d+)/.exec(response.headers.get('ratelimit') ?? '')?.[1]
    const { name } = (await (await post(key, { name: unique('Key'), role: 'Viewer' })).json()) as { name: string }
    const conflict = await post(key, { name, role: 'Viewer' })
    const wrong = await post(key, { name: '', role: 'Viewer' })
    const above = await post(key, { name: unique('Key'), role: 'SuperAdmin' })
    const over = await post(key, { name: unique('Key'), role: 'Viewer' })
    expect([conflict, wrong, above, over].map(({ status }) => status)).toEqual([409, 400, 403, 429])
    expect([conflict, wrong, above, over].map(left)).toEqual(['2', '1', '0', '0'])
  })

  test('from an address that is not allowed are refused, and not counted against the key', async () => {
    const { key } = await seedKey(server, house.id, 'Viewer', { requestsPerMinute: 2, allowedIps: ['198.51.100.0/24'] })
    const from = (address: string) => server.request('/api/me', { key, headers: { 'x-forwarded-for': address } })
    for (let i = 0; i < 3; i++) expect((await from('203.0.113.7')).status).toBe(403)
    const good = await from('198.51.100.1')
    expect([good.status, good.headers.get('ratelimit')]).toEqual([200, expect.stringContaining('r=1;')])
  })

  test('count an export once, however many batches it has', async () => {
    const tenant = await seedTenant(server)
    const { key } = await seedKey(server, tenant.id, 'TenantAdmin', { requestsPerMinute: 2 })
    const exported = await server.request('/api/admin/audit-log/export', { key })
    expect((await exported.text()).length).toBeGreaterThan(0)
    const next = await server.request('/api/me', { key })
    expect([next.status, next.headers.get('ratelimit')]).toEqual([200, expect.stringContaining('r=0;')])
  })

  test('of a key without a limit are not counted, and its answers say nothing of one', async () => {
    const { key } = await seedKey(server, house.id, 'Viewer')
    const { headers } = await server.request('/api/me', { key })
    expect([headers.get('ratelimit'), headers.get('ratelimit-policy')]).toEqual([null, null])
  })

  test('are more at once when the limit is raised, in the same minute', async () => {
    const { id, key } = await seedKey(server, house.id, 'Viewer', { requestsPerMinute: 1 })
    const ask = async () => (await server.request('/api/me', { key })).status
    expect([await ask(), await ask()]).toEqual([200, 429])
    expect((await patch(house.admin.key, id, { requestsPerMinute: 4 })).status).toBe(200)
    expect([await ask(), await ask()]).toEqual([200, 200])
  })

  test('of a batch count one by one', async () => {
    const { key } = await seedKey(server, house.id, 'Viewer', { requestsPerMinute: 3 })
    const input = encodeURIComponent('{"0":{},"1":{},"2":{},"3":{}}')
    const response = await server.request(`/trpc/me.get,me.get,me.get,me.get?batch=1&input=${input}`, { key })
    const answers = (await response.json()) as { error?: { data: { httpStatus: number } } }[]
    expect(answers.map(({ error }) => error?.data.httpStatus ?? 200).sort()).toEqual([200, 200, 200, 429])
  })
})

describe('scopes', () => {
  test('are the tags of the operations, read and write', () => {
    expect(listScopes()).toEqual([
      ...['agents:read', 'agents:write', 'api-keys:read', 'api-keys:write', 'audit-log:read', 'audit-log:write'],
      ...['identity-providers:read', 'identity-providers:write'],
      ...['judgesettings:read', 'judgesettings:write', 'me:read', 'metrics:read', 'notices:read', 'notices:write', 'roles:read'],
      ...[
        'runs:execute',
        'runs:read',
        'runs:write',
        'sign-in-policy:read',
        'sign-in-policy:write',
        'tenants:read',
        'tenants:write',
      ],
      ...['testsuites:read', 'testsuites:write', 'trust-rules:read', 'trust-rules:write'],
      ...['users:read', 'users:write', 'webhooks:read', 'webhooks:write'],
    ])
  })

  describe.each([
    ['REST', callRest],
    ['tRPC', callTrpc],
  ] as const)('by %s', (door, call) => {
    test.each(inTenant.map((operation) => [operation.name, operation] as const))(
      '%s is done with its scope alone, and refused with all the others, which changes nothing',
      async (_, operation) => {
        const tenant = await seedTenant(server)
        const others = listScopes().filter((scope) => scope !== operation.scope)
        const narrow = await seedKey(server, tenant.id, 'TenantAdmin', { scopes: [operation.scope] })
        const other = await seedKey(server, tenant.id, 'TenantAdmin', { scopes: others })
        const input = await validInput(server, operation, tenant.id)
        if (operation.name === 'apiKeys.rotate')
          await server.database.db
            .update(apiKeys)
            .set({ scopes: ['api-keys:write'] })
            .where(eq(apiKeys.id, String(input.id)))
        const before = await rowsOf(server, tenant.id)
        const refused = await call(server, operation, input, other)
        expect(refused.status).toBe(403)
        expect(refused.problem.detail).toBe(
          `${operation.name} needs the scope ${operation.scope}; this key has ${others.join(', ')}.`,
        )
        expect(await rowsOf(server, tenant.id)).toBe(before)
        const done = await call(server, operation, input, narrow)
        expect([door, done.problem]).toEqual([door, {}])
        if (isEffective(operation) && !isOnlyAudited(operation)) expect(await rowsOf(server, tenant.id)).not.toBe(before)
        await thaw(server)
      },
    )
  })

  test('do not lend what the role does not allow', async () => {
    const { key } = await seedKey(server, house.id, 'Viewer', { scopes: ['agents:write', 'me:read'] })
    const response = await server.request('/api/agents', { method: 'POST', key, json: anAgent() })
    expect(await response.json()).toMatchObject({ status: 403, detail: expect.stringContaining('needs the role TenantAdmin') })
    expect(await (await server.request('/api/me', { key })).json()).toMatchObject({
      scopes: ['agents:write', 'me:read'],
      operations: ['me.get', 'apiKeys.reportLeak', 'tokens.exchange'],
    })
  })
})

describe('a key that makes keys', () => {
  const limits = { allowedIps: ['127.0.0.0/8', '198.51.100.0/24'], requestsPerMinute: 60, scopes: ['api-keys:write', 'me:read'] }
  const maker = async () => seedKey(server, house.id, 'TenantAdmin', limits)

  test('hands its limits on when it names none', async () => {
    const made = await post((await maker()).key, { name: unique('Key'), role: 'Viewer' })
    expect(await made.json()).toMatchObject(limits)
  })

  test('may narrow them', async () => {
    const narrower = { allowedIps: ['198.51.100.8/30', '127.0.0.1'], requestsPerMinute: 1, scopes: ['me:read'] }
    const made = await post((await maker()).key, { name: unique('Key'), role: 'Viewer', ...narrower })
    expect(await made.json()).toMatchObject({ ...narrower, allowedIps: ['127.0.0.1/32', '198.51.100.8/30'] })
  })

  test.each([
    ['allowedIps', null],
    ['allowedIps', ['198.51.100.0/23']],
    ['allowedIps', ['127.0.0.1', '203.0.113.7']],
    ['allowedIps', ['::/0']],
    ['requestsPerMinute', null],
    ['requestsPerMinute', 61],
    ['scopes', null],
    ['scopes', ['me:read', 'agents:read']],
  ])('may not give %s %j, nor set it on a key that had less, which changes nothing', async (field, value) => {
    const { key } = await maker()
    const narrow = { allowedIps: ['127.0.0.1/32'], requestsPerMinute: 5, scopes: ['me:read'] }
    const { id } = await seedKey(server, house.id, 'Viewer', narrow)
    const before = await rowsOf(server, house.id)
    for (const response of [
      await post(key, { name: unique('Key'), role: 'Viewer', [field]: value }),
      await patch(key, id, { [field]: value }),
    ]) {
      expect(response.status).toBe(403)
      expect(await response.json()).toMatchObject({ detail: expect.stringContaining(`${field} is more than this key’s own`) })
    }
    expect(await rowsOf(server, house.id)).toBe(before)
  })

  test('may narrow the limits of a key that has more than itself, and widen them up to its own', async () => {
    const { key } = await maker()
    const { id } = await seedKey(server, house.id, 'Viewer', { allowedIps: ['10.0.0.0/8'], requestsPerMinute: 500 })
    const narrower = { allowedIps: ['10.1.0.0/16'], requestsPerMinute: 400, scopes: ['agents:read', 'me:read'] }
    expect(await (await patch(key, id, narrower)).json()).toMatchObject(narrower)
    const widened = { allowedIps: ['127.0.0.0/8'], requestsPerMinute: 60, scopes: ['api-keys:write'] }
    expect(await (await patch(key, id, widened)).json()).toMatchObject(widened)
    expect(await rowOf(id)).toMatchObject(widened)
  })

  test('an update that says nothing is refused, and one that says what is so already changes nothing and is not audited', async () => {
    const { id } = await seedKey(server, house.id, 'Viewer', limits)
    const audit = (await auditOf(server, house.id)).length
    expect((await patch(house.admin.key, id, {})).status).toBe(400)
    expect((await patch(house.admin.key, id, limits)).status).toBe(200)
    expect((await auditOf(server, house.id)).length).toBe(audit)
    await patch(house.admin.key, id, { requestsPerMinute: null })
    expect((await auditOf(server, house.id)).at(-1)).toMatchObject({
      action: 'api_key.updated',
      details: { before: { requestsPerMinute: 60 }, after: { requestsPerMinute: null } },
    })
  })
})

describe('the end of a key', () => {
  const announced = async (expiresAt: Date | null, rotatesOutAt: Date | null = null) => {
    const { key } = await seedKey(server, house.id, 'Viewer', { expiresAt, rotatesOutAt })
    const [good, bad] = [
      await server.request('/api/me', { key }),
      await server.request(`/api/agents/${crypto.randomUUID()}`, { key }),
    ]
    expect([good.status, bad.status]).toEqual([200, 404])
    expect(good.headers.get('x-api-key-expires')).toBe(bad.headers.get('x-api-key-expires'))
    return good.headers.get('x-api-key-expires')
  }
  const inDays = (days: number) => new Date(Date.now() + days * 86_400_000)

  test('is announced on every answer in its last 14 days, whether by expiry or by rotation, and not before', async () => {
    const [soon, later] = [inDays(13.9), inDays(14.1)]
    expect(await announced(null)).toBe(null)
    expect(await announced(later)).toBe(null)
    expect(await announced(soon)).toBe(soon.toISOString())
    expect(await announced(later, soon)).toBe(soon.toISOString())
    expect(await announced(inDays(1), soon)).not.toBe(soon.toISOString())
  })

  test.each(['expiresAt', 'rotatesOutAt'] as const)(
    'by %s is exact by the database’s clock: at that second it is refused, before it is not',
    async (column) => {
      const { db } = server.database
      const clock = async () => {
        const [row] = await db
          .select({ at: sql<number>`extract(epoch from clock_timestamp())::float8` })
          .from(sql`(select) as once`)
        return row?.at ?? 0
      }
      const end = Math.floor(await clock()) + 2
      const { key } = await seedKey(server, house.id, 'Viewer', { [column]: new Date(end * 1_000) })
      const accepted: number[] = []
      const refused: number[] = []
      while (refused.length < 3) {
        const before = await clock()
        const { status } = await server.request('/api/me', { key })
        if (status === 200) accepted.push(before)
        else refused.push(await clock())
      }
      expect(accepted.every((before) => before < end)).toBe(true)
      expect(refused.every((after) => after >= end)).toBe(true)
      expect(Number(refused[0]) - Number(accepted.at(-1))).toBeLessThan(1)
    },
  )
})
