// Runs as a server executes them: from the request to the end, past a cancel, and fairly among tenants.
import { and, inArray } from 'drizzle-orm'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { runs } from '#db/schema.ts'
import { useAgent } from './agent.ts'
import { waitUntil } from './child-server.ts'
import { auditOf, type SeededKey, seedKey, useServer } from './harness.ts'
import { withoutMocks } from './receiver.ts'
import { type RunHouse, resultsOf, runOf, seedAgentAt, seedJudge, seedRunHouse, seedSuite, startRun } from './run-seeds.ts'

withoutMocks()
const server = useServer({ MATE_WORKERS: '4', MATE_ALLOW_PRIVATE_AGENTS: 'true' })
const agent = useAgent()

beforeEach(() => {
  agent.asked.length = 0
  agent.reply = ({ message }) => `You said: ${message}`
})

describe('a run', () => {
  let house: RunHouse
  let admin: SeededKey
  const long = { house: {} as RunHouse, id: '' }
  const slowAgent = useAgent()
  beforeAll(async () => {
    house = await seedRunHouse(server)
    admin = await seedKey(server, house.id, 'TenantAdmin')
    // Seven seconds of it go on beside the other tests.
    slowAgent.reply = () => new Promise((resolve) => setTimeout(resolve, 500, 'said'))
    long.house = await seedRunHouse(server)
    await seedJudge(server, long.house.id, 'said')
    const suite = await seedSuite(server, long.house.id, 14)
    long.id = await startRun(server, long.house, suite.id, (await seedAgentAt(server, long.house.id, slowAgent.url)).id)
  })

  test('is executed case by case and turn by turn, judged, counted, measured, and audited from its request to its end', async () => {
    await seedJudge(server, house.id, 'please')
    const cases = [
      { name: 'polite', userInput: ['Hello', 'A refund, please'], tags: ['refund'] },
      { name: 'rude', userInput: ['Give me a refund'] },
      { name: 'inactive', userInput: ['nobody asks this'], isActive: false },
    ]
    const suite = await seedSuite(server, house.id, cases, { passThreshold: 0.5 })
    const { id: agentId, name: agentName } = await seedAgentAt(server, house.id, agent.url)
    const id = await startRun(server, house, suite.id, agentId)
    const response = await server.request(`/api/runs/${id}?wait=20`, { key: house.tester.key })
    const run = await response.json()
    expect(run).toMatchObject({
      ...{ suiteId: suite.id, suiteName: suite.name, agentId, agentName, status: 'completed', errorMessage: null },
      ...{ counts: { total: 2, passed: 1, failed: 1, skipped: 0, errors: 0 }, passRate: 0.5, isPassed: true },
      requestedBy: { kind: 'key', id: house.tester.id, name: house.tester.name },
    })
    const latencies = (await resultsOf(server, id)).map(({ latencyMs }) => latencyMs ?? Number.NaN)
    const [first = 0, second = 0] = latencies.toSorted((a, b) => a - b)
    expect(first).toBeGreaterThan(0)
    expect(run.latency.averageMs).toBeCloseTo((first + second) / 2, 6)
    expect(run.latency.medianMs).toBeCloseTo((first + second) / 2, 6)
    expect(run.latency.p95Ms).toBeCloseTo(first + 0.95 * (second - first), 6)

    const listed = await (await server.request(`/api/runs/${id}/results`, { key: house.tester.key })).json()
    expect(listed.items).toMatchObject([
      { position: 0, name: 'polite', tags: ['refund'], testCaseId: suite.caseIds[0], verdict: 'pass', human: null },
      { position: 1, name: 'rude', tags: [], testCaseId: suite.caseIds[1], verdict: 'fail', human: null },
    ])
    const path = `/api/results/${listed.items[0].id}/transcript`
    const { items: said } = await (await server.request(path, { key: house.tester.key })).json()
    expect(said).toMatchObject([
      { role: 'user', content: 'Hello', turnIndex: 0, raw: null, latencyMs: null },
      { role: 'agent', content: 'You said: Hello', turnIndex: 0, latencyMs: expect.any(Number) },
      { role: 'user', content: 'A refund, please', turnIndex: 1 },
      { role: 'agent', content: 'You said: A refund, please', raw: '{"reply":"You said: A refund, please"}', turnIndex: 1 },
    ])
    // One conversation a case, and the agent is told what was said before.
    expect(new Set(agent.asked.map(({ conversationId }) => conversationId)).size).toBe(2)
    expect(agent.asked[1]?.history.map(({ content }) => content)).toEqual(['Hello', 'You said: Hello'])

    const trail = (await auditOf(server, house.id)).filter(({ entityId }) => entityId === id)
    expect(trail).toMatchObject([
      { action: 'run.created', actorId: house.tester.id, details: { after: { suiteName: suite.name, agentName, total: 2 } } },
      {
        ...{ action: 'run.completed', actorKind: 'system', actorId: 'runs', entityName: suite.name },
        details: { after: { status: 'completed', passed: 1, failed: 1, isPassed: true } },
      },
    ])
  })

  test('that is cancelled stops before its next case, and stores nothing of the one under way', async () => {
    const suite = await seedSuite(server, house.id, 3)
    const { id: agentId } = await seedAgentAt(server, house.id, agent.url)
    const gate = Promise.withResolvers<string>()
    agent.reply = ({ message }) => (message === 'say 1' ? gate.promise : 'please')
    const id = await startRun(server, house, suite.id, agentId)
    await waitUntil(async () => agent.asked.length === 2)
    const cancelled = await server.request(`/api/runs/${id}/cancel`, { method: 'POST', key: house.tester.key })
    expect(await cancelled.json()).toMatchObject({ status: 'cancelled', isPassed: false, passRate: 1, counts: { passed: 1 } })
    gate.resolve('please')
    // A run after it is executed by then, and nothing more of this one.
    agent.reply = () => 'please'
    const next = await startRun(server, house, suite.id, agentId)
    await waitUntil(async () => (await runOf(server, next)).status === 'completed')
    expect((await resultsOf(server, id)).map(({ verdict }) => verdict)).toEqual(['pass', null, null])
    expect(await runOf(server, id)).toMatchObject({ status: 'cancelled', passed: 1, failed: 0, skipped: 0, errors: 0 })
    expect(agent.asked.length).toBe(5)
    const again = await server.request(`/api/runs/${id}/cancel`, { method: 'POST', key: house.tester.key })
    expect([again.status, (await again.json()).detail]).toEqual([409, 'The run has ended already: it is cancelled.'])
    const actions = (await auditOf(server, house.id)).filter(({ entityId }) => entityId === id).map(({ action }) => action)
    expect(actions).toEqual(['run.created', 'run.cancelled'])
  })

  test('ends with the key that asked for it: once a revoke or a delete has answered, nothing more is stored, 20 times', async () => {
    const suite = await seedSuite(server, house.id, 3)
    const { id: agentId } = await seedAgentAt(server, house.id, agent.url)
    for (let round = 0; round < 20; round++) {
      const tester = await seedKey(server, house.id, 'Tester')
      const gate = Promise.withResolvers<string>()
      const asked = agent.asked.length
      agent.reply = ({ message }) => (message === 'say 1' ? gate.promise : 'please')
      const id = await startRun(server, { ...house, tester }, suite.id, agentId)
      await waitUntil(async () => agent.asked.length === asked + 2)
      // The answer and the revoke at the same moment: whichever is first.
      if (round % 4 > 0) gate.resolve('please')
      const path = `/api/admin/api-keys/${tester.id}`
      const { key } = admin
      const ended =
        round % 2
          ? await server.request(`${path}/revoke`, { method: 'POST', key })
          : await server.request(path, { method: 'DELETE', key })
      expect(ended.status).toBeLessThan(300)
      const stored = (await resultsOf(server, id)).map(({ verdict }) => verdict)
      gate.resolve('please')
      await waitUntil(async () => (await runOf(server, id)).status === 'cancelled')
      expect((await resultsOf(server, id)).map(({ verdict }) => verdict)).toEqual(stored)
      expect((await runOf(server, id)).errorMessage).toBe('The API key that asked for the run was revoked before it had ended.')
    }
  })

  test('of one tenant does not wait for those of another: 200 runs queued by two at once, a third tenant’s after them', async () => {
    const houses = [await seedRunHouse(server), await seedRunHouse(server), await seedRunHouse(server)] as const
    const seeded = await Promise.all(
      houses.map(async (each) => {
        await seedJudge(server, each.id, 'said')
        const suite = await seedSuite(server, each.id)
        const { id: agentId } = await seedAgentAt(server, each.id, agent.url, { timeoutSeconds: 120 })
        return { house: each, suiteId: suite.id, agentId }
      }),
    )
    const [a, b, c] = seeded as [(typeof seeded)[0], (typeof seeded)[0], (typeof seeded)[0]]
    const queue = ({ house: each, suiteId, agentId }: typeof a) => startRun(server, each, suiteId, agentId)
    // No run ends before all are queued: on a slow machine a tenant's would be over before the next one comes.
    const areQueued = Promise.withResolvers<void>()
    agent.reply = () => areQueued.promise.then(() => new Promise((resolve) => setTimeout(resolve, 5, 'You said it')))
    for (let i = 0; i < 100; i++) await queue(a)
    const first = await queue(b)
    for (let i = 1; i < 100; i++) await queue(b)
    const third = await queue(c)
    // Nor before the second tenant's first is under way: on a fast machine the queue would hear of it and of the third's at once.
    await waitUntil(async () => (await runOf(server, first)).status === 'running')
    areQueued.resolve()
    const ids = houses.map(({ id }) => id)
    const unfinished = and(inArray(runs.tenantId, ids), inArray(runs.status, ['pending', 'running']))
    await waitUntil(async () => (await server.database.db.$count(runs, unfinished)) === 0)
    const all = await server.database.db.select().from(runs).where(inArray(runs.tenantId, ids))
    expect(all.map(({ status, passed }) => [status, passed])).toEqual(all.map(() => ['completed', 1]))
    expect(all.length).toBe(201)
    const ends = all
      .toSorted((x, y) => Number(x.completedAt) - Number(y.completedAt))
      .map(({ id, tenantId }) => ({ id, isFirstTenants: tenantId === a.house.id }))
    const place = (id: string) => ends.findIndex((each) => each.id === id)
    const lastOfFirst = ends.findLastIndex(({ isFirstTenants }) => isFirstTenants)
    // Runs of the first tenant that ended after the second's first, and after the third's only one.
    const firstsAfter = (id: string) => ends.slice(place(id)).filter(({ isFirstTenants }) => isFirstTenants).length
    expect([place(first), place(third)].every((at) => at < lastOfFirst)).toBe(true)
    expect(firstsAfter(third)).toBeGreaterThan(50)
    expect(firstsAfter(first)).toBeGreaterThan(firstsAfter(third))
  }, 180_000)

  test('that is longer than a slice, and than a heartbeat, goes on in the next one, and says everything once', async () => {
    const response = await server.request(`/api/runs/${long.id}?wait=30`, { key: long.house.tester.key })
    expect(await response.json()).toMatchObject({ status: 'completed', counts: { total: 14, passed: 14 } })
    expect(slowAgent.asked.map(({ message }) => message)).toEqual(Array.from({ length: 14 }, (_, i) => `say ${i}`))
  })
})
