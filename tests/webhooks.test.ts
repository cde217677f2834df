// Webhooks: what is sent where, signed by whom, how often, and what an admin sees of it.
import { and, eq, sql } from 'drizzle-orm'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { auditLog, notices, outbox, webhookDeliveries, webhooks } from '#db/schema.ts'
import { readEnv } from '#server/env.ts'
import { notify } from '#server/notices.ts'
import { loadSecret } from '#server/secret.ts'
import { attemptDelivery } from '#server/webhook-delivery.ts'
import { waitUntil } from './child-server.ts'
import { aWebhook, type Input } from './doors.ts'
import {
  auditOf,
  countAudit,
  postForm,
  type SeededKey,
  seedKey,
  seedNotice,
  seedTenant,
  seedUser,
  seedWebhook,
  useServer,
} from './harness.ts'
import { isSignedBy, useReceiver, withoutMocks } from './receiver.ts'

withoutMocks()
const server = useServer({ MATE_ALLOW_PRIVATE_AGENTS: 'true' })
const receiver = useReceiver()
const house = { id: '', admin: {} as SeededKey }

beforeAll(async () => {
  house.id = (await seedTenant(server)).id
  house.admin = await seedKey(server, house.id, 'TenantAdmin')
})
beforeEach(() => {
  receiver.received.length = 0
  receiver.answer = (response) => response.writeHead(204).end()
})

async function ask(method: string, path = '', json?: unknown) {
  const response = await server.request(`/api/admin/webhooks${path}`, { method, key: house.admin.key, json })
  const text = await response.text()
  const body: Input & { items: Input[]; errors?: Input[] } = text === '' ? {} : JSON.parse(text)
  return { status: response.status, headers: response.headers, text, body }
}
const deliveriesOf = async (id: string) => (await ask('GET', `/${id}/deliveries`)).body.items
const tell = (kind: 'api_key.unused' | 'api_keys.frozen' = 'api_keys.frozen', tenantId = house.id) =>
  server.database.transaction((tx) => notify(tx, { kind, tenantId, facts: { reason: 'a test' } }))

describe('a webhook', () => {
  test('is made with a secret that is shown once and kept sealed, changed, and deleted; each change is audited', async () => {
    const made = await ask('POST', '', { url: receiver.url, description: 'ours', events: ['api_key.leaked', 'api_key.leaked'] })
    expect(made.status).toBe(201)
    expect(made.headers.get('location')).toBe(`/api/admin/webhooks/${made.body.id}`)
    const { secret, ...shown } = made.body
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    expect(shown).toMatchObject({ url: receiver.url, description: 'ours', events: ['api_key.leaked'], isActive: true })
    expect((await ask('GET', `/${shown.id}`)).body).toEqual(shown)
    const [row] = await server.database.db
      .select()
      .from(webhooks)
      .where(eq(webhooks.id, String(shown.id)))
    expect(Buffer.from(row?.secret ?? []).toString('latin1')).not.toContain(String(secret))

    const put = await ask('PUT', `/${shown.id}`, { url: receiver.url, events: ['*'], isActive: false })
    expect(put.body).toMatchObject({ description: '', events: ['*'], isActive: false })
    const rotated = await ask('POST', `/${shown.id}/rotate-secret`)
    expect(rotated.body.secret).not.toBe(secret)
    expect(Date.parse(String(rotated.body.previousSecretUntil)) - Date.now()).toBeGreaterThan(23.9 * 3_600_000)
    expect((await ask('DELETE', `/${shown.id}`)).status).toBe(204)
    expect((await ask('GET', `/${shown.id}`)).status).toBe(404)
    const trail = (await auditOf(server, house.id)).filter(({ entityId }) => entityId === shown.id)
    expect(trail.map(({ action }) => action)).toEqual([
      'webhook.created',
      'webhook.updated',
      'webhook.secret_rotated',
      'webhook.deleted',
    ])
    const later = JSON.stringify([trail, (await ask('GET', '?limit=200')).text])
    for (const text of [secret, rotated.body.secret]) expect(later).not.toContain(String(text))
  })

  test('of a wrong address, no event, or an event that there is not, is refused, and nothing is made', async () => {
    const before = [await server.database.db.$count(webhooks), await countAudit(server, house.id)]
    const bad: [Input, string][] = [
      [{ url: undefined }, 'url'],
      [{ url: 'ftp://a.example/' }, 'url'],
      [{ url: 'https://user:pass@a.example/' }, 'url'],
      [{ url: 'http://169.254.169.254/latest' }, 'url'],
      [{ url: 'http://[fe80::1]/' }, 'url'],
      [{ url: `https://a.example/${'x'.repeat(2_000)}` }, 'url'],
      [{ events: undefined }, 'events'],
      [{ events: [] }, 'events'],
      [{ events: ['webhook.test'] }, 'events.0'],
      [{ events: ['api_key.created'] }, 'events.0'],
      [{ description: 'a\nb' }, 'description'],
      [{ isActive: 'true' }, 'isActive'],
      [{ secret: 'whsec_mine' }, 'secret'],
    ]
    for (const [fields, path] of bad) {
      const { status, body } = await ask('POST', '', { ...aWebhook(), ...fields })
      expect([fields, status, body.errors?.map((error) => error.path)]).toEqual([fields, 400, [path]])
    }
    expect([await server.database.db.$count(webhooks), await countAudit(server, house.id)]).toEqual(before)
  })
})

