// Bulk revocation: what the preview showed is what is revoked, all of it or none, with one audit entry a key.
import { eq } from 'drizzle-orm'
import { describe, expect, test } from 'vitest'
import { apiKeys } from '#db/schema.ts'
import { type Role, roles } from '#server/roles.ts'
import { rowsOf } from './doors.ts'
import { auditOf, postForm, type SeededKey, seedKey, seedTenant, seedUser, useServer } from './harness.ts'

const server = useServer()
const dayMs = 86_400_000
const ago = (days: number) => new Date(Date.now() - days * dayMs)

interface Answer {
  isRevoked: boolean
  count: number
  digest: string
  hasMore: boolean
  leftOut: number
  keys: { id: string; name: string }[]
  detail: string
}

async function send(key: string, json: unknown): Promise<{ status: number; body: Answer }> {
  const response = await server.request('/api/admin/api-keys/bulk-revoke', { method: 'POST', key, json })
  return { status: response.status, body: (await response.json()) as Answer }
}
const revokedIn = async (tenantId: string) =>
  (await server.database.db.select().from(apiKeys).where(eq(apiKeys.tenantId, tenantId)))
    .filter(({ revokedAt }) => revokedAt !== null)
    .map(({ id }) => id)
    .sort()

async function house() {
  const { id } = await seedTenant(server)
  const make = (name: string, fields: object = {}, role: Role = 'Viewer') => seedKey(server, id, role, { name, ...fields })
  return {
    id,
    admin: await make('admin', { createdAt: ago(300) }, 'TenantAdmin'),
    ci: await make('ci-one', { createdById: 'ada', createdByName: 'Ada', createdAt: ago(100), lastUsedAt: ago(50) }, 'Tester'),
    old: await make('ci-two', { createdAt: ago(100), lastUsedAt: ago(95) }),
    never: await make('Nightly', { createdAt: ago(91) }),
    fresh: await make('fresh', { createdAt: ago(1) }),
    root: await make('ci-root', { createdAt: ago(200) }, 'SuperAdmin'),
    revoked: await make('ci-gone', { createdAt: ago(200), revokedAt: ago(1) }),
    expired: await make('ci-late', { createdAt: ago(200), expiresAt: ago(1) }),
    rotated: await make('ci-turned', { createdAt: ago(200), rotatesOutAt: ago(1) }),
  }
}
type House = Awaited<ReturnType<typeof house>>

const cases: [string, object, (house: House) => SeededKey[], number][] = [
  ['a part of the name', { search: 'CI-' }, ({ ci, old }) => [ci, old], 1],
  ['a role', { role: 'Tester' }, ({ ci }) => [ci], 0],
  ['who made it, by id', { createdBy: 'ada' }, ({ ci }) => [ci], 0],
  ['who made it, by name', { createdBy: 'AD' }, ({ ci }) => [ci], 0],
  ['days without use', { unusedForDays: 90 }, ({ old, never }) => [old, never], 1],
  ['fewer days', { unusedForDays: 49 }, ({ old, never, ci }) => [old, never, ci], 1],
  ['two of them', { unusedForDays: 90, search: 'ci' }, ({ old }) => [old], 1],
  ['none of them', {}, ({ ci, old, never, fresh }) => [ci, old, never, fresh], 1],
]

test.each(cases)(
  'by %s: the preview names the active keys that match and changes nothing; its digest revokes exactly those',
  async (_, filter, expected, leftOut) => {
    const home = await house()
    const ids = expected(home)
      .map(({ id }) => id)
      .sort()
    const before = [await rowsOf(server, home.id), (await auditOf(server, home.id)).length]
    const { status, body } = await send(home.admin.key, { ...filter, dryRun: true })
    expect([status, body.isRevoked, body.count, body.hasMore, body.leftOut]).toEqual([200, false, ids.length, false, leftOut])
    expect(body.keys.map(({ id }) => id).sort()).toEqual(ids)
    expect([await rowsOf(server, home.id), (await auditOf(server, home.id)).length]).toEqual(before)
    const gone = await revokedIn(home.id)
    const done = await send(home.admin.key, { ...filter, digest: body.digest, reason: 'a leaver' })
    expect(done).toMatchObject({ status: 200, body: { isRevoked: true, count: ids.length } })
    expect(await revokedIn(home.id)).toEqual([...gone, ...ids].sort())
    const entries = await auditOf(server, home.id, Number(before[1]))
    expect(entries.map(({ entityId }) => entityId).sort()).toEqual(ids)
    for (const entry of entries)
      expect(entry).toMatchObject({
        action: 'api_key.revoked',
        actorId: home.admin.id,
        details: { before: { status: 'active' }, after: { status: 'revoked' }, reason: 'a leaver' },
      })
    for (const { key } of expected(home)) expect((await server.request('/api/me', { key })).status).toBe(401)
    expect((await server.request('/api/me', { key: home.admin.key })).status).toBe(200)
  },
)

