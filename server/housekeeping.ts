// Removes what nobody can ask for any more: answers to repeats after their day, counts of minutes and days that are over,
// tokens that are too old to be used again, and the keys that pipelines had a week ago.
import { and, eq, lt, sql } from 'drizzle-orm'
import type { Database } from '#db/client.ts'
import { apiKeys, idempotencyKeys, keyRates, usedTokens } from '#db/schema.ts'
import { removeOldCounts } from './call-counts.ts'
import { keptFor } from './idempotency.ts'
import { log } from './log.ts'
import { removeOldChallenges } from './passkeys.ts'
import { removeOldPending } from './person.ts'

const everyMs = 600_000
/** How long the record of a pipeline's key is kept after its end: there is one for each job. Its audit trail stays. */
const keptCiKeyDays = 7

/** As the login role, for all tenants; each statement by itself. */
export async function cleanUp(database: Database): Promise<void> {
  const { db } = database
  await db.delete(idempotencyKeys).where(lt(idempotencyKeys.createdAt, sql`clock_timestamp() - ${keptFor}::interval`))
  // By the clock that wrote it; an hour covers what the clocks of nodes may differ.
  await db.delete(keyRates).where(lt(keyRates.expire, Date.now() - 3_600_000))
  await removeOldCounts(db)
  await removeOldChallenges(database)
  await removeOldPending(database)
  await db.delete(usedTokens).where(lt(usedTokens.expiresAt, sql`clock_timestamp() - interval '1 hour'`))
  const isOver = lt(apiKeys.expiresAt, sql`clock_timestamp() - make_interval(days => ${keptCiKeyDays})`)
  await db.delete(apiKeys).where(and(eq(apiKeys.createdByKind, 'trust_rule'), isOver))
}

/** Cleans up now and every ten minutes, until the returned function is called, which waits for what is under way. */
export function startHousekeeping(database: Database): () => Promise<void> {
  const clean = () =>
    cleanUp(database).catch((error) => log('warn', 'old answers and counts are kept until the next time', { error }))
  let cleaning = clean()
  const timer = setInterval(() => {
    cleaning = clean()
  }, everyMs)
  timer.unref()
  return async () => {
    clearInterval(timer)
    await cleaning
  }
}
