// POST /api/test-connection: one message is really sent, outside any transaction, and what came of it is the answer.

import { eq } from 'drizzle-orm'
import { delay, HttpResponse, http } from 'msw'
import { beforeAll, describe, expect, test } from 'vitest'
import { agents, idempotencyKeys } from '#db/schema.ts'
import { readEnv } from '#server/env.ts'
import { loadSecret } from '#server/secret.ts'
import { seal } from '#server/secret-box.ts'
import type { Input } from './doors.ts'
import { auditOf, countAudit, type RequestOptions, type SeededKey, seedAgent, seedKey, seedTenant, useServer } from './harness.ts'
import { outbound } from './outbound.ts'

const server = useServer({ MATE_ALLOW_PRIVATE_AGENTS: 'true' })
const house = { id: '', tester: {} as SeededKey }
const url = 'https://agent.example/chat'
beforeAll(async () => {
  house.id = (await seedTenant(server)).id
  house.tester = await seedKey(server, house.id, 'Tester')
})

async function ask(agentId: unknown, options: RequestOptions = {}) {
  const response = await server.request('/api/test-connection', {
    method: 'POST',
    key: house.tester.key,
    json: { agentId },
    ...options,
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, body: JSON.parse(text) as Input }
}
const anAgent = async () => (await seedAgent(server, house.id, url)).id
const setSecret = async (id: string, secret: string, sealedWith?: string) => {
  const key = sealedWith ?? (await loadSecret(server.database, readEnv({})))
  await server.database.db
    .update(agents)
    .set({ connectorSecret: seal(key, id, secret) })
    .where(eq(agents.id, id))
}

describe('a test of a connection', () => {
  test('sends one message with the agent’s secret, answers its reply, and is audited', async () => {
    const id = await anAgent()
    await setSecret(id, 'Bearer the-agents-token')
    const sent: unknown[] = []
    outbound.use(
      http.post(url, async ({ request }) => {
        sent.push([request.headers.get('authorization'), await request.json()])
        return HttpResponse.json({ reply: 'Hello! You sent Bearer the-agents-token.' })
      }),
    )
    const { status, body, text } = await ask(id)
    expect([status, body]).toEqual([
      200,
      { ok: true, reply: 'Hello! You sent [secret removed].', latencyMs: expect.any(Number), error: null },
    ])
    const message = expect.stringContaining('test of the connection')
    expect(sent).toEqual([['Bearer the-agents-token', { message, conversationId: expect.any(String), history: [] }]])
    const entry = (await auditOf(server, house.id)).at(-1)
    expect(entry).toMatchObject({
      action: 'agent.connection_tested',
      entityId: id,
      actorId: house.tester.id,
      details: { after: { connector: { type: 'http', url } } },
    })
    expect(text + JSON.stringify(entry)).not.toContain('the-agents-token')
  })

  test('answers why there is no reply, after one attempt', async () => {
    const id = await anAgent()
    const answers: [() => Response | Promise<Response>, string][] = [
      [() => new HttpResponse('no such token', { status: 401 }), 'The agent answered 401. It begins: no such token'],
      [() => new HttpResponse('', { status: 429, headers: { 'Retry-After': '1' } }), 'The agent answered 429.'],
      [() => HttpResponse.text('Hello'), 'The agent’s answer is not JSON. It begins: Hello'],
      [
        () => HttpResponse.json(null, { status: 307, headers: { Location: 'http://169.254.169.254/' } }),
        'The agent was not called. The address is not one that mate may call.',
      ],
    ]
    for (const [answer, error] of answers) {
      const asked: string[] = []
      outbound.use(
        http.post(url, ({ request }) => {
          asked.push(request.url)
          return answer()
        }),
      )
      const { status, body } = await ask(id)
      expect([status, body, asked.length]).toEqual([200, { ok: false, reply: null, latencyMs: null, error }, 1])
    }
    await setSecret(id, 'x', 'another secret of the server')
    expect((await ask(id)).body).toMatchObject({ ok: false, error: expect.stringContaining('Give the agent its secret again') })
  })

  test('holds no transaction while the agent takes its time: others write, and its own entry stands already', async () => {
    const id = await anAgent()
    const admin = await seedKey(server, house.id, 'TenantAdmin')
    const before = await countAudit(server, house.id)
    const during: unknown[] = []
    outbound.use(
      http.post(url, async () => {
        during.push((await countAudit(server, house.id)) - before)
        // On PGlite's one connection this would wait for ever for a transaction that waits for it.
        const gone = await server.request(`/api/agents/${id}`, { method: 'DELETE', key: admin.key })
        during.push(gone.status)
        await delay(50)
        return HttpResponse.json({ reply: 'late' })
      }),
    )
    const many = await Promise.all([ask(id), ask(id), ask(id)])
    expect(during.filter((each) => each === 204).length).toBe(1)
    expect(Number(during[0])).toBeGreaterThanOrEqual(1)
    const oks = many.filter(({ status }) => status === 200)
    expect(oks.map(({ body }) => body.reply)).toEqual(oks.map(() => 'late'))
    expect(oks.length).toBeGreaterThanOrEqual(1)
  })

  test('of what is no agent of the tenant is 404, and nothing is sent or written', async () => {
    const other = await seedTenant(server)
    const foreign = await seedAgent(server, other.id, url)
    const asked: string[] = []
    outbound.use(
      http.post(url, ({ request }) => {
        asked.push(request.url)
        return HttpResponse.json({ reply: 'x' })
      }),
    )
    const before = [await countAudit(server, house.id), await countAudit(server, other.id)]
    for (const id of [foreign.id, crypto.randomUUID()]) {
      expect(await ask(id)).toMatchObject({ status: 404, body: { detail: 'There is no agent with this id.' } })
    }
    expect((await ask('7')).status).toBe(400)
    const narrow = await seedKey(server, house.id, 'Tester', { scopes: ['agents:read', 'agents:write'] })
    const own = await anAgent()
    expect((await ask(own, { key: narrow.key })).status).toBe(403)
    expect(asked).toEqual([])
    // The refusal by scope is an entry of its own.
    expect([(await countAudit(server, house.id)) - 1, await countAudit(server, other.id)]).toEqual(before)
    const wide = await seedKey(server, house.id, 'Tester', { scopes: ['runs:execute'] })
    expect((await ask(own, { key: wide.key })).body).toMatchObject({ ok: true })
  })

  test('that is repeated with its Idempotency-Key gets the first answer, and no second message is sent', async () => {
    const id = await anAgent()
    const asked: string[] = []
    outbound.use(
      http.post(url, ({ request }) => {
        asked.push(request.url)
        return HttpResponse.json({ reply: `answer ${asked.length}` })
      }),
    )
    const headers = { 'idempotency-key': crypto.randomUUID() }
    const first = await ask(id, { headers })
    const repeat = await ask(id, { headers })
    expect([repeat.text, repeat.headers.get('idempotency-replayed'), asked.length]).toEqual([first.text, 'true', 1])
    expect(first.body.reply).toBe('answer 1')
    const other = await anAgent()
    expect((await ask(other, { headers })).status).toBe(422)
    const rows = await server.database.db.$count(idempotencyKeys, eq(idempotencyKeys.key, headers['idempotency-key']))
    expect([rows, asked.length]).toEqual([1, 1])
  })
})
