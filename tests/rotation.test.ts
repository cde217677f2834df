// Rotation: one successor that is what the old key was, a while in which both work, and an end that is the old key's last.
import { eq } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { apiKeys } from '#db/schema.ts'
import { type Role, roles } from '#server/roles.ts'
import { eventually, rowsOf, settleInMinute, unique } from './doors.ts'
import { auditOf, postForm, seedKey, seedTenant, seedUser, useServer, withoutScripts } from './harness.ts'

const server = useServer({ MATE_MAX_KEY_DAYS: '100' })
const house = { id: '', admin: { id: '', key: '', name: '' }, cookie: '' }
beforeAll(async () => {
  house.id = (await seedTenant(server)).id
  house.admin = await seedKey(server, house.id, 'TenantAdmin')
  house.cookie = (await seedUser(server, house.id, 'TenantAdmin')).cookie
})

const dayMs = 86_400_000
type Body = Record<string, unknown> & { id: string; key: string; detail: string; expiresAt: string }

async function rotate(id: string, overlapHours: number, key = house.admin.key): Promise<{ status: number; body: Body }> {
  const response = await server.request(`/api/admin/api-keys/${id}/rotate`, { method: 'POST', key, json: { overlapHours } })
  return { status: response.status, body: (await response.json()) as Body }
}
const get = async (id: string) =>
  (await (await server.request(`/api/admin/api-keys/${id}`, { key: house.admin.key })).json()) as Record<string, unknown>
const shown = async (path: string) =>
  withoutScripts(await (await server.request(path, { headers: { cookie: house.cookie } })).text())
const statusWith = async (key: string) => (await server.request('/api/me', { key })).status
const end = (id: string) => server.database.db.update(apiKeys).set({ rotatesOutAt: new Date() }).where(eq(apiKeys.id, id))

describe('a successor', () => {
  const limits = { allowedIps: ['127.0.0.0/8'], requestsPerMinute: 100, scopes: ['agents:read', 'me:read'] }

  test('has the name, role, limits and lifetime of the old key; both work, each is linked to the other, and one entry says so', async () => {
    const createdAt = new Date(Date.now() - 20 * dayMs)
    const expiresAt = new Date(createdAt.getTime() + 30 * dayMs)
    const old = await seedKey(server, house.id, 'Tester', { ...limits, createdAt, expiresAt })
    const { status, body } = await rotate(old.id, 24)
    expect(status).toBe(201)
    const { name } = old
    expect(body).toMatchObject({ ...limits, name, role: 'Tester', status: 'active', replacesId: old.id, replacedById: null })
    expect(Math.abs(Date.parse(body.expiresAt) - Date.now() - 30 * dayMs)).toBeLessThan(60_000)
    expect([await statusWith(old.key), await statusWith(body.key)]).toEqual([200, 200])
    const before = await get(old.id)
    expect(before).toMatchObject({ status: 'active', replacedById: body.id })
    expect(Math.abs(Date.parse(String(before.rotatesOutAt)) - Date.now() - dayMs)).toBeLessThan(60_000)
    expect((await auditOf(server, house.id)).at(-1)).toMatchObject({
      action: 'api_key.rotated',
      entityId: old.id,
      details: { after: { successorId: body.id, ...limits } },
    })
    const log = JSON.stringify(await auditOf(server, house.id))
    expect(log).not.toContain(body.key)
  })

  test('of a key that lives longer than the deployment allows lives as long as it allows', async () => {
    for (const expiresAt of [null, new Date(Date.now() + 400 * dayMs)]) {
      const { id } = await seedKey(server, house.id, 'Viewer', { expiresAt })
      const { body } = await rotate(id, 1)
      expect(Math.abs(Date.parse(body.expiresAt) - Date.now() - 100 * dayMs)).toBeLessThan(60_000)
    }
  })

  test('holds the name from the start: nobody else can take it, during the overlap and after it', async () => {
    const old = await seedKey(server, house.id, 'Viewer')
    const create = () =>
      server.request('/api/admin/api-keys', {
        method: 'POST',
        key: house.admin.key,
        json: { name: old.name, role: 'Viewer', expiresAt: new Date(Date.now() + dayMs).toISOString() },
      })
    await rotate(old.id, 24)
    expect((await create()).status).toBe(409)
    await end(old.id)
    expect((await create()).status).toBe(409)
  })

  test('is made of an expired key too, unless its name is another’s by now', async () => {
    const expired = { createdAt: new Date(Date.now() - 2 * dayMs), expiresAt: new Date(Date.now() - dayMs) }
    const old = await seedKey(server, house.id, 'Viewer', expired)
    const { status, body } = await rotate(old.id, 24)
    expect([status, await statusWith(old.key), await statusWith(body.key)]).toEqual([201, 401, 200])
    const another = await seedKey(server, house.id, 'Viewer', expired)
    await seedKey(server, house.id, 'Viewer', { name: another.name })
    expect((await rotate(another.id, 24)).body.detail).toContain('An active key has this name')
  })

  test('is what a key can make of itself', async () => {
    const old = await seedKey(server, house.id, 'TenantAdmin')
    const { status, body } = await rotate(old.id, 0, old.key)
    expect([status, await statusWith(old.key), await statusWith(body.key)]).toEqual([201, 401, 200])
  })
})

