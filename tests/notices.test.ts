// Notices: told once, in time, to the page and to webhooks, whatever node looks and however often.
import { eq } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { notices, webhookDeliveries } from '#db/schema.ts'
import { sweepNotices } from '#server/notice-sweep.ts'
import { notify } from '#server/notices.ts'
import { actIn } from '#server/principal.ts'
import { waitUntil } from './child-server.ts'
import type { Input } from './doors.ts'
import { auditOf, countAudit, seedKey, seedNotice, seedTenant, seedWebhook, useServer } from './harness.ts'

const server = useServer()
const dayMs = 86_400_000
let house: { id: string; key: string }
beforeAll(async () => {
  const { id } = await seedTenant(server)
  house = { id, key: (await seedKey(server, id, 'TenantAdmin')).key }
})

const daysAfter = (from: Date, days: number) => new Date(from.getTime() + days * dayMs)
const toldOf = (keyId: string) =>
  server.database.db
    .select({ kind: notices.kind, name: notices.entityName, facts: notices.facts })
    .from(notices)
    .where(eq(notices.entityId, keyId))
    .orderBy(notices.at)

/** A key that lives for `days` from `from` on. */
const keyFor = (from: Date, days: number, fields = {}) =>
  seedKey(server, house.id, 'Tester', { createdAt: from, expiresAt: daysAfter(from, days), lastUsedAt: from, ...fields })

describe('a key that expires', () => {
  const from = new Date('2030-01-01T00:00:00Z')
  const daysOf = async (keyId: string) => (await toldOf(keyId)).map(({ facts }) => facts.daysBefore)

  test('is told of 14, 7 and 1 days before, each once, however often and by how many nodes at once it is looked', async () => {
    const { id, name } = await keyFor(from, 30)
    const expected: [number, number[]][] = [
      [15.9, []],
      [16, [14]],
      [22.9, [14]],
      [23.01, [14, 7]],
      [28.9, [14, 7]],
      [29, [14, 7, 1]],
      [29.99, [14, 7, 1]],
      [31, [14, 7, 1]],
    ]
    for (const [day, days] of expected) {
      await Promise.all([1, 2, 3].map(() => sweepNotices(server.database, daysAfter(from, day))))
      expect([day, await daysOf(id)]).toEqual([day, days])
    }
    expect((await toldOf(id))[0]).toEqual({
      kind: 'api_key.expiring',
      name,
      facts: { expiresAt: '2030-01-31T00:00:00.000Z', daysBefore: 14, role: 'Tester', prefix: expect.stringMatching(/^mate_/) },
    })
  })

  test('is told of the nearest day alone when none looked before, and of no day that is longer than its life', async () => {
    const long = await keyFor(from, 30)
    const week = await keyFor(from, 7)
    const hours = await keyFor(from, 0.5)
    await sweepNotices(server.database, daysAfter(from, 0.1))
    expect([await daysOf(long.id), await daysOf(week.id), await daysOf(hours.id)]).toEqual([[], [], []])
    await sweepNotices(server.database, daysAfter(from, 6.5))
    expect([await daysOf(week.id), await daysOf(hours.id)]).toEqual([[1], []])
    await sweepNotices(server.database, daysAfter(from, 29.5))
    expect(await daysOf(long.id)).toEqual([1])
  })

  test('is not told of once it is revoked, or of a tenant that is deactivated', async () => {
    const revoked = await keyFor(from, 30, { revokedAt: from })
    await sweepNotices(server.database, daysAfter(from, 29.5))
    expect(await toldOf(revoked.id)).toEqual([])
  })
})

