// Every hour: which keys expire soon, which are not used, what deliveries need no keeping, and what fell out of the queue. Any node may do it.
import { sql } from 'drizzle-orm'
import type { Database } from '#db/client.ts'
import type { NoticeFacts, NoticeKind } from '#db/schema.ts'
import { repairTurns } from './execution/run-turns.ts'
import { notify } from './notices.ts'
import { actIn } from './principal.ts'
import { auditEvent, requestAttempt } from './webhook-messages.ts'

const unusedDays = 60
const keepDeliveriesDays = 30
const atOnce = 200

interface Found {
  tenant_id: string
  id: string
  name: string
  once_key: string
  facts: NoticeFacts
}

/** @param now the database's clock unless a test has another. */
export async function sweepNotices(database: Database, now?: Date): Promise<void> {
  const clock = now ? sql`${now.toISOString()}::timestamptz` : sql`clock_timestamp()`
  await writeAll(database, 'api_key.expiring', expiringKeys(clock))
  await writeAll(database, 'api_key.unused', unusedKeys(clock))
  // A batch of the audit log that still waits is the only one with its entries: the cursor stands behind them. And what a
  // deactivated tenant is sent waits until it is active again.
  await database.db.execute(sql`
    delete from webhook_deliveries d where created_at < ${clock} - make_interval(days => ${keepDeliveriesDays})
      and not (status = 'pending' and (event = ${auditEvent}
        or exists (select from tenants t where t.id = d.tenant_id and not t.is_active)))`)
  await repairDeliveries(database)
  await database.db.transaction(repairTurns)
}

/**
 * 14, 7 and 1 days before: the nearest of them that has come, unless the key was made to live no longer than that.
 * What was told already is left out here and, when two nodes look at once, by the unique index.
 */
const expiringKeys = (clock: ReturnType<typeof sql>) => sql`
  select k.tenant_id, k.id, k.name, 'expiring.' || k.id || '.' || d.days as once_key,
    jsonb_build_object('expiresAt', to_char(k.expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'daysBefore', d.days,
      'role', k.role, 'prefix', k.prefix) as facts
  from api_keys k join tenants t on t.id = k.tenant_id and t.is_active,
    lateral (select min(days) as days from unnest(array[1, 7, 14]) days where k.expires_at <= ${clock} + make_interval(days => days)) d
  where k.revoked_at is null and k.expires_at > ${clock} and d.days is not null
    and k.created_at < k.expires_at - make_interval(days => d.days)`

/** Made or last used long ago; told once, and once more when it was used since and forgotten again. */
const unusedKeys = (clock: ReturnType<typeof sql>) => sql`
  select k.tenant_id, k.id, k.name,
    'unused.' || k.id || coalesce('.' || floor(extract(epoch from k.last_used_at))::bigint, '') as once_key,
    jsonb_build_object('days', ${unusedDays}::int, 'role', k.role, 'prefix', k.prefix,
      'lastUsedAt', to_char(k.last_used_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) as facts
  from api_keys k join tenants t on t.id = k.tenant_id and t.is_active
  where k.revoked_at is null and (k.expires_at is null or k.expires_at > ${clock})
    and coalesce(k.last_used_at, k.created_at) <= ${clock} - make_interval(days => ${unusedDays})`

async function writeAll(database: Database, kind: NoticeKind, keys: ReturnType<typeof sql>): Promise<void> {
  for (;;) {
    const found = await database.db
      .select({
        tenant_id: sql<string>`tenant_id`,
        id: sql<string>`id`,
        name: sql<string>`name`,
        once_key: sql<string>`once_key`,
        facts: sql<NoticeFacts>`facts`,
      })
      .from(sql`(${keys}) as found`)
      .where(sql`not exists (select from notices n where n.tenant_id = found.tenant_id and n.once_key = found.once_key)`)
      .limit(atOnce)
    for (const key of found) await write(database, kind, key)
    if (found.length < atOnce) return
  }
}

async function write(database: Database, kind: NoticeKind, { tenant_id: tenantId, id, name, once_key, facts }: Found) {
  await database.transaction(async (tx) => {
    await actIn(tx, 'transaction', tenantId)
    await notify(tx, { kind, tenantId, about: { id, name }, facts, onceKey: once_key })
  })
}

/** A job that went missing, however that came, is asked for again: nothing that is pending is forgotten. */
async function repairDeliveries({ db }: Database): Promise<void> {
  const overdue = await db
    .select({
      id: sql<string>`d.id`,
      tenantId: sql<string>`d.tenant_id`,
      webhookId: sql<string>`d.webhook_id`,
      attempts: sql<number>`d.attempts`,
    })
    .from(sql`webhook_deliveries d join webhooks w on w.id = d.webhook_id join tenants t on t.id = d.tenant_id`)
    .where(
      sql`d.status = 'pending' and w.is_active and t.is_active and d.next_attempt_at < clock_timestamp() - interval '1 hour'`,
    )
    .limit(1_000)
  for (const delivery of overdue) await db.transaction((tx) => requestAttempt(tx, delivery))
}