describe('an event', () => {
  test('is delivered as Standard Webhooks says: id, time and signature over the bytes of {type, timestamp, data}', async () => {
    const made = await ask('POST', '', { url: receiver.url, events: ['api_keys.frozen'] })
    await tell('api_key.unused')
    await tell()
    await waitUntil(async () => receiver.received.length > 0)
    const [received] = receiver.received
    if (!received) throw new Error('nothing came')
    expect(received.headers).toMatchObject({ 'content-type': 'application/json', 'user-agent': 'mate-webhooks/1' })
    expect(isSignedBy(String(made.body.secret), received)).toBe(true)
    expect(isSignedBy(`whsec_${Buffer.alloc(32).toString('base64')}`, received)).toBe(false)
    const data = { tenantId: house.id, about: null, reason: 'a test', noticeId: expect.any(String) }
    expect(received.body).toEqual({ type: 'api_keys.frozen', timestamp: expect.stringMatching(/Z$/), data })
    await waitUntil(async () => (await deliveriesOf(String(made.body.id)))[0]?.status === 'delivered')
    // Not what it did not ask for, and only once.
    expect(await deliveriesOf(String(made.body.id))).toEqual([
      expect.objectContaining({ id: received.id, event: 'api_keys.frozen', attempts: 1, responseStatus: 204, error: null }),
    ])
    expect(receiver.received.length).toBe(1)
    await ask('DELETE', `/${made.body.id}`)
  })

  test('of a change that is rolled back is never sent, nor is one of another tenant', async () => {
    const { id } = await seedWebhook(server, house.id, { url: receiver.url })
    const other = await seedTenant(server)
    await server.database
      .transaction(async (tx) => {
        await notify(tx, { kind: 'api_keys.frozen', tenantId: house.id })
        throw new Error('rolled back')
      })
      .catch(() => {})
    await tell('api_keys.frozen', other.id)
    await tell('api_key.unused')
    await waitUntil(async () => receiver.received.length > 0)
    expect(receiver.received.map(({ body }) => body.type)).toEqual(['api_key.unused'])
    await ask('DELETE', `/${id}`)
  })

  test('to test is sent once, also to an inactive webhook; with a rotated secret it has both signatures', async () => {
    const made = await ask('POST', '', { url: receiver.url, events: ['*'], isActive: false })
    const rotated = await ask('POST', `/${made.body.id}/rotate-secret`)
    const { status, body } = await ask('POST', `/${made.body.id}/test`)
    expect([status, body.event, body.status]).toEqual([202, 'webhook.test', 'pending'])
    await waitUntil(async () => receiver.received.length > 0)
    const [received] = receiver.received
    if (!received) throw new Error('nothing came')
    expect(received.id).toBe(body.id)
    for (const { body } of [made, rotated]) expect(isSignedBy(String(body.secret), received)).toBe(true)
    const past = sql`clock_timestamp() - interval '1 second'`
    await server.database.db
      .update(webhooks)
      .set({ previousSecretUntil: past })
      .where(eq(webhooks.id, String(made.body.id)))
    await ask('POST', `/${made.body.id}/test`)
    await waitUntil(async () => receiver.received.length > 1)
    const last = receiver.received.at(-1) ?? received
    expect([made, rotated].map(({ body }) => isSignedBy(String(body.secret), last))).toEqual([false, true])
  })

  test('is repeated with the same id when that is asked for', async () => {
    const { id } = await seedWebhook(server, house.id, { url: receiver.url })
    await tell()
    await waitUntil(async () => (await deliveriesOf(id))[0]?.status === 'delivered')
    const [first] = await deliveriesOf(id)
    const again = await ask('POST', `/${id}/deliveries/${first?.id}/redeliver`)
    expect([again.status, again.body.status]).toEqual([202, 'pending'])
    await waitUntil(async () => (await deliveriesOf(id))[0]?.attempts === 2)
    expect((await deliveriesOf(id))[0]).toMatchObject({ status: 'delivered' })
    expect(receiver.received.map((each) => each.id)).toEqual([first?.id, first?.id])
    const other = await seedWebhook(server, house.id)
    expect((await ask('POST', `/${other.id}/deliveries/${first?.id}/redeliver`)).status).toBe(404)
    await ask('DELETE', `/${id}`)
    await ask('DELETE', `/${other.id}`)
  })

  test('waits while its webhook is inactive, and goes on when it is active again', async () => {
    const { id } = await seedWebhook(server, house.id, { url: receiver.url })
    const delivery = await writeDelivery(id)
    const fields = { url: receiver.url, events: ['*'] }
    await ask('PUT', `/${id}`, { ...fields, isActive: false })
    await attempt(delivery)
    expect(receiver.received).toEqual([])
    await ask('PUT', `/${id}`, { ...fields, isActive: true })
    await waitUntil(async () => (await deliveriesOf(id))[0]?.status === 'delivered')
    expect(receiver.received.map((each) => each.id)).toEqual([delivery.deliveryId])
    await ask('DELETE', `/${id}`)
  })
})

