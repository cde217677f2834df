// Test suites and their cases, and the summary of their runs: made, replaced, listed in order, deleted under runs that stay.
import { eq } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { results, runs, testCases, testSuites } from '#db/schema.ts'
import { aCase, aSuite, type Input, rowsOf, unique } from './doors.ts'
import {
  auditOf,
  countAudit,
  type SeededKey,
  seedAgent,
  seedCase,
  seedJudgeSetting,
  seedKey,
  seedSuite,
  seedTenant,
  useServer,
} from './harness.ts'

const server = useServer()
const house = { id: '', admin: {} as SeededKey }
beforeAll(async () => {
  house.id = (await seedTenant(server)).id
  house.admin = await seedKey(server, house.id, 'TenantAdmin')
})

async function ask(method: string, path: string, json?: unknown, { key } = house.admin) {
  const response = await server.request(`/api${path}`, { method, key, json })
  const text = await response.text()
  const body: Input & { items: Input[]; errors?: Input[] } = text === '' ? {} : JSON.parse(text)
  return { status: response.status, headers: response.headers, text, body }
}
const state = async () => [await rowsOf(server, house.id), await countAudit(server, house.id)]
const newest = async () => (await auditOf(server, house.id)).at(-1)
const pathsOf = ({ body }: Awaited<ReturnType<typeof ask>>) => body.errors?.map(({ path }) => path)
const anId = expect.stringMatching(/^[0-9a-f-]{36}$/)
const at = expect.stringMatching(/Z$/)

/** A run of one case that is done, as the worker leaves it. */
async function seedRun(tenantId: string, fields: Partial<typeof runs.$inferInsert>, latencies: (number | null)[] = []) {
  const requestedBy = { requestedByKind: 'key', requestedById: 'k', requestedByName: 'ci' } as const
  const names = { suiteName: 'Suite', agentName: 'Agent', passThreshold: 1, delayBetweenTestsMs: 0, total: latencies.length }
  const [run] = await server.database.db
    .insert(runs)
    .values({ tenantId, status: 'completed', ...names, ...requestedBy, ...fields })
    .returning({ id: runs.id })
  const runId = run?.id ?? ''
  const testCase = { name: 'Case', userInput: ['Hello'], acceptanceCriteria: '', expectedIntent: null, expectedEntities: [] }
  for (const [position, latencyMs] of latencies.entries()) {
    const snapshot = { ...testCase, referenceAnswer: null, tags: [] }
    await server.database.db.insert(results).values({ tenantId, runId, position, testCase: snapshot, verdict: 'pass', latencyMs })
  }
  return runId
}

