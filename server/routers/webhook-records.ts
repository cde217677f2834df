// The records of webhooks and their deliveries: their shape outside and their columns inside.
import { TRPCError } from '@trpc/server'
import { and, eq, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { webhookDeliveries, webhooks } from '#db/schema.ts'
import { Id, Instant, line } from '../input.ts'
import { badField } from '../problem.ts'
import { subscribableEvents } from '../webhook-messages.ts'

const Event = z.enum(subscribableEvents, { error: 'Is not a kind of event that can be sent.' })
type Event = z.infer<typeof Event>

export const WebhookInput = {
  url: z.url({ protocol: /^https?$/, error: 'Must be an http or https URL.' }).max(2000),
  description: line(200, 0).default(''),
  events: z
    .array(Event)
    .min(1, 'Must name at least one kind of event, or `*` for every notice.')
    .max(subscribableEvents.length)
    .transform((events) => [...new Set(events)])
    .describe('`*` is every kind of notice; `audit.entry`, the audit log as it grows, is sent only when it is named.'),
  isActive: z.boolean().default(true),
}

export const Webhook = z
  .object({
    id: Id,
    url: z.string(),
    description: z.string(),
    events: z.array(Event),
    isActive: z.boolean(),
    deactivatedReason: z.string().nullable().describe('Why mate set it inactive; null when a person did.'),
    failingSince: Instant.nullable().describe('When the first of the failures came that no success followed.'),
    previousSecretUntil: Instant.nullable().describe('Until then deliveries are signed with the secret before this one too.'),
    createdAt: Instant,
    updatedAt: Instant,
  })
  .meta({ id: 'Webhook' })
export type Webhook = z.infer<typeof Webhook>

export const NewWebhook = Webhook.extend({
  secret: z.string().describe('Signs the deliveries. Keep it now: it is not shown again.'),
}).meta({ id: 'NewWebhook' })

export const columns = {
  id: webhooks.id,
  url: webhooks.url,
  description: webhooks.description,
  events: webhooks.events,
  isActive: webhooks.isActive,
  deactivatedReason: webhooks.deactivatedReason,
  failingSince: webhooks.failingSince,
  previousSecretUntil: webhooks.previousSecretUntil,
  createdAt: webhooks.createdAt,
  updatedAt: webhooks.updatedAt,
}

type Row = Pick<typeof webhooks.$inferSelect, keyof typeof columns>

export function toWebhook({ events, failingSince, previousSecretUntil: until, createdAt, updatedAt, ...rest }: Row): Webhook {
  return {
    ...rest,
    events: events as Event[], // written by the procedures alone, from the same list
    failingSince: failingSince?.toISOString() ?? null,
    previousSecretUntil: until && until.getTime() > Date.now() ? until.toISOString() : null,
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  }
}

export const entityOf = ({ id, url }: Webhook) => ({ type: 'webhook', id, name: url }) as const
export const fieldsOf = ({ url, description, events, isActive }: Webhook) => ({ url, description, events, isActive })
export const isWebhook = (tenantId: string, id: string) => and(eq(webhooks.tenantId, tenantId), eq(webhooks.id, id))

/** @throws TRPCError NOT_FOUND, for another tenant's webhook too. */
export async function getWebhook(tx: Tx, tenantId: string, id: string, forUpdate = false): Promise<Webhook> {
  const query = tx.select(columns).from(webhooks).where(isWebhook(tenantId, id))
  const [row] = await (forUpdate ? query.for('update') : query)
  if (!row) throw new TRPCError({ code: 'NOT_FOUND', message: 'There is no webhook with this id.' })
  return toWebhook(row)
}

const most = 100

export async function requireRoom(tx: Tx, tenantId: string): Promise<void> {
  if ((await tx.$count(webhooks, eq(webhooks.tenantId, tenantId))) < most) return
  throw badField('url', `There are ${most} webhooks already, the most that a tenant may have. Delete one first.`)
}

export const Delivery = z
  .object({
    id: Id.describe('The `webhook-id` of every attempt.'),
    event: z.string(),
    status: z.enum(['pending', 'delivered', 'failed']),
    attempts: z.number().int(),
    createdAt: Instant,
    lastAttemptAt: Instant.nullable(),
    nextAttemptAt: Instant.nullable(),
    responseStatus: z.number().int().nullable().describe('Of the last attempt; null when there was no answer.'),
    durationMs: z.number().int().nullable().describe('Of the last attempt.'),
    error: z.string().nullable().describe('What went wrong with the last attempt.'),
  })
  .meta({ id: 'WebhookDelivery' })

export const deliveryColumns = {
  id: webhookDeliveries.id,
  event: webhookDeliveries.event,
  status: webhookDeliveries.status,
  attempts: webhookDeliveries.attempts,
  createdAt: webhookDeliveries.createdAt,
  lastAttemptAt: webhookDeliveries.lastAttemptAt,
  nextAttemptAt: webhookDeliveries.nextAttemptAt,
  responseStatus: webhookDeliveries.responseStatus,
  durationMs: webhookDeliveries.durationMs,
  error: webhookDeliveries.error,
}

type DeliveryRow = Pick<typeof webhookDeliveries.$inferSelect, keyof typeof deliveryColumns>

export function toDelivery({ createdAt, lastAttemptAt, nextAttemptAt, ...rest }: DeliveryRow): z.infer<typeof Delivery> {
  return {
    ...rest,
    createdAt: createdAt.toISOString(),
    lastAttemptAt: lastAttemptAt?.toISOString() ?? null,
    nextAttemptAt: nextAttemptAt?.toISOString() ?? null,
  }
}

const isDelivery = (tenantId: string, webhookId: string, id: string) =>
  and(eq(webhookDeliveries.tenantId, tenantId), eq(webhookDeliveries.webhookId, webhookId), eq(webhookDeliveries.id, id))

/** @throws TRPCError NOT_FOUND, for another webhook's delivery too. */
export async function getDelivery(tx: Tx, tenantId: string, webhookId: string, id: string): Promise<z.infer<typeof Delivery>> {
  const [row] = await tx
    .select(deliveryColumns)
    .from(webhookDeliveries)
    .where(isDelivery(tenantId, webhookId, id))
  if (!row) throw new TRPCError({ code: 'NOT_FOUND', message: 'This webhook has no delivery with this id.' })
  return toDelivery(row)
}

/** Back to the beginning of the schedule, for one more attempt now; the attempts made so far stay counted. */
export async function restart(tx: Tx, tenantId: string, webhookId: string, id: string): Promise<void> {
  await tx
    .update(webhookDeliveries)
    .set({ status: 'pending', retries: 0, nextAttemptAt: sql`clock_timestamp()` })
    .where(isDelivery(tenantId, webhookId, id))
}