describe('the pages', () => {
  test('add a webhook, show its secret once, test it, repeat a delivery, change it, rotate its secret, delete it', async () => {
    const { cookie } = await seedUser(server, house.id, 'TenantAdmin')
    const post = (path: string, fields: Record<string, string>) => postForm(server, path, cookie, fields)
    const read = async (path: string) => (await server.request(path, { headers: { cookie } })).text()
    const wrong = await post('/webhooks/new', { url: 'http://169.254.169.254/', events: '*' })
    expect([wrong.status, await wrong.text()]).toEqual([400, expect.stringContaining('not one that mate may call')])
    const none = await post('/webhooks/new', { url: receiver.url })
    expect([none.status, await none.text()]).toEqual([400, expect.stringContaining('Must name at least one kind of event')])
    const made = await post('/webhooks/new', { url: receiver.url, description: 'by hand', events: 'api_keys.frozen' })
    const [secret = ''] = /whsec_[A-Za-z0-9+/]{43}=/.exec(await made.text()) ?? []
    expect([made.status, made.headers.get('cache-control'), secret.length]).toEqual([201, 'no-store', 50])
    const [webhook] = (await ask('GET', '?limit=1')).body.items
    const path = `/webhooks/${webhook?.id}`
    expect(webhook).toMatchObject({ description: 'by hand', events: ['api_keys.frozen'] })
    expect((await post(path, { intent: 'test' })).status).toBe(302)
    await waitUntil(async () => (await deliveriesOf(String(webhook?.id)))[0]?.status === 'delivered')
    expect(receiver.received[0] && isSignedBy(secret, receiver.received[0])).toBe(true)
    const shown = await read(path)
    expect(shown).toContain('Delivered')
    expect(shown).not.toContain(secret)
    const [delivery] = await deliveriesOf(String(webhook?.id))
    expect((await post(path, { intent: 'redeliver', deliveryId: String(delivery?.id) })).status).toBe(302)
    await waitUntil(async () => receiver.received.length === 2)
    expect((await post(path, { url: receiver.url, events: '*' })).status).toBe(302)
    expect((await ask('GET', `/${webhook?.id}`)).body).toMatchObject({ description: '', events: ['*'], isActive: false })
    const rotated = await (await post(`${path}/rotate-secret`, {})).text()
    expect(rotated).toMatch(/whsec_/)
    expect(rotated).not.toContain(secret)
    expect((await post(`${path}/delete`, {})).status).toBe(302)
    expect((await ask('GET', `/${webhook?.id}`)).status).toBe(404)
  })

  test('tell of an open notice above the keys until it is dismissed', async () => {
    const { cookie } = await seedUser(server, house.id, 'TenantAdmin')
    const id = await seedNotice(server, house.id)
    const read = async (path: string) => (await server.request(path, { headers: { cookie } })).text()
    for (const path of ['/api-keys', '/notices']) expect(await read(path)).toContain(id)
    expect((await postForm(server, '/notices', cookie, { id })).status).toBe(200)
    for (const path of ['/api-keys', '/notices']) expect(await read(path)).not.toContain(id)
    expect(await read('/notices?status=all')).toContain(id)
  })
})

