// The records of runs: their shape outside, their columns inside, and how one is found.
import { TRPCError } from '@trpc/server'
import { and, eq, inArray, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { agents, results, runs, testCases, testSuites } from '#db/schema.ts'
import { isPassedOf, passRateOf } from '../execution/run-end.ts'
import { isRun, isUnfinished } from '../execution/run-turns.ts'
import { Id, Instant } from '../input.ts'
import { badField, FieldErrors } from '../problem.ts'

const Status = z.enum(runs.status.enumValues)
const Share = z.number().min(0).max(1)
const Count = z.number().int()

export const Run = z
  .object({
    id: Id,
    suiteId: Id.nullable().describe('Null once the suite is deleted.'),
    suiteName: z.string(),
    agentId: Id.nullable().describe('Null once the agent is deleted.'),
    agentName: z.string(),
    status: Status,
    passThreshold: Share.describe('The suite’s, as it was when the run was asked for.'),
    passRate: Share.nullable().describe('Of the cases that were not skipped; null before the end, and when there is none.'),
    isPassed: z
      .boolean()
      .nullable()
      .describe('Whether it completed and the pass rate reaches the threshold; null before the end.'),
    counts: z.object({ total: Count, passed: Count, failed: Count, skipped: Count, errors: Count }),
    latency: z
      .object({ averageMs: z.number().nullable(), medianMs: z.number().nullable(), p95Ms: z.number().nullable() })
      .describe('Of the agent’s answers, case by case; null before the end, and when there was none.'),
    requestedBy: z.object({ kind: z.enum(runs.requestedByKind.enumValues), id: z.string(), name: z.string() }),
    createdAt: Instant,
    startedAt: Instant.nullable(),
    completedAt: Instant.nullable(),
    errorMessage: z.string().nullable().describe('Why the run failed.'),
  })
  .meta({ id: 'Run' })
export type Run = z.infer<typeof Run>

export const RunFilter = {
  suiteId: Id.optional(),
  agentId: Id.optional(),
  status: Status.optional(),
}

type Row = typeof runs.$inferSelect

export function toRun(row: Row): Run {
  const { id, suiteId, suiteName, agentId, agentName, status, passThreshold, total, passed, failed, skipped, errors } = row
  const isPassed = isPassedOf(row)
  return {
    ...{ id, suiteId, suiteName, agentId, agentName, status, passThreshold },
    passRate: isPassed === null ? null : passRateOf(row),
    isPassed,
    counts: { total, passed, failed, skipped, errors },
    latency: { averageMs: row.averageLatencyMs, medianMs: row.medianLatencyMs, p95Ms: row.p95LatencyMs },
    requestedBy: { kind: row.requestedByKind, id: row.requestedById, name: row.requestedByName },
    createdAt: row.createdAt.toISOString(),
    startedAt: row.startedAt?.toISOString() ?? null,
    completedAt: row.completedAt?.toISOString() ?? null,
    errorMessage: row.errorMessage,
  }
}

export const entityOf = ({ id, suiteName }: Run) => ({ type: 'run', id, name: suiteName }) as const

export const isEnded = ({ status }: Run): boolean => status !== 'pending' && status !== 'running'

/** @throws TRPCError NOT_FOUND, for another tenant's run too. */
export async function getRun(tx: Tx, tenantId: string, runId: string, forUpdate = false): Promise<Run> {
  const query = tx.select().from(runs).where(isRun({ tenantId, runId }))
  const [row] = await (forUpdate ? query.for('update') : query)
  if (!row) throw new TRPCError({ code: 'NOT_FOUND', message: 'There is no run with this id.' })
  return toRun(row)
}

const mostUnfinished = 1_000

/** Under the lock of turns. @throws TRPCError CONFLICT */
export async function requireRoom(tx: Tx, tenantId: string): Promise<void> {
  if ((await tx.$count(runs, and(eq(runs.tenantId, tenantId), isUnfinished))) < mostUnfinished) return
  const message = `${mostUnfinished.toLocaleString('en')} runs wait or go on already, the most that a tenant may have. Try again when some have ended, or cancel some.`
  throw new TRPCError({ code: 'CONFLICT', message })
}

/** @throws TRPCError BAD_REQUEST that names the field. */
export async function requireSuite(tx: Tx, tenantId: string, id: string) {
  const [suite] = await tx
    .select()
    .from(testSuites)
    .where(and(eq(testSuites.tenantId, tenantId), eq(testSuites.id, id)))
  if (!suite) throw badField('suiteId', 'There is no test suite with this id.')
  return suite
}

/** @throws TRPCError BAD_REQUEST that names the field. */
export async function requireAgent(tx: Tx, tenantId: string, id: string): Promise<{ id: string; name: string }> {
  const [agent] = await tx
    .select({ id: agents.id, name: agents.name, isActive: agents.isActive })
    .from(agents)
    .where(and(eq(agents.tenantId, tenantId), eq(agents.id, id)))
  if (!agent) throw badField('agentId', 'There is no agent with this id.')
  if (!agent.isActive) throw badField('agentId', 'This agent is inactive. Set it active first.')
  return agent
}

/** Ids of the cases to execute, in no order. @throws TRPCError BAD_REQUEST when one is not of the suite, or there is none. */
export async function chooseCases(tx: Tx, tenantId: string, suiteId: string, given: string[] | undefined): Promise<string[]> {
  const isOfSuite = and(eq(testCases.tenantId, tenantId), eq(testCases.suiteId, suiteId))
  const isChosen = given ? inArray(testCases.id, given) : testCases.isActive
  const found = await tx.select({ id: testCases.id }).from(testCases).where(and(isOfSuite, isChosen))
  const ids = found.map(({ id }) => id)
  if (!given && ids.length === 0) throw badField('suiteId', 'The suite has no active test case. Add one, or set one active.')
  const errors = (given ?? []).flatMap((id, i) =>
    ids.includes(id.toLowerCase()) ? [] : [{ path: `testCaseIds.${i}`, message: 'Is not a test case of this suite.' }],
  )
  if (errors.length === 0) return ids
  const cause = new FieldErrors(errors.slice(0, 100))
  throw new TRPCError({ code: 'BAD_REQUEST', message: 'The input is not valid. See errors for each field.', cause })
}

/** One result a case, in the suite's order, each with the case as it is now. */
export async function insertResults(tx: Tx, tenantId: string, runId: string, caseIds: string[]): Promise<void> {
  const c = testCases
  const place = sql`(row_number() over (order by ${c.sortOrder}, ${c.id}) - 1)::int`
  const snapshot = sql`jsonb_build_object('name', ${c.name}, 'userInput', ${c.userInput}, 'acceptanceCriteria', ${c.acceptanceCriteria},
    'expectedIntent', ${c.expectedIntent}, 'expectedEntities', ${c.expectedEntities}, 'referenceAnswer', ${c.referenceAnswer}, 'tags', ${c.tags})`
  await tx.execute(sql`
    insert into ${results} (tenant_id, run_id, position, test_case_id, test_case)
    select ${tenantId}::uuid, ${runId}::uuid, ${place}, ${c.id}, ${snapshot} from ${c}
    where ${c.tenantId} = ${tenantId} and ${inArray(c.id, caseIds)}`)
}
