// How a run ends: what it came to, its entry in the audit log, and whose turn it is then.
import { and, eq, isNotNull, sql } from 'drizzle-orm'
import type { Tx } from '#db/client.ts'
import { results, runs, tenants } from '#db/schema.ts'
import { writeAudit } from '../audit.ts'
import { isRun, isUnfinished, passTurn, type RunRef } from './run-turns.ts'

type Row = typeof runs.$inferSelect
export type Counts = Pick<Row, 'passed' | 'failed' | 'skipped' | 'errors'>

/** Of the cases that were judged or should have been; null when there is none. */
export function passRateOf({ passed, failed, errors }: Counts): number | null {
  const judged = passed + failed + errors
  return judged > 0 ? passed / judged : null
}

/** Null before the end. */
export function isPassedOf(run: Counts & Pick<Row, 'status' | 'passThreshold'>): boolean | null {
  if (run.status === 'pending' || run.status === 'running') return null
  const passRate = passRateOf(run)
  return run.status === 'completed' && passRate !== null && passRate >= run.passThreshold
}

type End = 'completed' | 'failed' | 'cancelled'

/** The caller holds the run's row, or takes it here; undefined when it had ended before. Writes no audit entry. */
export async function endRun(tx: Tx, ref: RunRef, status: End, errorMessage: string | null = null): Promise<Row | undefined> {
  const [row] = await tx
    .update(runs)
    .set({ status, errorMessage, completedAt: sql`clock_timestamp()` })
    .where(and(isRun(ref), isUnfinished))
    .returning()
  if (!row) return undefined
  // Behind the row's lock: nothing is stored in between.
  const latencies = await readLatencies(tx, ref)
  await tx.update(runs).set(latencies).where(isRun(ref))
  await passTurn(tx, ref)
  return { ...row, ...latencies }
}

async function readLatencies(tx: Tx, { tenantId, runId }: RunRef) {
  const { latencyMs } = results
  const share = (part: number) => sql<number | null>`percentile_cont(${part}::float8) within group (order by ${latencyMs})`
  const [row] = await tx
    .select({
      averageLatencyMs: sql<number | null>`avg(${latencyMs})`,
      medianLatencyMs: share(0.5),
      p95LatencyMs: share(0.95),
    })
    .from(results)
    .where(and(eq(results.tenantId, tenantId), eq(results.runId, runId), isNotNull(latencyMs)))
  return row ?? { averageLatencyMs: null, medianLatencyMs: null, p95LatencyMs: null }
}

/** Every case has its verdict. */
export const completeRun = (tx: Tx, ref: RunRef): Promise<void> => endBySystem(tx, ref, 'completed', null)

/** @param errorMessage for the tenant. */
export const failRun = (tx: Tx, ref: RunRef, errorMessage: string): Promise<void> => endBySystem(tx, ref, 'failed', errorMessage)

/**
 * Whether whoever asked for the run still may: not a key that was revoked or deleted, nor a person who was deactivated,
 * and nobody in a tenant that was. Their runs are cancelled here. Until the commit none of it can happen, so that what is
 * stored now was asked for.
 */
export async function holdRequester(tx: Tx, ref: RunRef): Promise<boolean> {
  const { requestedByKind: kind, requestedById: id } = runs
  const [row] = await tx
    .select({ kind, mayAsk: sql<boolean>`mate_hold_requester(${kind}, ${id})` })
    .from(runs)
    .where(and(isRun(ref), isUnfinished))
  if (!row) return false
  if (row.mayAsk) return true
  await endBySystem(tx, ref, 'cancelled', `${await whyNotAny(tx, ref, row.kind)} before it had ended.`)
  return false
}

async function whyNotAny(tx: Tx, { tenantId }: RunRef, kind: Row['requestedByKind']): Promise<string> {
  const [tenant] = await tx.select({ isActive: tenants.isActive }).from(tenants).where(eq(tenants.id, tenantId))
  if (!tenant?.isActive) return 'The tenant was deactivated'
  return kind === 'key' ? 'The API key that asked for the run was revoked' : 'The person who asked for the run was deactivated'
}

async function endBySystem(tx: Tx, ref: RunRef, status: End, errorMessage: string | null): Promise<void> {
  const run = await endRun(tx, ref, status, errorMessage)
  if (!run) return
  const { passed, failed, skipped, errors } = run
  await writeAudit(tx, {
    tenantId: ref.tenantId,
    actor: { kind: 'system', id: 'runs', name: 'runs', role: null },
    action: `run.${status}`,
    entity: { type: 'run', id: run.id, name: run.suiteName },
    outcome: 'success',
    origin: { ip: null, userAgent: null, requestId: crypto.randomUUID() },
    after: { status, passed, failed, skipped, errors, passRate: passRateOf(run), isPassed: isPassedOf(run) },
    ...(errorMessage ? { reason: errorMessage } : {}),
  })
}
