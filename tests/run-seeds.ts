// Suites, judges and runs as their routers would have made them: rows for what needs one, and no more.
import { randomBytes } from 'node:crypto'
import { asc, eq } from 'drizzle-orm'
import { expect } from 'vitest'
import {
  agents,
  judgeSettings,
  results,
  runs,
  scoreNames,
  type TestCaseSnapshot,
  testCases,
  testSuites,
  transcriptMessages,
} from '#db/schema.ts'
import { type SeededKey, seedAgent, seedKey, seedTenant, type TestServer } from './harness.ts'

type Server = Pick<TestServer, 'database'>

const label = (what: string) => `${what} ${randomBytes(4).toString('hex')}`
const only = <T>([row]: T[]): T => {
  if (!row) throw new Error('the insert returned no row')
  return row
}

/** One case says one message, `say 0`, `say 1` …, unless it is given. */
export async function seedSuite(
  { database: { db } }: Server,
  tenantId: string,
  cases: number | Partial<typeof testCases.$inferInsert>[] = 1,
  fields: Partial<typeof testSuites.$inferInsert> = {},
): Promise<{ id: string; name: string; caseIds: string[] }> {
  const suite = { tenantId, name: label('Suite'), passThreshold: 0.8, delayBetweenTestsMs: 0, ...fields }
  const { id } = only(await db.insert(testSuites).values(suite).returning({ id: testSuites.id }))
  const given = typeof cases === 'number' ? Array.from({ length: cases }, () => ({})) : cases
  const rows = given.map((each, i) => ({
    tenantId,
    suiteId: id,
    name: `Case ${i}`,
    userInput: [`say ${i}`],
    sortOrder: i,
    ...each,
  }))
  const made = await db.insert(testCases).values(rows).returning({ id: testCases.id })
  return { id, name: suite.name, caseIds: made.map((row) => row.id) }
}

/** An agent at `url`. */
export async function seedAgentAt(
  { database: { db } }: Server,
  tenantId: string,
  url: string,
  settings: { timeoutSeconds?: number } = {},
): Promise<{ id: string; name: string }> {
  const name = label('Agent')
  const connector = { type: 'http', url, secretHeader: 'Authorization', ...settings } as const
  return only(await db.insert(agents).values({ tenantId, name, environment: 'test', connector }).returning())
}

/** Passes what contains `pattern`; the tenant's default unless it is said otherwise. */
export async function seedJudge(
  { database: { db } }: Server,
  tenantId: string,
  pattern: string,
  fields: Partial<typeof judgeSettings.$inferInsert> = {},
): Promise<string> {
  const criterion = { name: 'word', type: 'contains', pattern, weight: 1, isMandatory: true } as const
  const weights = { taskSuccess: 0.2, intentMatch: 0.2, factuality: 0.2, helpfulness: 0.2, safety: 0.2 }
  const setting = { tenantId, name: label('Judge'), provider: 'rubrics', weights, passThreshold: 0.7 } as const
  const row = { ...setting, criteria: [criterion], isDefault: true, ...fields }
  return only(await db.insert(judgeSettings).values(row).returning({ id: judgeSettings.id })).id
}

const snapshot = (i: number): TestCaseSnapshot => ({
  ...{ name: `Case ${i}`, userInput: [`say ${i}`], acceptanceCriteria: '', expectedIntent: null },
  ...{ expectedEntities: [], referenceAnswer: null, tags: ['seeded'] },
})

/** A run of one case with its transcript, ended unless it is said otherwise; no job is there for it. */
export async function seedRun(
  server: Server,
  tenantId: string,
  fields: Partial<typeof runs.$inferInsert> = {},
): Promise<{ id: string; resultId: string }> {
  const { db } = server.database
  const agent = await seedAgent(server, tenantId)
  const suite = await seedSuite(server, tenantId)
  const requestedBy = { requestedByKind: 'console', requestedById: 'test', requestedByName: 'test' } as const
  const of = { suiteId: suite.id, suiteName: suite.name, agentId: agent.id, agentName: agent.name }
  const end = { status: 'completed', passed: 1, startedAt: new Date(), completedAt: new Date() } as const
  const row = { tenantId, ...of, ...requestedBy, passThreshold: 0.8, delayBetweenTestsMs: 0, total: 1, ...end, ...fields }
  const { id: runId, status } = only(await db.insert(runs).values(row).returning())
  const scores = Object.fromEntries(scoreNames.map((name) => [name, 1])) as Record<(typeof scoreNames)[number], number>
  const judged = {
    verdict: 'pass',
    scores,
    overallScore: 1,
    rationale: 'As it should be.',
    latencyMs: 12,
    executedAt: new Date(),
  } as const
  const result = { tenantId, runId, position: 0, testCaseId: suite.caseIds[0] ?? null, testCase: snapshot(0) }
  const { id: resultId } = only(
    await db
      .insert(results)
      .values({ ...result, ...(status === 'completed' ? judged : {}) })
      .returning({ id: results.id }),
  )
  const said = { tenantId, resultId, turnIndex: 0, at: new Date() }
  if (status === 'completed') {
    await db.insert(transcriptMessages).values([
      { ...said, position: 0, role: 'user', content: 'say 0' },
      { ...said, position: 1, role: 'agent', content: 'said', raw: '{"reply":"said"}', latencyMs: 12 },
    ])
  }
  return { id: runId, resultId }
}

export interface RunHouse {
  id: string
  tester: SeededKey
}

export async function seedRunHouse(server: Server): Promise<RunHouse> {
  const { id } = await seedTenant(server)
  return { id, tester: await seedKey(server, id, 'Tester') }
}

/** Asks for a run as a Tester does. @returns its id. */
export async function startRun(
  server: Pick<TestServer, 'request'>,
  { tester }: RunHouse,
  suiteId: string,
  agentId: string,
): Promise<string> {
  const response = await server.request('/api/runs', { method: 'POST', key: tester.key, json: { suiteId, agentId } })
  expect(response.status).toBe(202)
  return ((await response.json()) as { id: string }).id
}

export async function runOf({ database: { db } }: Server, id: string): Promise<typeof runs.$inferSelect> {
  return only(await db.select().from(runs).where(eq(runs.id, id)))
}

/** In the order of the cases. */
export const resultsOf = ({ database: { db } }: Server, runId: string) =>
  db.select().from(results).where(eq(results.runId, runId)).orderBy(asc(results.position))

export const transcriptOf = ({ database: { db } }: Server, resultId: string) =>
  db.select().from(transcriptMessages).where(eq(transcriptMessages.resultId, resultId)).orderBy(asc(transcriptMessages.position))
