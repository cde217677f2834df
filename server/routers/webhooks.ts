// Webhooks: where a tenant's notices and audit log are sent, and what became of each delivery.
import { and, desc, eq, sql } from 'drizzle-orm'
import { z } from 'zod'
import { webhookDeliveries, webhooks } from '#db/schema.ts'
import { readHead } from '../audit-checkpoints.ts'
import { requireCallable } from '../callable-url.ts'
import { procedure } from '../gate.ts'
import { Id } from '../input.ts'
import { listNewest, olderThan, PageInput, pageOf, toTimePage } from '../paging.ts'
import { getRuntime } from '../runtime.ts'
import { seal } from '../secret-box.ts'
import { t } from '../trpc.ts'
import { addDelivery, auditEvent, requestAttempt, resumeDeliveries, testEvent } from '../webhook-messages.ts'
import { generateWebhookSecret } from '../webhook-signature.ts'
import {
  columns,
  Delivery,
  deliveryColumns,
  entityOf,
  fieldsOf,
  getDelivery,
  getWebhook,
  isWebhook,
  NewWebhook,
  requireRoom,
  restart,
  toDelivery,
  toWebhook,
  Webhook,
  WebhookInput,
} from './webhook-records.ts'

const openapi = { tags: ['webhooks'] }
const previousSecretHours = 24