describe('a test suite', () => {
  test('is made with all its fields: 201, its place, and the same when it is read', async () => {
    const { id: judgeSettingId } = await seedJudgeSetting(server, house.id)
    const limits = { passThreshold: 0.123456789, delayBetweenTestsMs: 60_000 }
    const fields = { name: unique('Suite'), description: 'Two\nlines', ...limits, tags: ['a', 'b c'], judgeSettingId }
    const made = await ask('POST', '/testsuites', fields)
    expect(made.status).toBe(201)
    expect(made.headers.get('location')).toBe(`/api/testsuites/${made.body.id}`)
    expect(made.body).toEqual({ id: anId, ...fields, caseCount: 0, createdAt: at, updatedAt: at })
    expect((await ask('GET', `/testsuites/${made.body.id}`)).body).toEqual(made.body)
    expect((await ask('GET', '/testsuites?limit=1')).body.items).toEqual([made.body])
    const entity = { entityType: 'test_suite', entityId: made.body.id, entityName: fields.name }
    expect(await newest()).toMatchObject({ action: 'test_suite.created', ...entity, details: { after: fields } })
    const defaults = { description: '', passThreshold: 0.8, delayBetweenTestsMs: 0, tags: [], judgeSettingId: null }
    expect((await ask('POST', '/testsuites', { name: unique('Suite') })).body).toMatchObject(defaults)
  })

  test('is refused for what makes no sense, made or replaced, and nothing changes', async () => {
    const foreign = await seedJudgeSetting(server, (await seedTenant(server)).id)
    const { id } = await seedSuite(server, house.id)
    const before = await state()
    const bad: [Input, string][] = [
      [{ name: undefined }, 'name'],
      [{ name: ' ' }, 'name'],
      [{ name: 'x'.repeat(101) }, 'name'],
      [{ description: 'x'.repeat(2001) }, 'description'],
      [{ passThreshold: -0.1 }, 'passThreshold'],
      [{ passThreshold: 80 }, 'passThreshold'],
      [{ delayBetweenTestsMs: 60_001 }, 'delayBetweenTestsMs'],
      [{ delayBetweenTestsMs: 0.5 }, 'delayBetweenTestsMs'],
      [{ tags: Array(21).fill('a') }, 'tags'],
      [{ judgeSettingId: 'default' }, 'judgeSettingId'],
      [{ judgeSettingId: foreign.id }, 'judgeSettingId'],
      [{ judgeSettingId: crypto.randomUUID() }, 'judgeSettingId'],
      [{ caseCount: 1 }, 'caseCount'],
    ]
    for (const [fields, path] of bad) {
      const json = { ...aSuite(), ...fields }
      for (const answer of [await ask('POST', '/testsuites', json), await ask('PUT', `/testsuites/${id}`, json)])
        expect([fields, answer.status, pathsOf(answer)]).toEqual([fields, 400, [path]])
    }
    expect(await state()).toEqual(before)
  })

  test('has a name of its own in its tenant, whatever its case', async () => {
    const { name } = await seedSuite(server, house.id)
    const other = await seedSuite(server, house.id)
    const before = await state()
    const json = { name: name.toUpperCase() }
    expect((await ask('POST', '/testsuites', json)).status).toBe(409)
    expect((await ask('PUT', `/testsuites/${other.id}`, json)).status).toBe(409)
    expect(await state()).toEqual(before)
  })

  test('is replaced whole, keeps its cases, and the log has what changed', async () => {
    const { id, name } = await seedSuite(server, house.id, { passThreshold: 0.5, tags: ['old'] })
    await seedCase(server, house.id, { suiteId: id })
    const put = await ask('PUT', `/testsuites/${id}`, { name, description: 'new' })
    expect(put.body).toMatchObject({ id, name, description: 'new', passThreshold: 0.8, tags: [], caseCount: 1 })
    expect((await ask('GET', `/testsuites/${id}`)).body).toEqual(put.body)
    const details = {
      before: { description: '', passThreshold: 0.5, tags: ['old'] },
      after: { description: 'new', passThreshold: 0.8, tags: [] },
    }
    expect(await newest()).toMatchObject({ action: 'test_suite.updated', entityId: id, details })
    expect(Object.keys((await newest())?.details.after ?? {}).sort()).toEqual(Object.keys(details.after).sort())
  })

  test('that is deleted goes with its cases; a run of it, under way or done, stays with its results', async () => {
    const suite = await seedSuite(server, house.id)
    const testCase = await seedCase(server, house.id, { suiteId: suite.id })
    const agent = await seedAgent(server, house.id)
    const ended = await seedRun(house.id, { suiteId: suite.id, agentId: agent.id, suiteName: suite.name }, [1])
    const running = await seedRun(house.id, { suiteId: suite.id, status: 'running' }, [null])
    const { db } = server.database
    await db.update(results).set({ testCaseId: testCase.id }).where(eq(results.runId, ended))
    expect((await ask('DELETE', `/testcases/${testCase.id}`)).status).toBe(204)
    expect(await db.$count(results, eq(results.runId, ended))).toBe(1)
    expect(await db.$count(results, eq(results.testCaseId, testCase.id))).toBe(0)
    const other = await seedCase(server, house.id, { suiteId: suite.id })
    expect((await ask('DELETE', `/testsuites/${suite.id}`)).status).toBe(204)
    expect((await newest())?.details.before).toMatchObject({ name: suite.name, caseCount: 1 })
    for (const path of [`/testsuites/${suite.id}`, `/testcases/${other.id}`, `/testsuites/${suite.id}/testcases`])
      expect((await ask('GET', path)).status).toBe(404)
    expect((await ask('DELETE', `/agents/${agent.id}`)).status).toBe(204)
    for (const id of [ended, running])
      expect(await db.select().from(runs).where(eq(runs.id, id))).toMatchObject([{ suiteId: null, agentId: null }])
    expect(await db.select().from(runs).where(eq(runs.id, ended))).toMatchObject([{ suiteName: suite.name }])
  })

  test('is listed newest first, in pages of any size that have every one exactly once', async () => {
    const { id } = await seedTenant(server)
    const viewer = await seedKey(server, id, 'Viewer')
    for (let i = 0; i < 7; i++) await seedSuite(server, id, { createdAt: new Date(Math.floor(i / 3) * 1000) })
    const all = (await ask('GET', '/testsuites?limit=200', undefined, viewer)).body.items
    const instants = all.map(({ createdAt }) => Date.parse(String(createdAt)))
    expect(instants).toEqual([2000, 1000, 1000, 1000, 0, 0, 0])
    expect(await walk('/testsuites', 2, viewer)).toEqual(all)
  })
})

