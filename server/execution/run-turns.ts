// Whose run is executed next: of each tenant only its oldest runs are in the queue, so that none fills it.
import { and, asc, eq, inArray, sql } from 'drizzle-orm'
import type { Tx } from '#db/client.ts'
import { runs } from '#db/schema.ts'
import { enqueue, type JobData } from '../jobs.ts'

export interface RunRef {
  tenantId: string
  runId: string
}

export const isRun = ({ tenantId, runId }: RunRef) => and(eq(runs.tenantId, tenantId), eq(runs.id, runId))

/** Runs of a tenant that are in the queue at once; each is done a slice at a time, in turn with those of others. */
const inQueue = 10

/** A run is in the queue when it is one of the oldest that have not ended: whoever adds or ends one holds this, to the commit. */
export async function lockTurns(tx: Tx, tenantId: string): Promise<void> {
  const name = JSON.stringify(['mate.runs', tenantId])
  await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended(${name}::text, 0))`)
}

export const isUnfinished = inArray(runs.status, sql`('pending', 'running')`)

async function oldest(tx: Tx, tenantId: string): Promise<{ id: string }[]> {
  return tx
    .select({ id: runs.id })
    .from(runs)
    .where(and(eq(runs.tenantId, tenantId), isUnfinished))
    .orderBy(asc(runs.createdAt), asc(runs.id))
    .limit(inQueue)
}

/** Puts a run that was just added into the queue, unless the tenant has enough there: then its turn comes later. */
export async function requestTurn(tx: Tx, ref: RunRef): Promise<void> {
  const found = await oldest(tx, ref.tenantId)
  if (found.some(({ id }) => id === ref.runId)) await enqueueSlice(tx, ref)
}

/** After a run has ended: the one that moved up in its place is put into the queue. */
export async function passTurn(tx: Tx, { tenantId, runId: endedId }: RunRef): Promise<void> {
  await lockTurns(tx, tenantId)
  const last = (await oldest(tx, tenantId))[inQueue - 1]
  if (!last) return
  const [ended] = await tx
    .select({ isOlder: sql<boolean>`(${runs.createdAt}, ${runs.id}) < (select created_at, id from runs where id = ${last.id})` })
    .from(runs)
    .where(and(eq(runs.tenantId, tenantId), eq(runs.id, endedId)))
  if (ended?.isOlder) await enqueueSlice(tx, { tenantId, runId: last.id })
}

/** Asks for a slice of a run; of several that wait for one run, the queue keeps one. */
export async function enqueueSlice(tx: Tx, slice: JobData['run.execute'], startAfter?: Date): Promise<void> {
  const { tenantId } = slice
  await enqueue(tx, 'run.execute', { ...slice }, { tenantId, groupId: tenantId, startAfter })
}

const forgottenAfter = '1 hour'

/** As the login role: a run whose job went missing, however that came, is put into the queue again. Any node may do it. */
export async function repairTurns(tx: Tx): Promise<void> {
  const found = await tx
    .select({ tenantId: sql<string>`tenant_id`, runId: sql<string>`id` })
    .from(
      sql`(select tenant_id, id, row_number() over (partition by tenant_id order by created_at, id) as place
        from runs where status in ('pending', 'running') and created_at < clock_timestamp() - ${forgottenAfter}::interval) as waiting`,
    )
    .where(sql`place <= ${inQueue}`)
  for (const slice of found) await enqueueSlice(tx, slice)
}
