// Whoever finds a key may end it: without a credential, within a limit, and without learning whether there was one.
import { eq } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { apiKeys, auditLog, tenants } from '#db/schema.ts'
import { generateApiKey } from '#server/api-key.ts'
import { networkOf } from '#server/client-address.ts'
import { makePlace, startChildServer } from './child-server.ts'
import { countRows, rowsOf, sendRaw } from './doors.ts'
import { auditOf, countAudit, type SeededKey, seedKey, seedTenant, seedUser, useServer } from './harness.ts'

const server = useServer({ MATE_LEAK_REPORTS: '1000' })
const house = { id: '', admin: {} as SeededKey }
beforeAll(async () => {
  house.id = (await seedTenant(server)).id
  house.admin = await seedKey(server, house.id, 'TenantAdmin')
})

const byRest = (json: unknown, headers = {}) => server.request('/api/keys/report-leak', { method: 'POST', json, headers })
const byTrpc = (json: unknown, headers = {}) => server.request('/trpc/apiKeys.reportLeak', { method: 'POST', json, headers })
const doors = [
  ['REST', byRest, 202],
  ['tRPC', byTrpc, 200],
] as const
const recordOf = async ({ id }: SeededKey) => (await server.database.db.select().from(apiKeys).where(eq(apiKeys.id, id)))[0]

describe.each(doors)('by %s', (_, report, status) => {
  test('a live key that is reported is revoked at once, of any role, and audited in its tenant as the system’s', async () => {
    for (const role of ['Viewer', 'SuperAdmin'] as const) {
      const key = await seedKey(server, house.id, role)
      const audit = await countAudit(server, house.id)
      const answer = await report({ key: key.key }, { 'user-agent': 'a scanner' })
      expect(answer.status).toBe(status)
      expect((await server.request('/api/me', { key: key.key })).status).toBe(401)
      expect(await auditOf(server, house.id, audit)).toMatchObject([
        {
          action: 'api_key.leaked',
          actorKind: 'system',
          actorRole: null,
          entityType: 'api_key',
          entityId: key.id,
          entityName: key.name,
          outcome: 'success',
          ip: '127.0.0.1',
          userAgent: 'a scanner',
          requestId: answer.headers.get('x-request-id'),
          details: { before: { status: 'active' }, after: { status: 'revoked' }, reason: 'Reported as leaked.' },
        },
        { action: 'api_key.tripwire' },
      ])
      const { revokedAt, revokedByName, revokedReason } = (await recordOf(key)) ?? {}
      expect(revokedAt?.getTime()).toBeGreaterThan(Date.now() - 60_000)
      expect([revokedByName, revokedReason]).toEqual(['a leak report', 'Reported as leaked.'])
    }
  })

  test('the answer is the same, and takes as long, for a live key, a dead one, one of nobody, and what is no key', async () => {
    const shut = await seedTenant(server)
    const closed = await seedKey(server, shut.id, 'Viewer')
    await server.database.db.update(tenants).set({ isActive: false }).where(eq(tenants.id, shut.id))
    const live = await seedKey(server, house.id, 'Viewer')
    const dead = [
      await seedKey(server, house.id, 'Viewer', { revokedAt: new Date(), revokedById: 'x', revokedByName: 'x' }),
      await seedKey(server, house.id, 'Viewer', { expiresAt: new Date(Date.now() - 1_000) }),
    ]
    const before = await Promise.all(dead.map(recordOf))
    const audit = await countAudit(server, house.id)
    const keys = [live, closed, ...dead].map(({ key }) => key)
    const nobodys = [generateApiKey().key, `${live.key}0`, 'mate_', '', 'é'.repeat(1_000), "' or 1=1"]
    const ask = async (key: string) => {
      const from = performance.now()
      const answer = await report({ key })
      const { date: _date, 'x-request-id': _id, ...headers } = Object.fromEntries(answer.headers)
      const text = await answer.text()
      expect(performance.now() - from).toBeGreaterThan(190)
      return { status: answer.status, headers, text }
    }
    const answers = await Promise.all([...keys, ...nobodys].map(ask))
    for (const answer of answers) expect(answer).toEqual(answers[0])
    expect(await Promise.all(dead.map(recordOf))).toEqual(before)
    expect(await countAudit(server, house.id)).toBe(audit + 1)
    expect((await recordOf(live))?.revokedAt).not.toBeNull()
    // It would be alive again with its tenant.
    expect((await recordOf(closed))?.revokedAt).not.toBeNull()
  })

  test('a credential of the request is not looked at, good or bad', async () => {
    for (const headers of [
      { 'x-api-key': 'x' },
      { 'x-api-key': house.admin.key },
      { authorization: `Bearer ${generateApiKey().key}`, 'x-tenant-id': 'x' },
    ]) {
      const key = await seedKey(server, house.id, 'Viewer')
      expect((await report({ key: ` ${key.key}\n` }, headers)).status).toBe(status)
      expect((await recordOf(key))?.revokedAt).not.toBeNull()
    }
  })

  test('ten reports of one key at once end it once', async () => {
    const key = await seedKey(server, house.id, 'Viewer')
    const answers = await Promise.all(Array.from({ length: 10 }, () => report({ key: key.key })))
    expect(answers.map((answer) => answer.status)).toEqual(Array(10).fill(status))
    expect(await server.database.db.$count(auditLog, eq(auditLog.entityId, key.id))).toBe(1)
  })

  test('what is no report is 400, 413 or 415, quotes nothing, and ends nothing', async () => {
    const { key } = await seedKey(server, house.id, 'Viewer')
    const before = [await rowsOf(server, house.id), await countAudit(server, house.id), await countRows(server)]
    const bad = [{}, { key: null }, { key: 5 }, { key: [key] }, { keys: [key] }, { key, and: 'more' }, [key], key, null]
    for (const json of [...bad, { key: `${key}\0` }, { key: '\ud800' }, { key: key.repeat(20) }]) {
      const answer = await report(json)
      expect([json, answer.status]).toEqual([json, 400])
      expect(await answer.text()).not.toContain(key)
    }
    expect((await report({ key: 'x'.repeat(1_000_001) })).status).toBe(413)
    expect((await report({ key }, { 'content-type': 'text/plain' })).status).toBe(415)
    expect([await rowsOf(server, house.id), await countAudit(server, house.id), await countRows(server)]).toEqual(before)
  })
})