test('a key that nobody used for 60 days is told of once, and once more when it was used since', async () => {
  const from = new Date('2040-01-01T00:00:00Z')
  const fresh = await seedKey(server, house.id, 'Viewer', { createdAt: from })
  const used = await seedKey(server, house.id, 'Viewer', { createdAt: from, lastUsedAt: daysAfter(from, 30) })
  const gone = await seedKey(server, house.id, 'Viewer', { createdAt: from, revokedAt: from })
  const over = await seedKey(server, house.id, 'Viewer', { createdAt: from, expiresAt: daysAfter(from, 5) })
  const timesTold = async () =>
    Promise.all(
      [fresh, used, gone, over].map(async ({ id }) => (await toldOf(id)).filter(({ kind }) => kind === 'api_key.unused').length),
    )
  await sweepNotices(server.database, daysAfter(from, 59.9))
  expect(await timesTold()).toEqual([0, 0, 0, 0])
  for (const day of [60, 61, 89]) await sweepNotices(server.database, daysAfter(from, day))
  expect(await timesTold()).toEqual([1, 0, 0, 0])
  for (const day of [90, 300]) await sweepNotices(server.database, daysAfter(from, day))
  expect(await timesTold()).toEqual([1, 1, 0, 0])
  expect((await toldOf(fresh.id))[0]).toMatchObject({ kind: 'api_key.unused', facts: { days: 60, lastUsedAt: null } })
})

test('a notice and its events are written with what they tell of, or not at all', async () => {
  const { id } = await seedTenant(server)
  const { id: webhookId } = await seedWebhook(server, id, { events: ['api_keys.frozen'] })
  await seedWebhook(server, id, { events: ['api_key.leaked', 'audit.entry'] })
  await seedWebhook(server, id, { isActive: false })
  const count = async () => [
    await server.database.db.$count(notices, eq(notices.tenantId, id)),
    await server.database.db.$count(webhookDeliveries, eq(webhookDeliveries.tenantId, id)),
  ]
  const freeze = (isCommitted: boolean) =>
    server.database.transaction(async (tx) => {
      await actIn(tx, 'transaction', id)
      const isNew = await notify(tx, { kind: 'api_keys.frozen', tenantId: id, onceKey: 'freeze.1' })
      if (!isCommitted) throw new Error('rolled back')
      return isNew
    })
  await expect(freeze(false)).rejects.toThrow('rolled back')
  expect(await count()).toEqual([0, 0])
  expect([await freeze(true), await freeze(true)]).toEqual([true, false])
  expect(await count()).toEqual([1, 1])
  const [delivery] = await server.database.db.select().from(webhookDeliveries).where(eq(webhookDeliveries.tenantId, id))
  expect(delivery).toMatchObject({ webhookId, event: 'api_keys.frozen' })
})

test('deliveries are kept for 30 days, and a batch of the audit log until it is delivered', async () => {
  const { id: webhookId } = await seedWebhook(server, house.id, { isActive: false })
  const createdAt = new Date('2035-01-01T00:00:00Z')
  const write = (event: string, status: 'pending' | 'delivered') =>
    server.database.db.insert(webhookDeliveries).values({ tenantId: house.id, webhookId, event, status, body: '{}', createdAt })
  await write('api_key.leaked', 'pending')
  await write('audit.entry', 'delivered')
  await write('audit.entry', 'pending')
  const count = () => server.database.db.$count(webhookDeliveries, eq(webhookDeliveries.webhookId, webhookId))
  await sweepNotices(server.database, daysAfter(createdAt, 29))
  expect(await count()).toBe(3)
  await sweepNotices(server.database, daysAfter(createdAt, 31))
  const left = await server.database.db.select().from(webhookDeliveries).where(eq(webhookDeliveries.webhookId, webhookId))
  expect(left).toMatchObject([{ event: 'audit.entry', status: 'pending' }])
})

test('a delivery whose job went missing is asked for again, one of an inactive webhook is not', async () => {
  const active = await seedWebhook(server, house.id)
  const inactive = await seedWebhook(server, house.id, { isActive: false })
  const nextAttemptAt = new Date(Date.now() - 2 * 3_600_000)
  for (const { id } of [active, inactive])
    await server.database.db
      .insert(webhookDeliveries)
      .values({ tenantId: house.id, webhookId: id, event: 'api_key.leaked', body: '{}', nextAttemptAt })
  await sweepNotices(server.database)
  const attemptsOf = async (id: string) =>
    (await server.database.db.select().from(webhookDeliveries).where(eq(webhookDeliveries.webhookId, id)))[0]?.attempts
  await waitUntil(async () => (await attemptsOf(active.id)) === 1)
  expect(await attemptsOf(inactive.id)).toBe(0)
})

