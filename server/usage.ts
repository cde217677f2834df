// When and from where each key was last used, what it called, how often it was refused: collected in memory, written in batches.
import { sql } from 'drizzle-orm'
import type { Database } from '#db/client.ts'
import { pendingCounts, putBackCounts, takeCounts, writeCounts } from './call-counts.ts'
import { log } from './log.ts'

interface LastUse {
  at: Date
  ip: string | null
  userAgent: string | null
}

const flushEveryMs = 2_000

const lastUses = new Map<string, LastUse>()
const refusals = new Map<string, { tenantId: string; foldKey: string; occurrences: number }>()
/** Refusals of this minute whose entry stands in the log. */
let written = { minute: 0, foldKeys: new Set<string>() }

export function noteUse(keyId: string, use: LastUse): void {
  lastUses.set(keyId, use)
}

/** True when the caller has to write the entry itself; false when it stands already, and this occurrence is counted. */
export function isFirstRefusal(tenantId: string, foldKey: string, minute: number): boolean {
  if (written.minute !== minute) written = { minute, foldKeys: new Set() }
  if (!written.foldKeys.has(foldKey)) return true
  const counted = refusals.get(foldKey)
  if (counted) counted.occurrences++
  else refusals.set(foldKey, { tenantId, foldKey, occurrences: 1 })
  return false
}

export function noteRefusalWritten(foldKey: string, minute: number): void {
  if (written.minute === minute) written.foldKeys.add(foldKey)
}

let writtenAt = Date.now()

/** How much is collected and not written yet, and for how long, in milliseconds, at most. */
export function usageState(): { pending: number; oldestMs: number } {
  const pending = lastUses.size + refusals.size + pendingCounts()
  return { pending, oldestMs: pending === 0 ? 0 : Date.now() - writtenAt }
}

/** Writes what was collected, in one transaction; keeps it for the next time when that fails. */
export async function flushUsage(database: Database): Promise<void> {
  const uses = [...lastUses].map(([id, use]) => ({ id, at: use.at.toISOString(), ip: use.ip, agent: use.userAgent }))
  const folds = [...refusals.values()].map((fold) => ({ tenant: fold.tenantId, fold: fold.foldKey, n: fold.occurrences }))
  const counts = takeCounts()
  if (uses.length === 0 && folds.length === 0 && counts.size === 0) {
    writtenAt = Date.now()
    return
  }
  const taken = { uses: new Map(lastUses), folds: new Map(refusals) }
  lastUses.clear()
  refusals.clear()
  try {
    await database.transaction(async (tx) => {
      if (uses.length > 0) {
        await tx.execute(sql`
          update api_keys set last_used_at = u.at, last_used_ip = u.ip, last_used_user_agent = u.agent
          from jsonb_to_recordset(${JSON.stringify(uses)}::text::jsonb) as u (id uuid, at timestamptz, ip text, agent text)
          where api_keys.id = u.id and (last_used_at is null or last_used_at < u.at)`)
      }
      if (folds.length > 0) {
        await tx.execute(sql`
          insert into audit_folds (tenant_id, fold_key, occurrences)
          select tenant, fold, n from jsonb_to_recordset(${JSON.stringify(folds)}::text::jsonb) as f (tenant uuid, fold text, n int)
          on conflict (tenant_id, fold_key) do update set occurrences = audit_folds.occurrences + excluded.occurrences`)
      }
      await writeCounts(tx, counts)
    })
    writtenAt = Date.now()
  } catch (error) {
    putBackCounts(counts)
    for (const [id, use] of taken.uses) if (!lastUses.has(id)) lastUses.set(id, use)
    for (const [key, fold] of taken.folds) {
      const since = refusals.get(key)
      refusals.set(key, since ? { ...since, occurrences: since.occurrences + fold.occurrences } : fold)
    }
    throw error
  }
}

/** Flushes every two seconds until the returned function is called, which flushes once more. */
export function startUsage(database: Database): () => Promise<void> {
  let underWay = Promise.resolve()
  const flush = setInterval(() => {
    underWay = flushUsage(database).catch((error) => log('warn', 'usage is kept for the next flush', { error }))
  }, flushEveryMs)
  flush.unref()
  return async () => {
    clearInterval(flush)
    // A flush that fails now puts back what it took: only then is all of it here to write.
    await underWay
    await flushUsage(database)
  }
}
