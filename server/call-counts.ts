// How often each key called each operation on each day: counted in memory, taken and written by usage.ts.
import { sql } from 'drizzle-orm'
import type { Db, Tx } from '#db/client.ts'
import { log } from './log.ts'
import type { Role } from './roles.ts'

interface CountedCall {
  keyId: string
  operation: string
  /** The least role with which it passes. */
  neededRole: Role
  isRefused: boolean
  ip: string | null
}

interface Count {
  key: string
  /** UTC, YYYY-MM-DD. */
  day: string
  operation: string
  needed: Role
  calls: number
  refusals: number
  /** Milliseconds since 1970. */
  firstAt: number
  lastAt: number
  ip: string | null
}

export type CallCounts = Map<string, Count>

/** More kinds of calls than a node meets in one batch; reached only when batches fail, so that memory stays bounded. */
const maxCounts = 50_000
const dayMs = 86_400_000

let counts: CallCounts = new Map()
let dropped = 0

export function noteCall({ keyId, operation, neededRole, isRefused, ip }: CountedCall, at = Date.now()): void {
  const id = `${keyId} ${Math.floor(at / dayMs)} ${operation} ${neededRole}`
  const count = counts.get(id)
  if (count) {
    count.lastAt = at
    count.ip = ip
    if (isRefused) count.refusals++
    else count.calls++
    return
  }
  if (counts.size >= maxCounts) {
    dropped++
    return
  }
  const day = new Date(at).toISOString().slice(0, 10)
  const [calls, refusals] = isRefused ? [0, 1] : [1, 0]
  counts.set(id, { key: keyId, day, operation, needed: neededRole, calls, refusals, firstAt: at, lastAt: at, ip })
}

/** How many counts wait to be written. */
export function pendingCounts(): number {
  return counts.size
}

/** What was counted since the last time; it is the caller's now, to write or to put back. */
export function takeCounts(): CallCounts {
  const taken = counts
  counts = new Map()
  if (dropped > 0) log('warn', 'calls were not counted: too many wait to be written', { calls: dropped, maxCounts })
  dropped = 0
  return taken
}

export function putBackCounts(taken: CallCounts): void {
  const since = counts
  counts = taken
  for (const [id, later] of since) {
    const earlier = counts.get(id)
    if (!earlier) counts.set(id, later)
    else {
      const calls = earlier.calls + later.calls
      counts.set(id, { ...later, calls, refusals: earlier.refusals + later.refusals, firstAt: earlier.firstAt })
    }
  }
}

/**
 * Adds the counts to their rows, in one statement, always in the same order: nodes that write at once wait for each other
 * and never in a circle. Keys that are gone by now are left out. What a role on trial would have refused is told here, so
 * that no request has to ask for it: calls within two seconds of a trial's start or end may fall on either side.
 */
export async function writeCounts(tx: Tx, taken: CallCounts): Promise<void> {
  if (taken.size === 0) return
  const rows = [...taken.values()].map(({ firstAt, lastAt, ...rest }) => ({
    ...rest,
    first: new Date(firstAt).toISOString(),
    last: new Date(lastAt).toISOString(),
  }))
  await tx.execute(sql`
    insert into api_key_usage as u (tenant_id, key_id, day, operation, needed_role, calls, refusals, last_at, last_ip,
      shadow_refusals, shadow_last_at)
    select k.tenant_id, k.id, c.day, c.operation, c.needed, c.calls, c.refusals, c.last, c.ip,
      case when is_against_trial then c.calls else 0 end, case when is_against_trial then c.last end
    from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb)
      as c (key uuid, day date, operation text, needed text, calls bigint, refusals bigint, first timestamptz, last timestamptz, ip text)
    join api_keys k on k.id = c.key,
    lateral (select c.calls > 0 and c.last >= k.shadow_since and c.first < k.shadow_until
      and mate_role_rank(c.needed) > mate_role_rank(k.shadow_role) as is_against_trial) as trial
    order by c.key, c.day, c.operation, c.needed
    on conflict (key_id, day, operation, needed_role) do update set
      calls = u.calls + excluded.calls,
      refusals = u.refusals + excluded.refusals,
      last_ip = case when excluded.last_at >= u.last_at then excluded.last_ip else u.last_ip end,
      last_at = greatest(u.last_at, excluded.last_at),
      shadow_refusals = u.shadow_refusals + excluded.shadow_refusals,
      shadow_last_at = greatest(u.shadow_last_at, excluded.shadow_last_at)`)
}

/** How many days counts are kept. */
export const keptDays = 400

/** Removes the counts of days that are over for longer than counts are kept. */
export async function removeOldCounts(db: Db): Promise<void> {
  await db.execute(sql`delete from api_key_usage where day < (now() at time zone 'utc')::date - ${keptDays}::int`)
}
