// Runs and results over REST: what is asked for, what is refused, what a person judges, and waiting for the end.
import { eq, sql } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { agents, apiKeys, results, runs, testCases } from '#db/schema.ts'
import { sleep } from './child-server.ts'
import type { Input } from './doors.ts'
import { auditOf, countAudit, type SeededKey, seedAgent, seedKey, seedTenant, useServer } from './harness.ts'
import { resultsOf, runOf, seedRun, seedSuite } from './run-seeds.ts'

const server = useServer()
const house = { id: '', tester: {} as SeededKey, admin: {} as SeededKey, viewer: {} as SeededKey }
beforeAll(async () => {
  house.id = (await seedTenant(server)).id
  house.tester = await seedKey(server, house.id, 'Tester')
  house.admin = await seedKey(server, house.id, 'TenantAdmin')
  house.viewer = await seedKey(server, house.id, 'Viewer')
})

type Body = Input & { items: Input[]; errors?: Input[] }
async function ask(method: string, path: string, json?: unknown, key = house.tester.key) {
  const response = await server.request(`/api${path}`, { method, key, json })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: (text === '' ? {} : JSON.parse(text)) as Body }
}
const newest = async () => (await auditOf(server, house.id)).at(-1)
const pending = { status: 'pending', passed: 0, startedAt: null, completedAt: null } as const