/** Every item of a list, page by page. */
async function walk(path: string, limit: number, key: SeededKey): Promise<unknown[]> {
  const items: unknown[] = []
  let cursor: unknown
  for (let pages = 0; cursor !== null && pages < 30; pages++) {
    const { body } = await ask('GET', `${path}?limit=${limit}${cursor ? `&cursor=${cursor}` : ''}`, undefined, key)
    expect(body.items.length).toBeLessThanOrEqual(limit)
    items.push(...body.items)
    cursor = body.nextCursor
  }
  return items
}

describe('a test case', () => {
  const whole = () => ({
    ...{ name: unique('Case'), description: 'what', userInput: ['  Hi\n', 'Bye ☺'], acceptanceCriteria: 'Greets.' },
    ...{ expectedIntent: 'greeting', expectedEntities: ['4711'], referenceAnswer: 'Hello.', tags: ['a'] },
    ...{ isActive: false, sortOrder: 1_000_000 },
  })

  test('is made with all its fields in its suite, 201 and its place, and counted there', async () => {
    const suite = await seedSuite(server, house.id)
    const fields = whole()
    const made = await ask('POST', `/testsuites/${suite.id}/testcases`, fields)
    expect(made.status).toBe(201)
    expect(made.headers.get('location')).toBe(`/api/testcases/${made.body.id}`)
    expect(made.body).toEqual({ id: anId, suiteId: suite.id, ...fields, createdAt: at, updatedAt: at })
    expect((await ask('GET', `/testcases/${made.body.id}`)).body).toEqual(made.body)
    expect((await ask('GET', `/testsuites/${suite.id}/testcases`)).body).toEqual({ items: [made.body], nextCursor: null })
    expect((await ask('GET', `/testsuites/${suite.id}`)).body.caseCount).toBe(1)
    const entity = { entityType: 'test_case', entityId: made.body.id, entityName: fields.name }
    const after = { ...fields, suiteId: suite.id }
    expect(await newest()).toMatchObject({ action: 'test_case.created', ...entity, details: { after } })
  })

  test('is made of its name and one turn; what is left out takes its default, and its place is the last', async () => {
    const suite = await seedSuite(server, house.id)
    const add = async (fields: Input = {}) =>
      (await ask('POST', `/testsuites/${suite.id}/testcases`, { ...aCase(), ...fields })).body
    const texts = { description: '', acceptanceCriteria: '', expectedIntent: null, expectedEntities: [], referenceAnswer: null }
    expect(await add()).toMatchObject({ ...texts, tags: [], isActive: true, sortOrder: 0 })
    expect((await add()).sortOrder).toBe(1)
    expect((await add({ sortOrder: 40 })).sortOrder).toBe(40)
    const last = await add()
    expect(last.sortOrder).toBe(41)
    expect((await ask('PUT', `/testcases/${last.id}`, aCase())).body.sortOrder).toBe(41)
    await add({ sortOrder: 1_000_000 })
    expect((await add()).sortOrder).toBe(1_000_000)
  })

  test('is refused for what makes no sense, made or replaced, and nothing changes', async () => {
    const { id, suiteId } = await seedCase(server, house.id)
    const before = await state()
    const bad: [Input, string][] = [
      [{ name: '' }, 'name'],
      [{ userInput: undefined }, 'userInput'],
      [{ userInput: 'Hello' }, 'userInput'],
      [{ userInput: [] }, 'userInput'],
      [{ userInput: ['a', ' \n'] }, 'userInput.1'],
      [{ userInput: ['x'.repeat(8001)] }, 'userInput.0'],
      [{ userInput: Array(21).fill('a') }, 'userInput'],
      [{ acceptanceCriteria: 'x'.repeat(8001) }, 'acceptanceCriteria'],
      [{ acceptanceCriteria: null }, 'acceptanceCriteria'],
      [{ expectedIntent: '' }, 'expectedIntent'],
      [{ expectedEntities: Array(51).fill('a') }, 'expectedEntities'],
      [{ referenceAnswer: 'x'.repeat(8001) }, 'referenceAnswer'],
      [{ tags: [''] }, 'tags.0'],
      [{ isActive: 'yes' }, 'isActive'],
      [{ sortOrder: -1 }, 'sortOrder'],
      [{ sortOrder: 1_000_001 }, 'sortOrder'],
      [{ sortOrder: 0.5 }, 'sortOrder'],
    ]
    for (const [fields, path] of bad) {
      const json = { ...aCase(), ...fields }
      for (const answer of [
        await ask('POST', `/testsuites/${suiteId}/testcases`, json),
        await ask('PUT', `/testcases/${id}`, json),
      ])
        expect([Object.keys(fields), answer.status, pathsOf(answer)]).toEqual([Object.keys(fields), 400, [path]])
    }
    const moved = await ask('PUT', `/testcases/${id}`, { ...aCase(), suiteId })
    expect([moved.status, pathsOf(moved)]).toEqual([400, ['suiteId']])
    expect(await state()).toEqual(before)
    const longest = { ...aCase(), userInput: Array(20).fill('x'.repeat(8000)) }
    expect((await ask('POST', `/testsuites/${suiteId}/testcases`, longest)).status).toBe(201)
  })

  test('has a name of its own in its suite alone', async () => {
    const { suiteId, name } = await seedCase(server, house.id)
    const other = await seedCase(server, house.id, { suiteId })
    const before = await state()
    const json = { ...aCase(), name: name.toLowerCase() }
    expect((await ask('POST', `/testsuites/${suiteId}/testcases`, json)).status).toBe(409)
    expect((await ask('PUT', `/testcases/${other.id}`, json)).status).toBe(409)
    expect(await state()).toEqual(before)
    const elsewhere = await seedSuite(server, house.id)
    expect((await ask('POST', `/testsuites/${elsewhere.id}/testcases`, json)).status).toBe(201)
  })

  test('is replaced whole within its suite, and deleted; the log has what changed', async () => {
    const { id, suiteId } = await seedCase(server, house.id, { tags: ['old'], sortOrder: 3 })
    const put = await ask('PUT', `/testcases/${id}`, { ...aCase(), expectedIntent: 'x', sortOrder: 2 })
    expect(put.body).toMatchObject({ id, suiteId, tags: [], expectedIntent: 'x', sortOrder: 2 })
    expect((await newest())?.details).toMatchObject({
      before: { tags: ['old'], expectedIntent: null, sortOrder: 3 },
      after: { tags: [], expectedIntent: 'x', sortOrder: 2 },
    })
    expect((await ask('DELETE', `/testcases/${id}`)).status).toBe(204)
    expect(await newest()).toMatchObject({ action: 'test_case.deleted', entityId: id, details: { before: { sortOrder: 2 } } })
    for (const method of ['GET', 'DELETE']) expect((await ask(method, `/testcases/${id}`)).status).toBe(404)
    expect(await server.database.db.$count(testCases, eq(testCases.id, id))).toBe(0)
  })

  test('stands where its sortOrder says, the same in pages of any size; a cursor of another list is 400', async () => {
    const suite = await seedSuite(server, house.id)
    for (const sortOrder of [5, 0, 3, 3, 3, 1]) await seedCase(server, house.id, { suiteId: suite.id, sortOrder })
    const path = `/testsuites/${suite.id}/testcases`
    const { items } = (await ask('GET', path)).body
    expect(items.map(({ sortOrder }) => sortOrder)).toEqual([0, 1, 3, 3, 3, 5])
    const same = items.filter(({ sortOrder }) => sortOrder === 3).map(({ id }) => String(id))
    expect(same).toEqual(same.toSorted())
    for (const limit of [1, 2, 4]) expect(await walk(path, limit, house.admin)).toEqual(items)
    await seedSuite(server, house.id)
    const { nextCursor } = (await ask('GET', '/testsuites?limit=1')).body
    for (const cursor of [nextCursor, 'x', Buffer.from('[1e99,"x"]').toString('base64url')])
      expect((await ask('GET', `${path}?cursor=${cursor}`)).status).toBe(400)
  })

  test('is one of at most 1,000 in its suite', async () => {
    const suite = await seedSuite(server, house.id)
    const values = Array.from({ length: 999 }, (_, i) => ({
      tenantId: house.id,
      suiteId: suite.id,
      name: `${i}`,
      userInput: ['a'],
    }))
    await server.database.db.insert(testCases).values(values)
    const tries = await Promise.all([0, 1].map(() => ask('POST', `/testsuites/${suite.id}/testcases`, aCase())))
    expect(tries.map(({ status }) => status).sort()).toEqual([201, 400])
    expect(tries.flatMap((each) => pathsOf(each) ?? [])).toEqual(['suiteId'])
    await server.database.db.delete(testSuites).where(eq(testSuites.id, suite.id))
  })
})