export const webhooksRouter = t.router({
  list: procedure
    .meta({
      role: 'TenantAdmin',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/admin/webhooks',
        summary: 'List webhooks',
        description: 'The webhooks of the tenant, newest first, without their secrets.',
      },
    })
    .input(z.strictObject(PageInput))
    .output(pageOf(Webhook))
    .query(({ ctx: { tx, tenant }, input }) => listNewest(tx, tenant.id, webhooks, columns, input, toWebhook)),

  get: procedure
    .meta({
      role: 'TenantAdmin',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/admin/webhooks/{id}',
        summary: 'Get a webhook',
        description: 'One webhook, without its secret.',
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(Webhook)
    .query(({ ctx: { tx, tenant }, input }) => getWebhook(tx, tenant.id, input.id)),

  create: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'webhook.created',
      shownOnce: 'secret',
      openapi: {
        ...openapi,
        method: 'POST',
        path: '/admin/webhooks',
        summary: 'Add a webhook',
        description:
          'Sends events from now on, in the format of Standard Webhooks, and answers the secret that signs them, the only time it is shown.',
        status: 201,
        location: '/admin/webhooks/{id}',
      },
    })
    .input(z.strictObject(WebhookInput))
    .output(NewWebhook)
    .mutation(async ({ ctx: { tx, tenant, audit }, input }) => {
      requireCallable(input.url, 'url')
      await requireRoom(tx, tenant.id)
      const id = crypto.randomUUID()
      const secret = generateWebhookSecret()
      const auditCursor = input.events.includes(auditEvent) ? (await readHead(tx, tenant.id)).seq : null
      const sealed = seal(getRuntime().secret, id, secret)
      const [row] = await tx
        .insert(webhooks)
        .values({ id, tenantId: tenant.id, ...input, secret: sealed, auditCursor })
        .returning(columns)
      if (!row) throw new Error('the insert returned no row')
      const webhook = toWebhook(row)
      audit.record({ entity: entityOf(webhook), after: fieldsOf(webhook) })
      return { ...webhook, secret }
    }),

  update: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'webhook.updated',
      openapi: {
        ...openapi,
        method: 'PUT',
        path: '/admin/webhooks/{id}',
        summary: 'Replace a webhook',
        description:
          'Replaces all fields but the secret. While it is inactive, what was on its way waits; it goes on when it is active again.',
      },
    })
    .input(z.strictObject({ id: Id, ...WebhookInput }))
    .output(Webhook)
    .mutation(async ({ ctx: { tx, tenant, audit }, input: { id, ...fields } }) => {
      requireCallable(fields.url, 'url')
      const before = await getWebhook(tx, tenant.id, id, true)
      const isStreamed = fields.events.includes(auditEvent)
      const isContinued = isStreamed && before.events.includes(auditEvent)
      const auditCursor = isStreamed ? (await readHead(tx, tenant.id)).seq : null
      const [row] = await tx
        .update(webhooks)
        .set({
          ...fields,
          ...(isContinued ? {} : { auditCursor }),
          ...(fields.isActive ? { deactivatedReason: null } : {}),
          ...(fields.isActive && !before.isActive ? { failingSince: null } : {}),
          updatedAt: sql`clock_timestamp()`,
        })
        .where(isWebhook(tenant.id, id))
        .returning(columns)
      if (!row) throw new Error('the update returned no row')
      if (fields.isActive && !before.isActive) await resumeDeliveries(tx, tenant.id, id)
      const after = toWebhook(row)
      audit.record({ entity: entityOf(after), before: fieldsOf(before), after: fieldsOf(after) })
      return after
    }),

  delete: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'webhook.deleted',
      openapi: {
        ...openapi,
        method: 'DELETE',
        path: '/admin/webhooks/{id}',
        summary: 'Delete a webhook',
        description: 'Removes it with its deliveries, those under way too; its audit trail stays.',
        status: 204,
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(z.void())
    .mutation(async ({ ctx: { tx, tenant, audit }, input: { id } }) => {
      const before = await getWebhook(tx, tenant.id, id, true)
      await tx.delete(webhooks).where(isWebhook(tenant.id, id))
      audit.record({ entity: entityOf(before), before: fieldsOf(before) })
    }),

  rotate: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'webhook.secret_rotated',
      shownOnce: 'secret',
      openapi: {
        ...openapi,
        method: 'POST',
        path: '/admin/webhooks/{id}/rotate-secret',
        summary: 'Rotate a webhook’s secret',
        description: `Answers a new secret, the only time it is shown. For ${previousSecretHours} hours each delivery has two signatures: the new secret’s and that of the one before.`,
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(NewWebhook)
    .mutation(async ({ ctx: { tx, tenant, audit }, input: { id } }) => {
      const before = await getWebhook(tx, tenant.id, id, true)
      const secret = generateWebhookSecret()
      const [row] = await tx
        .update(webhooks)
        .set({
          secret: seal(getRuntime().secret, id, secret),
          previousSecret: webhooks.secret,
          previousSecretUntil: sql`clock_timestamp() + make_interval(hours => ${previousSecretHours})`,
          updatedAt: sql`clock_timestamp()`,
        })
        .where(isWebhook(tenant.id, id))
        .returning(columns)
      if (!row) throw new Error('the update returned no row')
      const webhook = toWebhook(row)
      audit.record({ entity: entityOf(before), after: { previousSecretUntil: webhook.previousSecretUntil } })
      return { ...webhook, secret }
    }),

  test: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'webhook.tested',
      openapi: {
        ...openapi,
        method: 'POST',
        path: '/admin/webhooks/{id}/test',
        summary: 'Send a test event',
        description: 'Sends one `webhook.test` event, to an inactive webhook too, and does not repeat it. See its deliveries.',
        status: 202,
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(Delivery)
    .mutation(async ({ ctx: { tx, tenant, audit }, input: { id } }) => {
      const webhook = await getWebhook(tx, tenant.id, id)
      const data = { tenantId: tenant.id, message: 'This is a test.' }
      const deliveryId = await addDelivery(tx, { tenantId: tenant.id, webhookId: id, event: testEvent, at: new Date(), data })
      audit.record({ entity: entityOf(webhook), after: { deliveryId } })
      return getDelivery(tx, tenant.id, id, deliveryId)
    }),

  listDeliveries: procedure
    .meta({
      role: 'TenantAdmin',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/admin/webhooks/{id}/deliveries',
        summary: 'List a webhook’s deliveries',
        description: 'Of the last 30 days, newest first, each with the outcome of its last attempt.',
      },
    })
    .input(z.strictObject({ id: Id, ...PageInput }))
    .output(pageOf(Delivery))
    .query(async ({ ctx: { tx, tenant }, input: { id, limit, cursor } }) => {
      await getWebhook(tx, tenant.id, id)
      const rows = await tx
        .select({ ...deliveryColumns, position: sql<string>`${webhookDeliveries.createdAt}::text` })
        .from(webhookDeliveries)
        .where(
          and(
            eq(webhookDeliveries.tenantId, tenant.id),
            eq(webhookDeliveries.webhookId, id),
            olderThan(webhookDeliveries.createdAt, webhookDeliveries.id, cursor),
          ),
        )
        .orderBy(desc(webhookDeliveries.createdAt), desc(webhookDeliveries.id))
        .limit(limit + 1)
      return toTimePage(rows, limit, toDelivery)
    }),

  redeliver: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'webhook.redelivered',
      openapi: {
        ...openapi,
        method: 'POST',
        path: '/admin/webhooks/{id}/deliveries/{deliveryId}/redeliver',
        summary: 'Repeat a delivery',
        description:
          'Sends the same event once more, with the same `webhook-id`, and retries it as before. To an inactive webhook it goes once that is active.',
        status: 202,
      },
    })
    .input(z.strictObject({ id: Id, deliveryId: Id }))
    .output(Delivery)
    .mutation(async ({ ctx: { tx, tenant, audit }, input: { id, deliveryId } }) => {
      const webhook = await getWebhook(tx, tenant.id, id)
      const { attempts } = await getDelivery(tx, tenant.id, id, deliveryId)
      await restart(tx, tenant.id, id, deliveryId)
      await requestAttempt(tx, { id: deliveryId, tenantId: tenant.id, webhookId: id, attempts })
      audit.record({ entity: entityOf(webhook), after: { deliveryId } })
      return getDelivery(tx, tenant.id, id, deliveryId)
    }),
})
