// What the audit log needs done without a request: a checkpoint a minute, and once a day the cut of what is too old.
import { eq, sql } from 'drizzle-orm'
import type { Database, Tx } from '#db/client.ts'
import { auditCheckpoints, settings } from '#db/schema.ts'
import { deliverCheckpoints, writeCheckpoints } from './audit-checkpoints.ts'
import { cutOldEntries } from './audit-retention.ts'
import { log } from './log.ts'
import { countCheckpointFailure, setPendingCheckpoints } from './metrics.ts'

/** True for one of all nodes that ask within one period (a format of to_char), by the database's clock. */
async function claim(tx: Tx, name: string, period: string): Promise<boolean> {
  const claimed = await tx
    .insert(settings)
    .values({ name, value: sql`to_char(clock_timestamp(), ${period})` })
    .onConflictDoUpdate({
      target: settings.name,
      set: { value: sql`excluded.value` },
      setWhere: sql`${settings.value} <> excluded.value`,
    })
    .returning({ name: settings.name })
  return claimed.length > 0
}

/** One minute's work, for whichever node is first in it. */
export async function runAuditMinute(database: Database): Promise<void> {
  const isOurs = await database.transaction(async (tx) => {
    if (!(await claim(tx, 'audit_minute', 'YYYY-MM-DD HH24:MI'))) return false
    await writeCheckpoints(tx)
    return true
  })
  if (!isOurs) return
  await deliverCheckpoints(database).catch((error) => {
    countCheckpointFailure()
    log('error', 'checkpoints of the audit log could not be written outside the database', { error })
  })
  setPendingCheckpoints(await database.db.$count(auditCheckpoints, eq(auditCheckpoints.isPending, true)))
  if (await database.transaction((tx) => claim(tx, 'audit_day', 'YYYY-MM-DD'))) await cutOldEntries(database)
}

/** Runs at the beginning of each minute until the returned function is called, which waits for what is under way. */
export function startAuditJobs(database: Database): () => Promise<void> {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> = Promise.resolve()
  let isStopped = false
  const wait = () => {
    if (!isStopped) timer = setTimeout(run, 60_000 - (Date.now() % 60_000) + Math.random() * 1_000).unref()
  }
  const run = () => {
    running = runAuditMinute(database)
      .catch((error) => log('error', 'the checkpoints of the audit log were not made', { error }))
      .finally(wait)
  }
  wait()
  return async () => {
    isStopped = true
    clearTimeout(timer)
    await running
  }
}