test('a batch without a credential reports, and does nothing else', async () => {
  const key = await seedKey(server, house.id, 'Viewer')
  const json = { 0: { key: key.key }, 1: { name: 'x', role: 'Viewer' } }
  const path = '/trpc/apiKeys.reportLeak,apiKeys.create?batch=1'
  const answer = await server.request(path, { method: 'POST', json })
  const [reported, refused] = await answer.json()
  expect(reported.result.data).toHaveProperty('detail')
  expect(refused.error.data.httpStatus).toBe(401)
})

test('a person who is signed in may report from a page’s door as anyone does', async () => {
  const { cookie } = await seedUser(server, house.id, 'Viewer')
  const key = await seedKey(server, house.id, 'SuperAdmin')
  const answer = await sendRaw(server, {
    method: 'POST',
    path: '/api/keys/report-leak',
    headers: ['Cookie', cookie, 'Content-Type', 'application/json'],
    body: JSON.stringify({ key: key.key }),
  })
  expect(answer.status).toBe(202)
  expect(answer.headers['set-cookie']).toBeUndefined()
})

describe('reports are limited', () => {
  const settings = { MATE_LEAK_REPORTS: '2', MATE_TRUST_PROXY: '127.0.0.1' }

  test('to so many a minute from one address, and to 20 times that from all: 429, and nothing is ended', async () => {
    const place = await makePlace()
    const before = await place.open()
    const tenant = await seedTenant({ database: before })
    const { id, key } = await seedKey({ database: before }, tenant.id, 'Viewer')
    await before.close()
    const limited = await startChildServer({ ...place.settings, ...settings })
    const from = async (address: string, key = generateApiKey().key) => {
      const headers = { 'x-forwarded-for': address }
      return limited.request('/api/keys/report-leak', { method: 'POST', json: { key }, headers })
    }
    expect((await from('192.0.2.1')).status).toBe(202)
    expect((await from('192.0.2.1', 'x')).status).toBe(202)
    const refused = await from('192.0.2.1', key)
    expect(refused.status).toBe(429)
    expect(refused.headers.get('retry-after')).toBe('60')
    expect(await refused.json()).toMatchObject({ code: 'too_many_requests', title: 'Too many requests' })
    // A /64 is one client; the next one is another.
    expect((await from('2001:db8::1')).status).toBe(202)
    expect((await from('2001:db8:0:0:ffff::2')).status).toBe(202)
    expect((await from('2001:DB8::3')).status).toBe(429)
    expect((await from('2001:db8:0:1::1')).status).toBe(202)
    // What was refused to one address is not taken from all: 5 of 40 are spent.
    const rest = await Promise.all(Array.from({ length: 40 }, (_, i) => from(`198.51.100.${i}`)))
    expect(rest.filter(({ status }) => status === 202)).toHaveLength(35)
    expect(rest.filter(({ status }) => status === 429)).toHaveLength(5)
    // Other operations are not limited with it.
    expect((await limited.request('/api/me', { key, headers: { 'x-forwarded-for': '192.0.2.1' } })).status).toBe(200)
    await limited.kill('SIGTERM')
    const after = await place.open()
    const [record] = await after.db.select({ revokedAt: apiKeys.revokedAt }).from(apiKeys).where(eq(apiKeys.id, id))
    await after.close()
    expect(record).toEqual({ revokedAt: null })
  })

  test('by IPv4 address or by IPv6 /64, however it is spelled', () => {
    expect(networkOf('192.0.2.1')).toBe('192.0.2.1')
    expect(networkOf('unknown')).toBe('unknown')
    const same = ['2001:db8::1', '2001:DB8:0:0::', '2001:0db8:0000:0000:1:2:3:4', '2001:db8::ffff:1.2.3.4', '2001:db8::1%eth0']
    expect(new Set(same.map(networkOf))).toEqual(new Set(['2001:db8:0:0::/64']))
    expect(networkOf('::1')).toBe('0:0:0:0::/64')
    expect(networkOf('fe80:1:2:3:4:5:6:7')).toBe('fe80:1:2:3::/64')
  })
})