interface Job {
  tenantId: string
  deliveryId: string
  attempt: number
}

/** A pending delivery that no job was asked for: this test makes the attempts. */
async function writeDelivery(webhookId: string, fields: Partial<typeof webhookDeliveries.$inferInsert> = {}): Promise<Job> {
  const [row] = await server.database.db
    .insert(webhookDeliveries)
    .values({ tenantId: house.id, webhookId, event: 'api_keys.frozen', body: '{"a":1}', ...fields })
    .returning({ id: webhookDeliveries.id, attempts: webhookDeliveries.attempts })
  return { tenantId: house.id, deliveryId: row?.id ?? '', attempt: (row?.attempts ?? 0) + 1 }
}

async function attempt(job: Job, settings: Record<string, string> = { MATE_ALLOW_PRIVATE_AGENTS: 'true' }) {
  const env = readEnv(settings)
  await attemptDelivery({ database: server.database, secret: await loadSecret(server.database, env), env }, job)
  const [row] = await server.database.db.select().from(webhookDeliveries).where(eq(webhookDeliveries.id, job.deliveryId))
  if (!row) throw new Error('the delivery is gone')
  // The server under test would make the next attempt: this one asks for it itself.
  await server.database.db.delete(outbox)
  const waitSeconds = row.nextAttemptAt ? (row.nextAttemptAt.getTime() - Date.now()) / 1_000 : null
  return { ...row, waitSeconds }
}

const answering = (status: number, headers: Record<string, string> = {}) => {
  receiver.answer = (response) => response.writeHead(status, headers).end('the receiver’s own secrets')
}

