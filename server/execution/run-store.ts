// Stores what a case came to: once, with its transcript and the run's counts, in one transaction.
import { and, eq, isNull, sql } from 'drizzle-orm'
import type { Tx } from '#db/client.ts'
import { results, runs, transcriptMessages } from '#db/schema.ts'
import { actIn } from '../principal.ts'
import { storable } from './foreign-text.ts'
import type { Message, Outcome } from './run-case.ts'
import { completeRun, holdRequester } from './run-end.ts'
import { isRun, type RunRef } from './run-turns.ts'

/** @returns whether there is more to do: not when that was the last case, or the run has been cancelled or deleted. */
export async function storeOutcome(tx: Tx, ref: RunRef, resultId: string, outcome: Outcome): Promise<boolean> {
  await actIn(tx, 'transaction', ref.tenantId)
  if (!(await holdRequester(tx, ref))) return false
  // Held to the commit: a cancel waits for us, or we see it.
  const [run] = await tx.select({ status: runs.status }).from(runs).where(isRun(ref)).for('update')
  if (run?.status !== 'running') return false
  if (!(await storeResult(tx, ref, resultId, outcome))) return true
  if (outcome.messages.length > 0) {
    const said = outcome.messages.map((message, position) => toRow(ref, resultId, position, message))
    await tx.insert(transcriptMessages).values(said)
  }
  if (await countIn(tx, ref, outcome.verdict)) return true
  await completeRun(tx, ref)
  return false
}

/** False when another worker, which had taken the case over, was sooner. */
async function storeResult(tx: Tx, { tenantId, runId }: RunRef, resultId: string, outcome: Outcome): Promise<boolean> {
  const { verdict, scores, overallScore, rationale, latencyMs } = outcome
  const isPending = and(eq(results.runId, runId), eq(results.id, resultId), isNull(results.verdict))
  const stored = await tx
    .update(results)
    .set({ verdict, scores, overallScore, rationale: storable(rationale), latencyMs, executedAt: sql`clock_timestamp()` })
    .where(and(eq(results.tenantId, tenantId), isPending))
    .returning({ id: results.id })
  return stored.length > 0
}

const columnOf = { pass: runs.passed, fail: runs.failed, skipped: runs.skipped, error: runs.errors }
const nameOf = { pass: 'passed', fail: 'failed', skipped: 'skipped', error: 'errors' } as const

/** @returns whether cases are left. */
async function countIn(tx: Tx, ref: RunRef, verdict: Outcome['verdict']): Promise<boolean> {
  const [run] = await tx
    .update(runs)
    .set({ [nameOf[verdict]]: sql`${columnOf[verdict]} + 1` })
    .where(isRun(ref))
    .returning({
      isLeft: sql<boolean>`${runs.passed} + ${runs.failed} + ${runs.skipped} + ${runs.errors} < ${runs.total}`,
    })
  return run?.isLeft ?? false
}

function toRow({ tenantId }: RunRef, resultId: string, position: number, { content, raw, ...rest }: Message) {
  return { tenantId, resultId, position, ...rest, content: storable(content), raw: raw === null ? null : storable(raw) }
}