describe('is refused, and nothing changes,', () => {
  test.each(roles)('to a %s for a key above their own role, and to those who are no admin for any', async (held: Role) => {
    const { key } = await seedKey(server, house.id, held)
    for (const of of roles) {
      const target = await seedKey(server, house.id, of)
      const before = await rowsOf(server, house.id)
      const { status, body } = await rotate(target.id, 1, key)
      const mayRotate = roles.indexOf(held) >= Math.max(roles.indexOf('TenantAdmin'), roles.indexOf(of))
      expect([of, status]).toEqual([of, mayRotate ? 201 : 403])
      if (mayRotate) expect(body.role).toBe(of)
      else expect(await rowsOf(server, house.id)).toBe(before)
    }
  })

  test('to a limited key for one with more than its own limits, which it would be shown', async () => {
    const limited = await seedKey(server, house.id, 'TenantAdmin', { allowedIps: ['127.0.0.0/8'], scopes: ['api-keys:write'] })
    for (const fields of [{}, { allowedIps: ['127.0.0.1/32'] }, { allowedIps: ['0.0.0.0/0'], scopes: ['api-keys:write'] }]) {
      const target = await seedKey(server, house.id, 'Viewer', fields)
      const before = await rowsOf(server, house.id)
      expect((await rotate(target.id, 1, limited.key)).status).toBe(403)
      expect(await rowsOf(server, house.id)).toBe(before)
    }
  })

  test('for a key that is revoked, or was rotated before: 409 that says what to do', async () => {
    const revoked = await seedKey(server, house.id, 'Viewer', { revokedAt: new Date() })
    expect(await rotate(revoked.id, 1)).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('Generate another') },
    })
    const old = await seedKey(server, house.id, 'Viewer')
    const { body } = await rotate(old.id, 1)
    const again = { status: 409, body: { detail: expect.stringContaining(body.id) } }
    expect(await rotate(old.id, 1)).toMatchObject(again)
    await end(old.id)
    expect(await rotate(old.id, 1)).toMatchObject(again)
  })

  test.each([-1, 168.1, 1e9, '24', null])('for an overlap of %j hours', async (overlapHours) => {
    const { id } = await seedKey(server, house.id, 'Viewer')
    const before = await rowsOf(server, house.id)
    expect((await rotate(id, overlapHours as number)).status).toBe(400)
    expect(await rowsOf(server, house.id)).toBe(before)
  })
})

test('eight rotations at once make one successor; the other seven are 409 and name it', async () => {
  for (const overlapHours of [0, 24]) {
    const old = await seedKey(server, house.id, 'Viewer')
    const answers = await Promise.all(Array.from({ length: 8 }, () => rotate(old.id, overlapHours)))
    const [made, ...more] = answers.filter(({ status }) => status === 201)
    expect(more).toEqual([])
    const others = answers.filter(({ status }) => status === 409)
    expect(others).toHaveLength(7)
    for (const { body } of others) expect(body.detail).toContain(made?.body.id)
    expect(await server.database.db.$count(apiKeys, eq(apiKeys.replacesId, old.id))).toBe(1)
  }
})

test('a deleted successor leaves the old key as it is, and the old key’s deletion leaves the successor', async () => {
  const old = await seedKey(server, house.id, 'Viewer')
  const { body } = await rotate(old.id, 24)
  const remove = (id: string) => server.request(`/api/admin/api-keys/${id}`, { method: 'DELETE', key: house.admin.key })
  expect((await remove(body.id)).status).toBe(204)
  expect(await get(old.id)).toMatchObject({ replacedById: null, status: 'active' })
  expect((await rotate(old.id, 1)).body.detail).toContain('Its successor is deleted')
  const next = await seedKey(server, house.id, 'Viewer')
  const { body: successor } = await rotate(next.id, 24)
  expect((await remove(next.id)).status).toBe(204)
  expect(await get(successor.id)).toMatchObject({ replacesId: null, status: 'active' })
})