describe('by REST', () => {
  async function ask(method: string, path = '') {
    const response = await server.request(`/api/admin/notices${path}`, { method, key: house.key })
    return { status: response.status, body: (await response.json()) as Input & { items: Input[] } }
  }

  test('an open notice is listed, dismissed once for everybody, audited, and listed as dismissed', async () => {
    const id = await seedNotice(server, house.id)
    const isIn = async (status: string) =>
      (await ask('GET', `?limit=200&status=${status}`)).body.items.some((item) => item.id === id)
    expect([await isIn('open'), await isIn('dismissed'), await isIn('all')]).toEqual([true, false, true])
    const done = await ask('POST', `/${id}/dismiss`)
    expect([done.status, done.body.dismissedAt]).toEqual([200, expect.stringMatching(/Z$/)])
    const audit = await countAudit(server, house.id)
    expect((await ask('POST', `/${id}/dismiss`)).body).toEqual(done.body)
    expect(await countAudit(server, house.id)).toBe(audit)
    expect([await isIn('open'), await isIn('dismissed'), await isIn('all')]).toEqual([false, true, true])
    expect((await auditOf(server, house.id)).at(-1)).toMatchObject({ action: 'notice.dismissed', entityId: id })
    expect((await ask('POST', `/${crypto.randomUUID()}/dismiss`)).status).toBe(404)
  })

  test('pages of any size have every notice exactly once, newest first', async () => {
    for (let each = 0; each < 5; each++) await seedNotice(server, house.id)
    const all = (await ask('GET', '?limit=200')).body.items
    const walked: Input[] = []
    let cursor: unknown = ''
    for (let pages = 0; cursor !== null && pages < 100; pages++) {
      const { body } = await ask('GET', `?limit=2${cursor ? `&cursor=${cursor}` : ''}`)
      walked.push(...body.items)
      cursor = body.nextCursor
    }
    expect(walked).toEqual(all)
  })
})

describe('in the transaction of its cause', () => {
  const post = (path: string, json: object, key?: string) =>
    server.request(`/api${path}`, { method: 'POST', json, ...(key ? { key } : {}) })
  const eventsTo = async (webhookId: string) =>
    (
      await server.database.db
        .select({ event: webhookDeliveries.event })
        .from(webhookDeliveries)
        .where(eq(webhookDeliveries.webhookId, webhookId))
        .orderBy(webhookDeliveries.createdAt)
    ).map(({ event }) => event)

  test('a leak, the use of a key that has ended, a freeze and its end are told, and sent to who wants them', async () => {
    const { id: tenantId } = await seedTenant(server)
    const admin = await seedKey(server, tenantId, 'TenantAdmin')
    const other = await seedTenant(server)
    const above = await seedKey(server, other.id, 'SuperAdmin')
    const leaked = await seedKey(server, tenantId, 'Viewer')
    const webhook = await seedWebhook(server, tenantId)

    expect((await post('/keys/report-leak', { key: leaked.key })).status).toBe(202)
    // A client in a loop is one thing to know of.
    for (let each = 0; each < 3; each++) expect((await server.request('/api/me', { key: leaked.key })).status).toBe(401)
    expect((await post('/admin/api-keys/freeze', { reason: 'a drill' }, admin.key)).status).toBe(200)
    const inTenant = { key: above.key, headers: { 'x-tenant-id': tenantId } }
    const thawed = await server.request('/api/admin/api-keys/unfreeze', { method: 'POST', json: {}, ...inTenant })
    expect(thawed.status).toBe(200)

    expect((await toldOf(leaked.id)).map(({ kind, name }) => [kind, name])).toEqual([
      ['api_key.leaked', leaked.name],
      ['api_key.tripwire', leaked.name],
    ])
    expect(await eventsTo(webhook.id)).toEqual(['api_key.leaked', 'api_key.tripwire', 'api_keys.frozen', 'api_keys.unfrozen'])
  })

  test('what is refused, or is so already, tells nobody', async () => {
    const { id: tenantId } = await seedTenant(server)
    const viewer = await seedKey(server, tenantId, 'Viewer')
    const webhook = await seedWebhook(server, tenantId)
    expect((await post('/admin/api-keys/freeze', {}, viewer.key)).status).toBe(403)
    expect((await post('/keys/report-leak', { key: 'mate_nobody' })).status).toBe(202)
    expect(await eventsTo(webhook.id)).toEqual([])
  })
})