test('another tenant’s suite and case are 404 in each operation on them, and stay as they are', async () => {
  const other = await seedTenant(server)
  const { id, suiteId } = await seedCase(server, other.id)
  const before = [await rowsOf(server, other.id), ...(await state())]
  const calls: [string, string, Input?][] = [
    ['GET', `/testsuites/${suiteId}`],
    ['PUT', `/testsuites/${suiteId}`, aSuite()],
    ['DELETE', `/testsuites/${suiteId}`],
    ['GET', `/testsuites/${suiteId}/testcases`],
    ['POST', `/testsuites/${suiteId}/testcases`, aCase()],
    ['GET', `/testcases/${id}`],
    ['PUT', `/testcases/${id}`, aCase()],
    ['DELETE', `/testcases/${id}`],
  ]
  for (const [method, path, json] of calls)
    expect([method, path, (await ask(method, path, json)).status]).toEqual([method, path, 404])
  expect([await rowsOf(server, other.id), ...(await state())]).toEqual(before)
})

describe('the summary', () => {
  const dayOf = (daysAgo: number) => new Date(Date.now() - daysAgo * 86_400_000).toISOString().slice(0, 10)

  test('of a tenant without runs has every day and no rate', async () => {
    const viewer = await seedKey(server, (await seedTenant(server)).id, 'Viewer')
    const { body } = await ask('GET', '/metrics/summary', undefined, viewer)
    expect(body).toMatchObject({ days: 30, passRate: null, medianLatencyMs: null, cases: { total: 0 }, runs: { total: 0 } })
    expect((body.byDay as Input[]).map(({ day }) => day)).toEqual(Array.from({ length: 30 }, (_, i) => dayOf(29 - i)))
    for (const days of ['0', '91', '1.5', 'x'])
      expect((await ask('GET', `/metrics/summary?days=${days}`, undefined, viewer)).status).toBe(400)
  })

  test('adds up the runs of its days, in UTC, and of its tenant alone', async () => {
    const { id } = await seedTenant(server)
    const viewer = await seedKey(server, id, 'Viewer')
    const noon = (daysAgo: number) => new Date(`${dayOf(daysAgo)}T12:00:00Z`)
    const night = new Date(`${dayOf(2)}T00:00:00Z`)
    await seedRun(id, { createdAt: noon(0), passed: 2, failed: 1, total: 4, errors: 1 }, [10, 20, 60])
    await seedRun(id, { createdAt: night, passed: 1, total: 2, skipped: 1 }, [30, null])
    await seedRun(id, { createdAt: noon(2), status: 'failed', total: 3 })
    await seedRun(id, { createdAt: noon(1), status: 'cancelled', total: 2, passed: 1 }, [null])
    await seedRun(id, { createdAt: new Date(night.getTime() - 1), passed: 7, total: 7 }, [9_999])
    await seedRun(house.id, { createdAt: noon(0), passed: 9, total: 9 }, [1, 1, 1, 1, 1])
    const { body } = await ask('GET', '/metrics/summary?days=3', undefined, viewer)
    expect(body).toEqual({
      days: 3,
      runs: { total: 4, completed: 2, failed: 1, cancelled: 1 },
      cases: { total: 11, passed: 4, failed: 1, skipped: 1, errors: 1 },
      passRate: 4 / 6,
      medianLatencyMs: 25,
      byDay: [
        { day: dayOf(2), runs: 2, passed: 1, judged: 1 },
        { day: dayOf(1), runs: 1, passed: 1, judged: 1 },
        { day: dayOf(0), runs: 1, passed: 2, judged: 4 },
      ],
    })
  })
})