describe('a run', () => {
  test('keeps the cases as they were, in their order, and goes on to exist when its suite, cases and agent are gone', async () => {
    const cases = [
      { name: 'last', sortOrder: 9, tags: ['x'], expectedIntent: 'bye', expectedEntities: ['who'], referenceAnswer: 'Bye.' },
      { name: 'first', sortOrder: 1, acceptanceCriteria: 'Is polite.', userInput: ['Hello', 'again'] },
    ]
    const suite = await seedSuite(server, house.id, cases, { passThreshold: 0.5 })
    const agent = await seedAgent(server, house.id)
    const made = await ask('POST', '/runs', { suiteId: suite.id, agentId: agent.id })
    expect([made.status, made.headers.get('location')]).toEqual([202, `/api/runs/${made.body.id}`])
    expect(made.body).toMatchObject({
      ...{ status: 'pending', passThreshold: 0.5, passRate: null, isPassed: null, startedAt: null, completedAt: null },
      ...{ counts: { total: 2, passed: 0, failed: 0, skipped: 0, errors: 0 }, latency: { averageMs: null, p95Ms: null } },
    })
    await server.database.db
      .update(testCases)
      .set({ description: 'changed', userInput: ['other'] })
      .where(eq(testCases.suiteId, suite.id))
    const kept = await resultsOf(server, String(made.body.id))
    const none = { acceptanceCriteria: '', expectedIntent: null, expectedEntities: [], referenceAnswer: null, tags: [] }
    expect(kept.map(({ testCase }) => testCase)).toEqual([
      { ...none, name: 'first', userInput: ['Hello', 'again'], acceptanceCriteria: 'Is polite.' },
      {
        ...none,
        ...{ name: 'last', userInput: ['say 0'], tags: ['x'] },
        expectedIntent: 'bye',
        expectedEntities: ['who'],
        referenceAnswer: 'Bye.',
      },
    ])
    await server.database.db.execute(sql`delete from test_suites where id = ${suite.id}`)
    await server.database.db.delete(agents).where(eq(agents.id, agent.id))
    const { body } = await ask('GET', `/runs/${made.body.id}`)
    expect(body).toMatchObject({ suiteId: null, suiteName: suite.name, agentId: null, agentName: agent.name })
    const { body: list } = await ask('GET', `/runs/${made.body.id}/results`)
    expect(list.items).toMatchObject([{ name: 'first', testCaseId: null, verdict: null }, { name: 'last' }])
    expect((await ask('GET', `/results/${list.items[0]?.id}/transcript`)).body).toEqual({ items: [] })
  })

  test('takes the active cases, or those that are named, inactive ones too and each once', async () => {
    const suite = await seedSuite(server, house.id, [{}, { isActive: false }, {}])
    const agent = await seedAgent(server, house.id)
    const [first = '', inactive = ''] = suite.caseIds
    const caseIdsOf = async (json: Input) => {
      const { body } = await ask('POST', '/runs', { suiteId: suite.id, agentId: agent.id, ...json })
      return (await resultsOf(server, String(body.id))).map(({ testCaseId }) => testCaseId)
    }
    expect(await caseIdsOf({})).toEqual([first, suite.caseIds[2]])
    expect(await caseIdsOf({ testCaseIds: [inactive, first, first.toUpperCase()] })).toEqual([first, inactive])
  })

  test('of what is not there, or can’t be run, is refused by the field that is wrong, and nothing is made', async () => {
    const suite = await seedSuite(server, house.id)
    const other = await seedSuite(server, house.id)
    const none = await seedSuite(server, house.id, [{ isActive: false }])
    const agent = await seedAgent(server, house.id)
    const asleep = await seedAgent(server, house.id)
    await server.database.db.update(agents).set({ isActive: false }).where(eq(agents.id, asleep.id))
    const elsewhere = (await seedTenant(server)).id
    const [theirSuite, theirAgent] = [await seedSuite(server, elsewhere), await seedAgent(server, elsewhere)]
    const before = [await server.database.db.$count(runs), await countAudit(server, house.id)]
    const unknown = crypto.randomUUID()
    const bad: [Input, string][] = [
      [{ suiteId: undefined }, 'suiteId'],
      [{ suiteId: unknown }, 'suiteId'],
      [{ suiteId: theirSuite.id }, 'suiteId'],
      [{ suiteId: none.id }, 'suiteId'],
      [{ agentId: 'x' }, 'agentId'],
      [{ agentId: theirAgent.id }, 'agentId'],
      [{ agentId: asleep.id }, 'agentId'],
      [{ testCaseIds: [] }, 'testCaseIds'],
      [{ testCaseIds: [suite.caseIds[0], unknown] }, 'testCaseIds.1'],
      [{ testCaseIds: other.caseIds }, 'testCaseIds.0'],
      [{ requestedBy: { kind: 'user', id: '1', name: 'me' } }, 'requestedBy'],
      [{ status: 'completed' }, 'status'],
    ]
    for (const [fields, path] of bad) {
      const { status, body } = await ask('POST', '/runs', { suiteId: suite.id, agentId: agent.id, ...fields })
      expect([fields, status, body.errors?.map((error) => error.path)]).toEqual([fields, 400, [path]])
    }
    expect([await server.database.db.$count(runs), await countAudit(server, house.id)]).toEqual(before)
  })

  test('is refused while a thousand have not ended', async () => {
    const tenant = await seedTenant(server)
    const { key } = await seedKey(server, tenant.id, 'Tester')
    const suite = await seedSuite(server, tenant.id)
    const agent = await seedAgent(server, tenant.id)
    await server.database.db.execute(sql`
      insert into runs (tenant_id, suite_name, agent_name, pass_threshold, delay_between_tests_ms, total, requested_by_kind,
        requested_by_id, requested_by_name)
      select ${tenant.id}::uuid, 's', 'a', 1, 0, 1, 'console', 'x', 'x' from generate_series(1, 999)`)
    const start = () => ask('POST', '/runs', { suiteId: suite.id, agentId: agent.id }, key)
    expect((await start()).status).toBe(202)
    const { status, body } = await start()
    expect([status, body.detail]).toEqual([409, expect.stringContaining('1,000 runs wait or go on already')])
  })

  test('is listed newest first, by suite, agent and status', async () => {
    const made = [await seedRun(server, house.id), await seedRun(server, house.id, pending), await seedRun(server, house.id)]
    const [first, second, third] = await Promise.all(made.map(({ id }) => runOf(server, id)))
    const idsOf = async (query: string) => (await ask('GET', `/runs?${query}`)).body.items.map(({ id }) => id)
    expect((await idsOf('limit=3')).slice(0, 3)).toEqual([third?.id, second?.id, first?.id])
    expect(await idsOf(`suiteId=${first?.suiteId}`)).toEqual([first?.id])
    expect(await idsOf(`agentId=${second?.agentId}`)).toEqual([second?.id])
    expect(await idsOf(`agentId=${second?.agentId}&status=completed`)).toEqual([])
    expect(await idsOf('status=pending&limit=1')).toEqual([second?.id])
    expect((await ask('GET', '/runs?status=paused')).body.errors).toMatchObject([{ path: 'status' }])
    const page = await ask('GET', '/runs?limit=1')
    expect((await ask('GET', `/runs?limit=1&cursor=${page.body.nextCursor}`)).body.items).toMatchObject([{ id: second?.id }])
  })

  test('is deleted with its results and transcripts once it has ended, and not before', async () => {
    const going = await seedRun(server, house.id, pending)
    const refused = await ask('DELETE', `/runs/${going.id}`, undefined, house.admin.key)
    expect([refused.status, refused.body.detail]).toEqual([409, 'The run has not ended. Cancel it first.'])
    expect((await ask('POST', `/runs/${going.id}/cancel`)).body).toMatchObject({
      status: 'cancelled',
      isPassed: false,
      passRate: null,
    })
    expect((await newest())?.details).toEqual({ before: { status: 'pending' }, after: { status: 'cancelled' } })
    expect((await ask('POST', `/runs/${going.id}/cancel`)).status).toBe(409)
    const done = await seedRun(server, house.id)
    for (const { id, resultId } of [going, done]) {
      expect((await ask('DELETE', `/runs/${id}`, undefined, house.admin.key)).status).toBe(204)
      expect(await newest()).toMatchObject({ action: 'run.deleted', entityId: id })
      expect((await ask('GET', `/runs/${id}`)).status).toBe(404)
      expect((await ask('GET', `/results/${resultId}`)).status).toBe(404)
    }
    const left = sql`transcript_messages where result_id in (${going.resultId}, ${done.resultId})`
    expect(await server.database.db.select({ n: sql`1` }).from(left)).toEqual([])
  })
})