describe('revokes nothing', () => {
  test('when another key matches by then, or one no longer does: 409', async () => {
    const home = await house()
    const { body } = await send(home.admin.key, { search: 'ci', dryRun: true })
    const another = await seedKey(server, home.id, 'Viewer', { name: 'ci-three' })
    const gone = await revokedIn(home.id)
    expect(await send(home.admin.key, { search: 'ci', digest: body.digest })).toMatchObject({ status: 409 })
    await server.database.db.delete(apiKeys).where(eq(apiKeys.id, another.id))
    await server.database.db.delete(apiKeys).where(eq(apiKeys.id, home.old.id))
    expect(await send(home.admin.key, { search: 'ci', digest: body.digest })).toMatchObject({ status: 409 })
    expect(await revokedIn(home.id)).toEqual(gone)
  })

  test('without a digest, with one of another filter, or by who is no admin', async () => {
    const home = await house()
    const gone = await revokedIn(home.id)
    const { body } = await send(home.admin.key, { role: 'Tester', dryRun: true })
    expect((await send(home.admin.key, { role: 'Tester' })).status).toBe(400)
    expect((await send(home.admin.key, { role: 'Viewer', digest: body.digest })).status).toBe(409)
    for (const { key } of [home.ci, home.fresh]) expect((await send(key, { digest: body.digest })).status).toBe(403)
    expect(await revokedIn(home.id)).toEqual(gone)
  })

  test('of another tenant, by id', async () => {
    const [ours, theirs] = [await house(), await house()]
    const { body } = await send(ours.admin.key, { ids: [theirs.ci.id, ours.ci.id], dryRun: true })
    expect(body.keys.map(({ id }) => id)).toEqual([ours.ci.id])
    expect((await send(ours.admin.key, { ids: [theirs.ci.id, ours.ci.id], digest: body.digest })).status).toBe(200)
    expect((await server.request('/api/me', { key: theirs.ci.key })).status).toBe(200)
  })
})

test('each role revokes only keys up to its own, and is told how many it may not', async () => {
  const home = await house()
  for (const role of ['TenantAdmin', 'SuperAdmin'] as const) {
    const { key } = await seedKey(server, home.id, role)
    const { body } = await send(key, { dryRun: true })
    const rolesOf = new Set(body.keys.map((each) => (each as unknown as { role: Role }).role))
    for (const each of rolesOf) expect(roles.indexOf(each)).toBeLessThanOrEqual(roles.indexOf(role))
    expect(body.leftOut).toBe(role === 'TenantAdmin' ? 1 : 0)
  }
})

test('1,001 keys are revoked in two calls, and the first says that there are more', async () => {
  const tenant = await seedTenant(server)
  const admin = await seedKey(server, tenant.id, 'TenantAdmin')
  const row = {
    tenantId: tenant.id,
    prefix: 'mate_',
    role: 'Viewer',
    createdByKind: 'console',
    createdById: 'x',
    createdByName: 'x',
  } as const
  const rows = Array.from({ length: 1_001 }, (_, i) => ({
    ...row,
    name: `key ${i}`,
    keyHash: new TextEncoder().encode(`hash ${i}`),
  }))
  await server.database.db.insert(apiKeys).values(rows)
  for (const [count, hasMore] of [
    [1_000, true],
    [1, false],
  ]) {
    const { body } = await send(admin.key, { dryRun: true })
    expect([body.count, body.hasMore]).toEqual([count, hasMore])
    expect((await send(admin.key, { digest: body.digest })).status).toBe(200)
  }
  expect((await revokedIn(tenant.id)).length).toBe(1_001)
})

test('two at once over the same keys: each key is revoked once and has one entry, nobody waits for 5 seconds', async () => {
  for (let round = 0; round < 3; round++) {
    const home = await house()
    const second = await seedKey(server, home.id, 'TenantAdmin')
    const asked = await Promise.all([home.admin, second].map(({ key }) => send(key, { search: 'ci', dryRun: true })))
    const from = Date.now()
    const answers = await Promise.all(
      [home.admin, second].map(({ key }, i) => send(key, { search: 'ci', digest: asked[i]?.body.digest })),
    )
    expect(Date.now() - from).toBeLessThan(5_000)
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409])
    const entries = (await auditOf(server, home.id)).filter(({ action }) => action === 'api_key.revoked')
    expect(entries.map(({ entityId }) => entityId).sort()).toEqual([home.ci.id, home.old.id].sort())
  }
})

test('the page shows which, and revokes them with JavaScript off', async () => {
  const home = await house()
  const { cookie } = await seedUser(server, home.id, 'TenantAdmin')
  const path = '/api-keys/bulk-revoke?search=ci'
  const html = (await (await server.request(path, { headers: { cookie } })).text()).replaceAll(/<script[\s\S]*?<\/script>/g, '')
  for (const name of ['ci-one', 'ci-two']) expect(html).toContain(name)
  for (const name of ['ci-gone', 'ci-late', 'ci-turned', 'ci-root', 'Nightly']) expect(html).not.toContain(name)
  const digest = /name="digest" value="([^"]+)"/.exec(html)?.[1] ?? ''
  expect((await postForm(server, path, cookie, { digest: 'another', reason: '' })).status).toBe(409)
  expect((await postForm(server, path, cookie, { digest, reason: 'a leaver' })).status).toBe(302)
  for (const { key } of [home.ci, home.old]) expect((await server.request('/api/me', { key })).status).toBe(401)
})
