// The audit log as a stream: every entry once, in order, however the log was written meanwhile.
import { sql } from 'drizzle-orm'
import { beforeAll, expect, test } from 'vitest'
import { waitUntil } from './child-server.ts'
import { anAgent } from './doors.ts'
import { isPostgres, type SeededKey, seedKey, seedTenant, useServer } from './harness.ts'
import { isSignedBy, type Received, useReceiver, withoutMocks } from './receiver.ts'

withoutMocks()
const server = useServer({ MATE_ALLOW_PRIVATE_AGENTS: 'true' })
const receiver = useReceiver()
const house = { id: '', admin: {} as SeededKey }
beforeAll(async () => {
  house.id = (await seedTenant(server)).id
  house.admin = await seedKey(server, house.id, 'TenantAdmin')
})

interface Streamed {
  seq: number
  prevHash: string
  hash: string
  action: string
  actor: { id: string }
}

const subscribe = async (fields = {}) => {
  const json = { url: receiver.url, events: ['audit.entry'], ...fields }
  const response = await server.request('/api/admin/webhooks', { method: 'POST', key: house.admin.key, json })
  return (await response.json()) as { id: string; secret: string }
}
const unsubscribe = (id: string) => server.request(`/api/admin/webhooks/${id}`, { method: 'DELETE', key: house.admin.key })
const createAgents = (count: number) =>
  Promise.all(
    Array.from({ length: count }, () => server.request('/api/agents', { method: 'POST', key: house.admin.key, json: anAgent() })),
  )
const entriesOf = (received: Received | undefined) => (received?.body.data.entries ?? []) as Streamed[]
const streamed = () => receiver.received.flatMap(entriesOf)
/** Sequences without a gap and without a repeat, from the first on. */
const isGapless = (seqs: number[]) => seqs.every((seq, i) => seq === (seqs[0] ?? 0) + i)
const insertEntries = (count: number) =>
  server.database.db.execute(sql`
    insert into audit_log (tenant_id, actor_kind, actor_id, actor_name, action, entity_type, entity_id, entity_name, outcome, request_id, details)
    select ${house.id}::uuid, 'system', 'test', 'test', 'agent.updated', 'agent', n::text, 'x', 'success', 'x', '{}' from generate_series(1, ${count}::int) n`)

test('every entry from the webhook’s own on is sent, in order, in batches of at most 100, signed', async () => {
  receiver.received.length = 0
  const { id, secret } = await subscribe()
  await createAgents(5)
  await insertEntries(250)
  await waitUntil(async () => streamed().length >= 256)
  const [first] = streamed()
  expect(first).toMatchObject({ action: 'webhook.created', actor: { id: house.admin.id } })
  expect(isGapless(streamed().map(({ seq }) => seq))).toBe(true)
  // Whoever receives it can check the chain.
  for (const [i, entry] of streamed().slice(1).entries()) expect(entry.prevHash).toBe(streamed()[i]?.hash)
  for (const received of receiver.received) {
    expect(received.body.type).toBe('audit.entry')
    expect(entriesOf(received).length).toBeLessThanOrEqual(100)
    expect(isSignedBy(secret, received)).toBe(true)
  }
  await unsubscribe(id)
})

test('a batch that fails holds back the next until it is delivered: the same one again, then the rest in order', async () => {
  receiver.received.length = 0
  let answers = 0
  receiver.answer = (response) => response.writeHead(answers++ === 0 ? 503 : 204).end()
  const { id } = await subscribe()
  await waitUntil(async () => receiver.received.length === 1)
  await createAgents(3)
  await waitUntil(async () => receiver.received.length >= 3)
  const [failed, repeated, next] = receiver.received
  expect([repeated?.id, repeated?.text]).toEqual([failed?.id, failed?.text])
  expect(next?.id).not.toBe(failed?.id)
  const seqs = [repeated, next].flatMap((each) => entriesOf(each).map(({ seq }) => seq))
  expect(isGapless(seqs)).toBe(true)
  await unsubscribe(id)
})

// Two transactions at once: the embedded database has one connection.
if (isPostgres) {
  test('entries of transactions that overlap are sent in the order of the chain, and none is skipped', async () => {
    receiver.received.length = 0
    receiver.answer = (response) => response.writeHead(204).end()
    const { id } = await subscribe()
    await waitUntil(async () => streamed().length === 1)
    let finish = () => {}
    const isHeld = Promise.withResolvers<void>()
    const slow = server.database.transaction(async (tx) => {
      await tx.execute(sql`
        insert into audit_log (tenant_id, actor_kind, actor_id, actor_name, action, entity_type, entity_id, entity_name, outcome, request_id, details)
        values (${house.id}::uuid, 'system', 'slow', 'slow', 'agent.updated', 'agent', '1', 'x', 'success', 'x', '{}')`)
      isHeld.resolve()
      await new Promise<void>((resolve) => {
        finish = resolve
      })
    })
    await isHeld.promise
    // Its id is taken and lower than theirs, and its place in the chain comes after them.
    await createAgents(3)
    await waitUntil(async () => streamed().length >= 4)
    finish()
    await slow
    await waitUntil(async () => streamed().length >= 5)
    expect(isGapless(streamed().map(({ seq }) => seq))).toBe(true)
    expect(streamed().at(-1)?.actor.id).toBe('slow')
    await unsubscribe(id)
  })
}