describe('a person’s verdict', () => {
  test('stands beside the judge’s, is replaced and taken back, and leaves the counts as they are', async () => {
    const { id, resultId } = await seedRun(server, house.id)
    const before = await runOf(server, id)
    const judge = (json: Input) => ask('POST', `/results/${resultId}/human-verdict`, json)
    const { body } = await judge({ verdict: 'fail', note: '  It was rude.\nTwice. ' })
    const human = { verdict: 'fail', note: 'It was rude.\nTwice.', byName: house.tester.name, at: expect.stringMatching(/Z$/) }
    expect(body).toMatchObject({ id: resultId, runId: id, verdict: 'pass', overallScore: 1, human })
    expect(await newest()).toMatchObject({
      ...{ action: 'result.judged', actorId: house.tester.id, entityType: 'result', entityId: resultId, entityName: 'Case 0' },
      details: { before: { humanVerdict: null, note: '' }, after: { humanVerdict: 'fail', note: human.note } },
    })
    expect((await ask('GET', `/results/${resultId}`)).body).toEqual(body)
    expect((await judge({ verdict: 'pass' })).body.human).toMatchObject({ verdict: 'pass', note: '' })
    expect((await judge({ verdict: null })).body.human).toBeNull()
    const audited = await countAudit(server, house.id)
    expect((await judge({ verdict: null })).body.human).toBeNull()
    expect(await countAudit(server, house.id)).toBe(audited)
    expect(await runOf(server, id)).toEqual(before)
  })

  test('is refused where nothing was executed, and when it is none', async () => {
    const { resultId } = await seedRun(server, house.id, pending)
    expect((await ask('POST', `/results/${resultId}/human-verdict`, { verdict: 'pass' })).status).toBe(409)
    const done = await seedRun(server, house.id)
    const bad: [Input, string][] = [
      [{}, 'verdict'],
      [{ verdict: 'skipped' }, 'verdict'],
      [{ verdict: 'pass', note: 'x'.repeat(2_001) }, 'note'],
      [{ verdict: 'pass', byName: 'me' }, 'byName'],
    ]
    for (const [json, path] of bad) {
      const { status, body } = await ask('POST', `/results/${done.resultId}/human-verdict`, json)
      expect([json, status, body.errors?.map((error) => error.path)]).toEqual([json, 400, [path]])
    }
    const [row] = await server.database.db.select().from(results).where(eq(results.id, done.resultId))
    expect(row?.humanVerdict).toBeNull()
  })
})