describe('the tripwire', () => {
  const unknown = `mate_${'0'.repeat(49)}`

  test.each([
    ['revoked', { revokedAt: new Date() }],
    ['rotated out', { rotatesOutAt: new Date() }],
  ])('a use of a key that is %s is refused as a key that nobody has, byte for byte', async (_, fields) => {
    const { key } = await seedKey(server, house.id, 'Viewer', fields)
    const [ended, nobody] = await Promise.all([key, unknown].map((each) => server.request('/api/me', { key: each })))
    const bytes = async (response: Response | undefined) => (await response?.text())?.replace(/"requestId":"[^"]+"/, '')
    expect(await bytes(ended)).toBe(await bytes(nobody))
    expect(ended?.status).toBe(401)
  })

  test.each([
    ['revoked', { revokedAt: new Date() }],
    ['rotated out', { rotatesOutAt: new Date() }],
  ])(
    'of a %s key: one entry a key and minute whatever was called, with a count; address and agent are on the key and the page',
    async (reason, fields) => {
      await settleInMinute()
      const { id, key, name } = await seedKey(server, house.id, 'TenantAdmin', { ...fields, name: unique('Leaked') })
      const headers = { 'user-agent': 'evil/1.0' }
      for (const path of ['/api/me', '/api/agents', '/api/admin/audit-log', '/api/me'])
        await server.request(path, { key, headers })
      const find = async () => {
        const response = await server.request(`/api/admin/audit-log?actor=${id}`, { key: house.admin.key })
        return ((await response.json()) as { items: Record<string, unknown>[] }).items
      }
      expect(await eventually(find, ([entry]) => entry?.occurrences === 4)).toMatchObject([
        {
          ...{ action: 'api_key.tripwire', outcome: 'refused', occurrences: 4, ip: '127.0.0.1', userAgent: 'evil/1.0' },
          details: { reason: `The key is ${reason}.` },
        },
      ])
      const tripped = { id, trippedIp: '127.0.0.1', trippedUserAgent: 'evil/1.0', trippedAt: expect.any(String) }
      expect(await get(id)).toMatchObject(tripped)
      const notices = await server.request('/api/admin/notices', { key: house.admin.key })
      expect(((await notices.json()) as { items: unknown[] }).items[0]).toMatchObject({
        kind: 'api_key.tripwire',
        about: { id, name },
        facts: { ip: '127.0.0.1', userAgent: 'evil/1.0' },
      })
      for (const path of ['/api-keys', `/api-keys/${id}`]) {
        const page = await (await server.request(path, { headers: { cookie: house.cookie } })).text()
        expect(page).toContain('evil/1.0')
        expect(page).toContain(name)
      }
    },
  )

  test('is not set off by a key that has only expired, nor by one that is refused for anything else', async () => {
    const expired = await seedKey(server, house.id, 'Viewer', { expiresAt: new Date() })
    const viewer = await seedKey(server, house.id, 'Viewer', { allowedIps: ['10.0.0.0/8'] })
    for (const { key, id } of [expired, viewer]) {
      await server.request('/api/admin/audit-log', { key })
      expect(await get(id)).toMatchObject({ trippedAt: null })
    }
  })
})

describe('the page', () => {
  test('rotates with JavaScript off: shows the new key once, and says of a second time that it was done before', async () => {
    const old = await seedKey(server, house.id, 'Viewer')
    const path = `/api-keys/${old.id}/rotate`
    const asked = await server.request(path, { headers: { cookie: house.cookie } })
    expect([asked.status, await asked.text()]).toEqual([200, expect.stringContaining('name="overlapHours"')])
    const done = await postForm(server, path, house.cookie, { overlapHours: '24' })
    expect(done.status).toBe(201)
    expect(done.headers.get('cache-control')).toContain('no-store')
    const told = await done.text()
    const [key = ''] = /mate_[0-9A-Za-z]{49}/.exec(told) ?? []
    expect(withoutScripts(told)).toMatch(/The old key works until <time[^>]* dateTime="[^"]+"/)
    expect([await statusWith(key), await statusWith(old.key)]).toEqual([200, 200])
    const again = await postForm(server, path, house.cookie, { overlapHours: '24' })
    expect(again.status).toBe(409)
    expect(await again.text()).not.toMatch(/mate_[0-9A-Za-z]{49}/)
    await eventually(
      () => shown(`/api-keys/${old.id}`),
      (page) => page.includes('Last used at'),
    )
    const page = await shown(`/api-keys/${old.id}`)
    for (const text of ['Last used at', 'from 127.0.0.1', 'This key ends at', 'Successor']) expect(page).toContain(text)
  })
})