describe('a delivery that fails', () => {
  test('is tried again after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h, and then has failed', async () => {
    const { id } = await seedWebhook(server, house.id, { url: receiver.url, isActive: true, events: ['api_key.leaked'] })
    answering(500)
    let job = await writeDelivery(id)
    for (const expected of [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]) {
      const row = await attempt(job)
      expect(row).toMatchObject({
        status: 'pending',
        attempts: job.attempt,
        responseStatus: 500,
        error: 'The receiver answered 500.',
      })
      expect(row.waitSeconds).toBeGreaterThan(expected - 5)
      expect(row.waitSeconds).toBeLessThan(expected * 1.1 + 1)
      // The same job once more, as a second node might have it: the attempt is made already.
      expect((await attempt(job)).attempts).toBe(job.attempt)
      job = { ...job, attempt: job.attempt + 1 }
    }
    expect(await attempt(job)).toMatchObject({ status: 'failed', attempts: 10, nextAttemptAt: null })
    expect(receiver.received.length).toBe(10)
    expect(new Set(receiver.received.map((each) => each.id))).toEqual(new Set([job.deliveryId]))
  })

  test('waits as long as Retry-After of a 429 or 503 says, a day at most, and no shorter than planned', async () => {
    const { id } = await seedWebhook(server, house.id, { url: receiver.url, events: ['api_key.leaked'] })
    const waits: [number, string, number][] = [
      [429, '120', 120],
      [503, '120', 120],
      [503, new Date(Date.now() + 120_000).toUTCString(), 120],
      [503, '1', 5],
      [503, '-3', 5],
      [503, 'soon', 5],
      [429, '99999999', 86_400],
      [500, '120', 5],
    ]
    for (const [status, retryAfter, expected] of waits) {
      answering(status, { 'Retry-After': retryAfter })
      const { waitSeconds } = await attempt(await writeDelivery(id))
      expect([status, retryAfter, Math.abs((waitSeconds ?? 0) - expected) < 4]).toEqual([status, retryAfter, true])
    }
  })

  test('says why in plain words, and neither what the receiver said nor where it is inside', async () => {
    const { id } = await seedWebhook(server, house.id, { url: receiver.url, events: ['api_key.leaked'] })
    answering(302, { Location: 'http://127.0.0.1:1/' })
    await attempt(await writeDelivery(id))
    await attempt(await writeDelivery(id), {})
    receiver.answer = (response) => response.destroy()
    await attempt(await writeDelivery(id))
    const closed = await seedWebhook(server, house.id, { url: 'http://127.0.0.1:9/', events: ['api_key.leaked'] })
    await attempt(await writeDelivery(closed.id))
    const listed = await ask('GET', `/${id}/deliveries`)
    expect(listed.body.items.map(({ error }) => error)).toEqual([
      'The connection was closed before the answer was complete.',
      'The address is not one that mate may call.',
      'The receiver answered with a redirect (302), which is not followed.',
    ])
    const [refused] = await deliveriesOf(closed.id)
    expect(refused).toMatchObject({ error: 'The connection was refused.', responseStatus: null })
    for (const text of [listed.text, JSON.stringify(refused)]) expect(text).not.toMatch(/127\.0\.0\.1|secrets|ECONN/)
  })

  test('with 410 Gone deactivates its webhook at once: audited as the system’s, and a notice says so', async () => {
    const { id, url } = await seedWebhook(server, house.id, { url: receiver.url, events: ['api_key.leaked'] })
    answering(410)
    expect(await attempt(await writeDelivery(id))).toMatchObject({ status: 'failed', nextAttemptAt: null })
    await expectDeactivated(id, url, 'The receiver answered 410 Gone.')
  })

  test('for five days deactivates its webhook; a success in between begins the days anew', async () => {
    const { id, url } = await seedWebhook(server, house.id, { url: receiver.url, events: ['api_key.leaked'] })
    const failingSince = async () => (await ask('GET', `/${id}`)).body.failingSince
    const backdate = (days: number) =>
      server.database.db
        .update(webhooks)
        .set({ failingSince: sql`clock_timestamp() - make_interval(days => ${days}::int, mins => 1)` })
        .where(eq(webhooks.id, id))
    answering(500)
    await attempt(await writeDelivery(id))
    expect(await failingSince()).toMatch(/Z$/)
    await backdate(4)
    await attempt(await writeDelivery(id))
    expect((await ask('GET', `/${id}`)).body.isActive).toBe(true)
    answering(200)
    await attempt(await writeDelivery(id))
    expect(await failingSince()).toBeNull()
    answering(500)
    await attempt(await writeDelivery(id))
    await backdate(5)
    await attempt(await writeDelivery(id))
    await expectDeactivated(id, url, 'Every delivery failed for 5 days.')
    const back = await ask('PUT', `/${id}`, { url, events: ['api_key.leaked'], isActive: true })
    expect(back.body).toMatchObject({ isActive: true, deactivatedReason: null, failingSince: null })
  })

  async function expectDeactivated(id: string, url: string, reason: string): Promise<void> {
    expect((await ask('GET', `/${id}`)).body).toMatchObject({ isActive: false, deactivatedReason: reason })
    const { db } = server.database
    const isAbout = and(eq(auditLog.entityId, id), eq(auditLog.action, 'webhook.deactivated'))
    expect(await db.select().from(auditLog).where(isAbout)).toMatchObject([{ actorKind: 'system', details: { reason } }])
    const told = await db.select().from(notices).where(eq(notices.entityId, id))
    expect(told).toMatchObject([{ kind: 'webhook.deactivated', entityName: url, facts: { reason } }])
  }
})
