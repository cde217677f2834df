// The audit log as it grows, to each webhook that asked for it: in order, without a gap, at most 100 entries at a time.
import { and, eq, exists, gt, isNotNull } from 'drizzle-orm'
import { QueryBuilder } from 'drizzle-orm/pg-core'
import type { Database, Tx } from '#db/client.ts'
import { auditChain, tenants, webhookDeliveries, webhooks } from '#db/schema.ts'
import { findInChain, toChained } from './audit-query.ts'
import { sparsely } from './log.ts'
import { actIn } from './principal.ts'
import { addDelivery, auditEvent, isPending } from './webhook-messages.ts'

const lookEveryMs = 1_000
const entriesAtOnce = 100
const stopWithinMs = 3_000

/** Looks once a second until the returned function is called, which waits for the look under way, three seconds at most. */
export function startAuditStream(database: Database): () => Promise<void> {
  const tell = sparsely('the audit stream waits')
  let looking: Promise<void> | undefined
  const timer = setInterval(() => {
    looking ??= streamAudit(database)
      .catch(tell)
      .finally(() => {
        looking = undefined
      })
  }, lookEveryMs)
  timer.unref()
  return async () => {
    clearInterval(timer)
    await Promise.race([looking, new Promise((resolve) => setTimeout(resolve, stopWithinMs).unref())])
  }
}

const ofActiveTenant = and(eq(tenants.id, webhooks.tenantId), tenants.isActive)

/** The webhooks behind which the log has grown. Built once, and asked on a connection that no request waits for. */
const waiting = new QueryBuilder()
  .select({ id: webhooks.id, tenant_id: webhooks.tenantId })
  .from(webhooks)
  .innerJoin(tenants, ofActiveTenant)
  .where(
    and(
      webhooks.isActive,
      isNotNull(webhooks.auditCursor),
      exists(
        new QueryBuilder()
          .select({ seq: auditChain.seq })
          .from(auditChain)
          .where(and(eq(auditChain.tenantId, webhooks.tenantId), gt(auditChain.seq, webhooks.auditCursor))),
      ),
    ),
  )
  .toSQL()

/** Hands the next entries over for delivery, to each webhook that has none of them under way. */
export async function streamAudit(database: Database): Promise<void> {
  const { rows } = await database.queue.executeSql(waiting.sql, waiting.params)
  for (const { id, tenant_id } of rows) await database.transaction((tx) => handOver(tx, String(tenant_id), String(id)))
}

/**
 * Writes the next delivery of the webhook, unless one is under way. The cursor moves with the delivery that it stands for,
 * or not at all.
 * @returns the delivery's id.
 */
export async function handOver(tx: Tx, tenantId: string, webhookId: string): Promise<string | undefined> {
  await actIn(tx, 'transaction', tenantId)
  const isThis = and(eq(webhooks.tenantId, tenantId), eq(webhooks.id, webhookId))
  const [webhook] = await tx
    .select({ cursor: webhooks.auditCursor })
    .from(webhooks)
    .innerJoin(tenants, ofActiveTenant)
    .where(and(isThis, webhooks.isActive))
    .for('update', { of: webhooks, skipLocked: true })
  if (!webhook || webhook.cursor === null) return undefined
  const isUnderWay = and(
    eq(webhookDeliveries.tenantId, tenantId),
    eq(webhookDeliveries.webhookId, webhookId),
    eq(webhookDeliveries.event, auditEvent),
    isPending,
  )
  if ((await tx.$count(webhookDeliveries, isUnderWay)) > 0) return undefined
  // A sequence is given under the lock of its chain until the commit: what is there has nothing under way in front of it.
  const entries = await findInChain(tx, tenantId, {}, { after: webhook.cursor, limit: entriesAtOnce })
  const last = entries.at(-1)
  if (!last) return undefined
  const data = { tenantId, entries: entries.map(toChained) }
  const id = await addDelivery(tx, { tenantId, webhookId, event: auditEvent, at: new Date(last.at), data })
  await tx.update(webhooks).set({ auditCursor: last.seq }).where(isThis)
  return id
}
