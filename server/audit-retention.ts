// Cuts off what is older than a tenant keeps: behind a signed statement of where, so that the rest still proves itself.
import { and, eq, isNotNull, min, sql } from 'drizzle-orm'
import type { Database, Tx } from '#db/client.ts'
import { tenants, webhooks } from '#db/schema.ts'
import { writeAudit } from './audit.ts'
import { findStatement, keepStatement, readHead } from './audit-checkpoints.ts'
import { log } from './log.ts'

const batch = 5_000

export async function cutOldEntries(database: Database): Promise<void> {
  const limited = await database.db
    .select({ id: tenants.id, name: tenants.name, days: tenants.auditRetentionDays })
    .from(tenants)
    .where(isNotNull(tenants.auditRetentionDays))
  for (const tenant of limited) {
    await cutTenant(database, tenant).catch((error) => {
      log('error', 'old entries of the audit log were not cut off', { tenantId: tenant.id, error })
    })
  }
}

async function cutTenant(database: Database, tenant: { id: string; name: string; days: number | null }): Promise<void> {
  const cut = await database.transaction((tx) => writeCut(tx, tenant))
  if (!cut) return
  // A batch a transaction, so that no write waits; what a crash leaves over goes at the next time.
  const more = () =>
    database.db
      .select({ n: sql<number>`mate_cut_audit(${tenant.id}::uuid, ${cut.seq}::bigint, ${batch})` })
      .from(sql`(select) as once`)
  while ((await more())[0]?.n) {}
}

/** Signs how far the chain may go, if that is further than before. @returns the newest cut, if there is any. */
async function writeCut(tx: Tx, { id: tenantId, name, days }: { id: string; name: string; days: number | null }) {
  const before = await findStatement(tx, tenantId, 'cut')
  const checkpoint = await findStatement(tx, tenantId, 'checkpoint')
  const head = await readHead(tx, tenantId)
  // The oldest that stay: those of one moment may stand in the chain in another order than their times.
  const [kept] = await tx.select({ seq: sql<number | null>`min(seq)::float8` }).from(sql`(
    select c.seq from audit_log l join audit_chain c on c.entry_id = l.id
    where l.tenant_id = ${tenantId} and l.at >= now() - make_interval(days => ${days}::int) order by l.at limit 1000) as oldest`)
  const [stream] = await tx
    .select({ seq: min(webhooks.auditCursor) })
    .from(webhooks)
    .where(and(eq(webhooks.tenantId, tenantId), webhooks.isActive))
  // Never the newest one, from which the chain goes on, nothing that no checkpoint has covered, nor what a webhook waits for.
  const seq = Math.min((kept?.seq ?? head.seq + 1) - 1, head.seq - 1, checkpoint?.seq ?? 0, stream?.seq ?? head.seq)
  if (seq <= (before?.seq ?? 0)) return before
  const [entry] = await tx
    .select({ hash: sql<string>`encode(hash, 'hex')` })
    .from(sql`audit_chain`)
    .where(sql`tenant_id = ${tenantId} and seq = ${seq}`)
  if (!entry) throw new Error(`the chain of ${tenantId} has no sequence ${seq}`)
  await writeAudit(tx, {
    tenantId,
    actor: { kind: 'system', id: 'retention', name: 'retention', role: null },
    action: 'audit_log.cut',
    entity: { type: 'tenant', id: tenantId, name },
    outcome: 'success',
    origin: { ip: null, userAgent: null, requestId: crypto.randomUUID() },
    before: { firstSeq: (before?.seq ?? 0) + 1 },
    after: { firstSeq: seq + 1 },
  })
  return keepStatement(tx, { type: 'cut', tenantId, seq, hash: entry.hash, at: head.at })
}