describe('waiting for the end of a run', () => {
  const timed = async <T>(work: Promise<T>) => {
    const from = performance.now()
    return { value: await work, seconds: (performance.now() - from) / 1_000 }
  }

  test('answers at once when it has ended, soon when it ends, and after the time when it does not', async () => {
    const done = await seedRun(server, house.id)
    expect((await timed(ask('GET', `/runs/${done.id}?wait=30`))).seconds).toBeLessThan(0.45)
    const going = await seedRun(server, house.id, pending)
    const first = await timed(ask('GET', `/runs/${going.id}?wait=2`))
    expect(first.value.body).toMatchObject({ status: 'pending', completedAt: null })
    expect(first.seconds).toBeGreaterThan(1)
    expect(first.seconds).toBeLessThan(3)
    const waiting = timed(ask('GET', `/runs/${going.id}?wait=30`))
    await sleep(300)
    // Nothing is held: a change of the same row goes through, and no connection for reads is in use.
    expect(server.database.readers().busy).toBe(0)
    const ending = { status: 'completed', completedAt: new Date() } as const
    await server.database.transaction((tx) => tx.update(runs).set(ending).where(eq(runs.id, going.id)))
    const { value, seconds } = await waiting
    expect([value.status, value.body.status]).toEqual([200, 'completed'])
    expect(seconds).toBeLessThan(3)
  })

  test('is told 401 when its key is revoked meanwhile, and counts as one request of a limited key', async () => {
    const { id } = await seedRun(server, house.id, pending)
    const limited = await seedKey(server, house.id, 'Viewer', { requestsPerMinute: 2 })
    expect((await ask('GET', `/runs/${id}?wait=2`, undefined, limited.key)).status).toBe(200)
    const waiting = ask('GET', `/runs/${id}?wait=30`, undefined, limited.key)
    await sleep(200)
    await server.database.db.update(apiKeys).set({ revokedAt: new Date() }).where(eq(apiKeys.id, limited.id))
    expect((await waiting).status).toBe(401)
  })

  test('takes 0 to 30 whole seconds', async () => {
    const { id } = await seedRun(server, house.id)
    for (const wait of ['-1', '31', '1.5', 'x', '']) {
      expect([wait, (await ask('GET', `/runs/${id}?wait=${wait}`)).body.errors]).toMatchObject([wait, [{ path: 'wait' }]])
    }
    expect((await ask('GET', `/runs/${id}?wait=0`)).status).toBe(200)
  })

  test('ends with the client: nothing looks after it', async () => {
    const { id } = await seedRun(server, house.id, pending)
    const { id: keyId, key } = await seedKey(server, house.id, 'Viewer')
    const control = new AbortController()
    const waiting = server.request(`/api/runs/${id}?wait=30`, { key, signal: control.signal })
    await sleep(200)
    control.abort()
    await expect(waiting).rejects.toThrow()
    await sleep(700)
    // A look that came later would be refused, and that is counted.
    await server.database.db.update(apiKeys).set({ revokedAt: new Date() }).where(eq(apiKeys.id, keyId))
    await sleep(1_200)
    const [row] = await server.database.db.select().from(apiKeys).where(eq(apiKeys.id, keyId))
    expect(row?.trippedAt).toBeNull()
  })
})
