// Over random sequences of mint, rotate, narrow, widen and revoke by random principals, no call gives a key more than its caller has.
import { eq } from 'drizzle-orm'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { apiKeys } from '#db/schema.ts'
import { isRoleAtLeast, type Role, roles } from '#server/roles.ts'
import { seedKey, seedTenant, useServer } from './harness.ts'

const server = useServer()

// Networks as a tree of prefixes below 127.0.0.0/8, so that "within" can be told here without the code under test.
const networks = ['127.0.0.0/8', '127.0.0.0/9', '127.0.0.0/16', '127.0.0.1/32', '127.128.0.0/9', '10.0.0.0/8']
const parents: Record<string, string[]> = {
  '127.0.0.0/8': [],
  '127.0.0.0/9': ['127.0.0.0/8'],
  '127.0.0.0/16': ['127.0.0.0/9', '127.0.0.0/8'],
  '127.0.0.1/32': ['127.0.0.0/16', '127.0.0.0/9', '127.0.0.0/8'],
  '127.128.0.0/9': ['127.0.0.0/8'],
  '10.0.0.0/8': [],
}
const scopes = ['agents:read', 'api-keys:read', 'api-keys:write', 'me:read']
const rates = [90_000, 95_000, 100_000]

interface Limits {
  allowedIps: string[] | null
  requestsPerMinute: number | null
  scopes: string[] | null
}
type Key = typeof apiKeys.$inferSelect

const fits = {
  allowedIps: (a: Limits, b: Limits) =>
    b.allowedIps === null ||
    (a.allowedIps?.every((net) => [net, ...(parents[net] ?? [])].some((each) => b.allowedIps?.includes(each))) ?? false),
  requestsPerMinute: (a: Limits, b: Limits) =>
    b.requestsPerMinute === null || (a.requestsPerMinute !== null && a.requestsPerMinute <= b.requestsPerMinute),
  scopes: (a: Limits, b: Limits) => b.scopes === null || (a.scopes?.every((scope) => b.scopes?.includes(scope)) ?? false),
}

/** What `after` has that neither the caller nor the key itself had before. */
function excess(after: Key, caller: Key, before: Key | undefined): string[] {
  const held = [caller, ...(before ? [before] : [])]
  const limits = (['allowedIps', 'requestsPerMinute', 'scopes'] as const).filter(
    (field) => !held.some((each) => fits[field](after, each)),
  )
  return [...limits, ...(held.some(({ role }) => isRoleAtLeast(role, after.role)) ? [] : ['role'])]
}

const orNull = <T>(arbitrary: fc.Arbitrary<T>) => fc.oneof({ weight: 1, arbitrary: fc.constant(null) }, { weight: 3, arbitrary })
const anyLimits: fc.Arbitrary<Partial<Limits>> = fc.record(
  {
    allowedIps: orNull(fc.subarray(networks, { minLength: 1 })),
    requestsPerMinute: orNull(fc.constantFrom(...rates)),
    scopes: orNull(fc.subarray(scopes, { minLength: 1 })),
  },
  { requiredKeys: [] },
)
const anyRole = fc.constantFrom<Role>(...roles)
const anyKey = fc.nat({ max: 40 })
const anyStep = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('mint' as const), caller: anyKey, role: anyRole, limits: anyLimits }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('rotate' as const),
      caller: anyKey,
      target: anyKey,
      overlapHours: fc.constantFrom(0, 24),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('limit' as const), caller: anyKey, target: anyKey, limits: anyLimits }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('revoke' as const), caller: anyKey, target: anyKey }) },
)

test('each key that a call made or changed is within what its caller, or it itself, had before; a refused call changes none', async () => {
  const done = { mint: 0, rotate: 0, limit: 0, revoke: 0, refused: 0 }
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { minLength: 12, maxLength: 30 }), async (steps) => {
      const tenant = await seedTenant(server)
      const secrets: { id: string; key: string }[] = []
      const limited = {
        allowedIps: ['127.0.0.0/9'],
        requestsPerMinute: 95_000,
        scopes: ['api-keys:read', 'api-keys:write', 'me:read'],
      }
      secrets.push(await seedKey(server, tenant.id, 'SuperAdmin'), await seedKey(server, tenant.id, 'TenantAdmin'))
      secrets.push(
        await seedKey(server, tenant.id, 'TenantAdmin', limited),
        await seedKey(server, tenant.id, 'SuperAdmin', limited),
      )
      const read = async () => {
        const rows = await server.database.db.select().from(apiKeys).where(eq(apiKeys.tenantId, tenant.id))
        return new Map(rows.map((row) => [row.id, { ...row, lastUsedAt: null, lastUsedIp: null, lastUsedUserAgent: null }]))
      }
      let before = await read()
      for (const [i, step] of steps.entries()) {
        const caller = secrets[step.caller % secrets.length] as { id: string; key: string }
        const target = 'target' in step ? secrets[step.target % secrets.length]?.id : ''
        const path = { mint: '', rotate: `/${target}/rotate`, limit: `/${target}`, revoke: `/${target}/revoke` }[step.kind]
        const json = {
          mint: () => ({ name: `key ${i}`, role: 'role' in step && step.role, ...('limits' in step ? step.limits : {}) }),
          rotate: () => ({ overlapHours: 'overlapHours' in step ? step.overlapHours : 0 }),
          limit: () => ('limits' in step ? step.limits : {}),
          revoke: () => ({}),
        }[step.kind]()
        const method = step.kind === 'limit' ? 'PATCH' : 'POST'
        const response = await server.request(`/api/admin/api-keys${path}`, { method, key: caller.key, json })
        const body = (await response.json()) as { id: string; key?: string }
        const after = await read()
        const changed = [...after.values()].filter((row) => {
          const { trippedAt: _a, trippedIp: _b, trippedUserAgent: _c, ...was } = before.get(row.id) ?? ({} as Key)
          const { trippedAt: _d, trippedIp: _e, trippedUserAgent: _f, ...is } = row
          return JSON.stringify(was) !== JSON.stringify(is)
        })
        const holder = before.get(caller.id) as Key
        expect(response.status).toBeLessThan(500)
        if (response.ok) {
          done[step.kind]++
          for (const row of changed) expect([step, excess(row, holder, before.get(row.id))]).toEqual([step, []])
          // A rotation shows a new key: it is all the caller's own, whatever the old one had.
          if (body.key) expect([step, excess(after.get(body.id) as Key, holder, undefined)]).toEqual([step, []])
        } else {
          done.refused++
          expect([step, changed]).toEqual([step, []])
        }
        if (body.key) secrets.push({ id: body.id, key: body.key })
        before = after
      }
    }),
    { numRuns: 10 },
  )
  // The sequences did something: each kind of call was done, and some were refused.
  for (const count of Object.values(done)) expect(count).toBeGreaterThan(3)
})
