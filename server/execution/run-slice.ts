// Executes a slice of a run: cases one after the other for some seconds, then the rest is left to another slice.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Database, Tx } from '#db/client.ts'
import type { Env } from '../env.ts'
import type { JobControl, JobData } from '../jobs.ts'
import { log } from '../log.ts'
import type { OutboundRules } from '../outbound.ts'
import { actIn } from '../principal.ts'
import { asTrpcError } from '../problem.ts'
import { sendToAgent } from './connector.ts'
import { judgeConversation } from './judge.ts'
import { executeCase, type Means } from './run-case.ts'
import { failRun } from './run-end.ts'
import { planNext } from './run-plan.ts'
import { storeOutcome } from './run-store.ts'
import { enqueueSlice } from './run-turns.ts'

export interface RunContext {
  database: Database
  secret: string
  env: Pick<Env, 'MATE_ALLOW_PRIVATE_AGENTS'>
  resolve?: OutboundRules['resolve']
  means?: Means
}

type Job = JobData['run.execute']

const sliceMs = 5_000
/** Failures in a row, without a case between them, that end a run. */
const mostFailures = 5

/**
 * @throws Error when the database does not answer, or the job is this worker's no longer: the queue tries again unless another
 * worker does. Any other failure is counted, and ends the run at last.
 */
export async function executeSlice(context: RunContext, job: Job, control: JobControl): Promise<void> {
  const progress = { cases: 0 }
  try {
    await executeCases(context, job, control, progress)
  } catch (error) {
    if (control.signal.aborted || asTrpcError(error).code === 'SERVICE_UNAVAILABLE') throw error
    const failures = progress.cases > 0 ? 1 : (job.failures ?? 0) + 1
    log('error', 'a slice of a run failed', { runId: job.runId, failures, error })
    await context.database.transaction((tx) => noteFailure(tx, job, failures))
  }
}

async function executeCases(context: RunContext, job: Job, control: JobControl, progress: { cases: number }): Promise<void> {
  const { database, secret, env, resolve, means = { send: sendToAgent, judge: judgeConversation } } = context
  const { signal } = control
  const rules: OutboundRules = { allowPrivate: env.MATE_ALLOW_PRIVATE_AGENTS, ...(resolve ? { resolve } : {}) }
  const until = Date.now() + sliceMs
  let delayMs = 0
  while (!control.isStopping() && Date.now() + delayMs < until) {
    if (delayMs > 0) await sleep(delayMs, undefined, { signal })
    const planned = await database.transaction((tx) => planNext(tx, secret, job))
    if (!planned) return
    const outcome = await executeCase(planned, means, rules, signal)
    // Taken over meanwhile: the other one's word counts.
    signal.throwIfAborted()
    const isMore = await database.transaction((tx) => storeOutcome(tx, job, planned.resultId, outcome))
    progress.cases++
    if (!isMore) return
    delayMs = planned.delayBetweenTestsMs
  }
  const startAfter = delayMs > 0 ? new Date(Date.now() + delayMs) : undefined
  await database.transaction((tx) => goOnLater(tx, job, {}, startAfter))
}

async function goOnLater(tx: Tx, { tenantId, runId }: Job, more: { failures?: number }, startAfter?: Date): Promise<void> {
  await actIn(tx, 'transaction', tenantId)
  await enqueueSlice(tx, { tenantId, runId, ...more }, startAfter)
}

async function noteFailure(tx: Tx, job: Job, failures: number): Promise<void> {
  if (failures < mostFailures) return goOnLater(tx, job, { failures }, new Date(Date.now() + 1_000 * 2 ** failures))
  await actIn(tx, 'transaction', job.tenantId)
  const message = `mate itself failed ${mostFailures} times at the same case, and gave up. Report the run to your operator.`
  await failRun(tx, job, message)
}
