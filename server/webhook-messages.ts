// Events on their way to webhooks: what is written with their cause, and the job that delivers it.
import { and, eq, sql } from 'drizzle-orm'
import type { Tx } from '#db/client.ts'
import { type NoticeKind, noticeKinds, webhookDeliveries } from '#db/schema.ts'
import { enqueue } from './jobs.ts'

export const auditEvent = 'audit.entry'
export const testEvent = 'webhook.test'

/** What a webhook may ask for: `*` is every kind of notice; the audit log only by its own name. */
export const subscribableEvents = ['*', ...noticeKinds, auditEvent] as const

interface Message {
  tenantId: string
  webhookId: string
  event: NoticeKind | typeof auditEvent | typeof testEvent
  at: Date
  data: Record<string, unknown>
}

/** Writes the event for one webhook, and asks for its delivery. @returns the delivery's id, which is its `webhook-id`. */
export async function addDelivery(tx: Tx, { tenantId, webhookId, event, at, data }: Message): Promise<string> {
  const body = JSON.stringify({ type: event, timestamp: at.toISOString(), data })
  const id = crypto.randomUUID()
  await tx.insert(webhookDeliveries).values({ id, tenantId, webhookId, event, body, nextAttemptAt: sql`clock_timestamp()` })
  await requestAttempt(tx, { id, tenantId, webhookId, attempts: 0 })
  return id
}

interface Attempted {
  id: string
  tenantId: string
  webhookId: string
  /** Attempts made so far. */
  attempts: number
}

/** Asks for the next attempt; of several jobs for one attempt, the first does it and the rest find it done. */
export async function requestAttempt(tx: Tx, { id, tenantId, webhookId, attempts }: Attempted, startAfter?: Date): Promise<void> {
  const data = { tenantId, deliveryId: id, attempt: attempts + 1 }
  await enqueue(tx, 'webhook.deliver', data, { tenantId, groupId: webhookId, startAfter })
}

/** What waited while the webhook was inactive is tried again. */
export async function resumeDeliveries(tx: Tx, tenantId: string, webhookId: string): Promise<void> {
  const { id, attempts } = webhookDeliveries
  const pending = await tx
    .select({ id, attempts })
    .from(webhookDeliveries)
    .where(and(eq(webhookDeliveries.tenantId, tenantId), eq(webhookDeliveries.webhookId, webhookId), isPending))
    .orderBy(webhookDeliveries.createdAt)
  for (const delivery of pending) await requestAttempt(tx, { ...delivery, tenantId, webhookId })
}

export const isPending = eq(webhookDeliveries.status, 'pending')
