// What admins are told: a notice on the page, and an event to each webhook that wants it, in the transaction of its cause.
import { and, arrayOverlaps, eq } from 'drizzle-orm'
import type { Tx } from '#db/client.ts'
import { type NoticeFacts, type NoticeKind, notices, webhooks } from '#db/schema.ts'
import { addDelivery } from './webhook-messages.ts'

export interface Notice {
  kind: NoticeKind
  tenantId: string
  /** The key or the webhook that it is about. */
  about?: { id: string; name: string }
  /** More to know, for the page and the webhooks: never a secret. */
  facts?: NoticeFacts
  /** When given: written at most once for it in the tenant, for ever and by any node. */
  onceKey?: string
}

/**
 * Writes the notice and its events on `tx`, so that neither is without what it tells of. `tx` is the owner's or in the tenant.
 * @returns false when `onceKey` was used before, and nothing was written.
 */
export async function notify(tx: Tx, { kind, tenantId, about, facts = {}, onceKey }: Notice): Promise<boolean> {
  const [notice] = await tx
    .insert(notices)
    .values({ tenantId, kind, entityId: about?.id ?? null, entityName: about?.name ?? null, facts, onceKey: onceKey ?? null })
    .onConflictDoNothing()
    .returning({ id: notices.id, at: notices.at })
  if (!notice) return false
  const receivers = await tx
    .select({ id: webhooks.id })
    .from(webhooks)
    .where(and(eq(webhooks.tenantId, tenantId), webhooks.isActive, arrayOverlaps(webhooks.events, [kind, '*'])))
  const data = { noticeId: notice.id, tenantId, about: about ? { id: about.id, name: about.name } : null, ...facts }
  for (const { id } of receivers) await addDelivery(tx, { tenantId, webhookId: id, event: kind, at: notice.at, data })
  return true
}
