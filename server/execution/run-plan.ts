// The next case of a run, with the agent and the judge as they are at that moment.
import { and, asc, eq, isNull, sql } from 'drizzle-orm'
import type { Tx } from '#db/client.ts'
import { agents, judgeSettings, results, runs, testSuites } from '#db/schema.ts'
import { actIn } from '../principal.ts'
import type { Judge } from './judge.ts'
import { openSecret, orUnreadable, type Unreadable } from './opened-secret.ts'
import type { PlannedCase } from './run-case.ts'
import { completeRun, failRun, holdRequester } from './run-end.ts'
import { isRun, type RunRef } from './run-turns.ts'

export interface Plan extends PlannedCase {
  delayBetweenTestsMs: number
}

/** Marks the run as begun. Undefined when there is nothing to do: it has ended, or is gone. */
export async function planNext(tx: Tx, secret: string, ref: RunRef): Promise<Plan | undefined> {
  await actIn(tx, 'transaction', ref.tenantId)
  if (!(await holdRequester(tx, ref))) return undefined
  const found = await readRun(tx, ref)
  if (!found || !['pending', 'running'].includes(found.status)) return undefined
  if (found.status === 'pending') await begin(tx, ref)
  const next = await readNext(tx, ref)
  if (!next) {
    await completeRun(tx, ref)
    return undefined
  }
  if (!found.agentId || !found.connector) {
    await failRun(tx, ref, 'The agent was deleted before the run had ended.')
    return undefined
  }
  const { agentId, connector, connectorSecret, delayBetweenTestsMs } = found
  const target = orUnreadable(() => ({ connector, secret: openSecret(secret, agentId, connectorSecret, 'agent') }))
  const judge = await findJudge(tx, secret, ref.tenantId, found.suiteJudgeId, found.agentJudgeId)
  return { resultId: next.id, testCase: next.testCase, target, judge, delayBetweenTestsMs }
}

async function readRun(tx: Tx, ref: RunRef) {
  const [row] = await tx
    .select({
      status: runs.status,
      delayBetweenTestsMs: runs.delayBetweenTestsMs,
      agentId: agents.id,
      connector: agents.connector,
      connectorSecret: agents.connectorSecret,
      agentJudgeId: agents.judgeSettingId,
      suiteJudgeId: testSuites.judgeSettingId,
    })
    .from(runs)
    .leftJoin(agents, and(eq(agents.id, runs.agentId), eq(agents.tenantId, ref.tenantId)))
    .leftJoin(testSuites, and(eq(testSuites.id, runs.suiteId), eq(testSuites.tenantId, ref.tenantId)))
    .where(isRun(ref))
  return row
}

async function begin(tx: Tx, ref: RunRef): Promise<void> {
  await tx
    .update(runs)
    .set({ status: 'running', startedAt: sql`clock_timestamp()` })
    .where(and(isRun(ref), eq(runs.status, 'pending')))
}

async function readNext(tx: Tx, { tenantId, runId }: RunRef) {
  const [row] = await tx
    .select({ id: results.id, testCase: results.testCase })
    .from(results)
    .where(and(eq(results.tenantId, tenantId), eq(results.runId, runId), isNull(results.verdict)))
    .orderBy(asc(results.position))
    .limit(1)
  return row
}

/** The suite's, else the agent's, else the tenant's default. */
async function findJudge(
  tx: Tx,
  secret: string,
  tenantId: string,
  suiteJudgeId: string | null,
  agentJudgeId: string | null,
): Promise<Judge | Unreadable | undefined> {
  const { id, provider, weights, passThreshold, criteria, model, modelSecret, isDefault } = judgeSettings
  const rank = sql`case when ${id} = ${suiteJudgeId}::uuid then 0 when ${id} = ${agentJudgeId}::uuid then 1 else 2 end`
  const [row] = await tx
    .select({ id, provider, weights, passThreshold, criteria, model, modelSecret })
    .from(judgeSettings)
    .where(
      and(
        eq(judgeSettings.tenantId, tenantId),
        sql`(${id} = ${suiteJudgeId}::uuid or ${id} = ${agentJudgeId}::uuid or ${isDefault})`,
      ),
    )
    .orderBy(rank)
    .limit(1)
  if (!row) return undefined
  const { id: judgeId, modelSecret: sealed, ...judge } = row
  return orUnreadable(() => ({ ...judge, secret: openSecret(secret, judgeId, sealed, 'judge’s model') }))
}
