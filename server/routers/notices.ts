// Notices: what admins should know of their keys and webhooks.
import { TRPCError } from '@trpc/server'
import { and, desc, eq, isNotNull, isNull, sql } from 'drizzle-orm'
import { z } from 'zod'
import { noticeKinds, notices } from '#db/schema.ts'
import { procedure } from '../gate.ts'
import { Id, Instant } from '../input.ts'
import { olderThan, PageInput, pageOf, toTimePage } from '../paging.ts'
import { t } from '../trpc.ts'

const Notice = z
  .object({
    id: Id,
    kind: z.enum(noticeKinds),
    about: z.object({ id: Id, name: z.string() }).nullable().describe('The key or the webhook.'),
    facts: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])).describe('More, by its kind.'),
    at: Instant,
    dismissedAt: Instant.nullable(),
    dismissedBy: z.string().nullable(),
  })
  .meta({ id: 'Notice' })

const columns = {
  id: notices.id,
  kind: notices.kind,
  entityId: notices.entityId,
  entityName: notices.entityName,
  facts: notices.facts,
  at: notices.at,
  dismissedAt: notices.dismissedAt,
  dismissedBy: notices.dismissedByName,
}
type Row = Pick<typeof notices.$inferSelect, 'id' | 'kind' | 'entityId' | 'entityName' | 'facts' | 'at' | 'dismissedAt'> & {
  dismissedBy: string | null
}

const toNotice = ({ entityId, entityName, at, dismissedAt, ...rest }: Row): z.infer<typeof Notice> => ({
  ...rest,
  about: entityId === null ? null : { id: entityId, name: entityName ?? '' },
  at: at.toISOString(),
  dismissedAt: dismissedAt?.toISOString() ?? null,
})

const statuses = { open: isNull(notices.dismissedAt), dismissed: isNotNull(notices.dismissedAt), all: undefined }

const openapi = { tags: ['notices'] }

export const noticesRouter = t.router({
  list: procedure
    .meta({
      role: 'TenantAdmin',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/admin/notices',
        summary: 'List notices',
        description:
          'Newest first: keys that expire in 14, 7 or 1 days or were not used in 60, keys that leaked or were used after their end, freezes, webhooks that were deactivated.',
      },
    })
    .input(z.strictObject({ ...PageInput, status: z.enum(['open', 'dismissed', 'all']).default('open') }))
    .output(pageOf(Notice))
    .query(async ({ ctx: { tx, tenant }, input: { limit, cursor, status } }) => {
      const rows = await tx
        .select({ ...columns, position: sql<string>`${notices.at}::text` })
        .from(notices)
        .where(and(eq(notices.tenantId, tenant.id), statuses[status], olderThan(notices.at, notices.id, cursor)))
        .orderBy(desc(notices.at), desc(notices.id))
        .limit(limit + 1)
      return toTimePage(rows, limit, toNotice)
    }),

  dismiss: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'notice.dismissed',
      openapi: {
        ...openapi,
        method: 'POST',
        path: '/admin/notices/{id}/dismiss',
        summary: 'Dismiss a notice',
        description: 'Takes it off the page, for everybody. A second time is 200 and changes nothing.',
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(Notice)
    .mutation(async ({ ctx: { tx, principal, tenant, audit }, input: { id } }) => {
      const isThis = and(eq(notices.tenantId, tenant.id), eq(notices.id, id))
      const [before] = await tx.select(columns).from(notices).where(isThis).for('update')
      if (!before) throw new TRPCError({ code: 'NOT_FOUND', message: 'There is no notice with this id.' })
      if (before.dismissedAt) {
        audit.unchanged()
        return toNotice(before)
      }
      const [after] = await tx
        .update(notices)
        .set({ dismissedAt: sql`clock_timestamp()`, dismissedByName: principal.name })
        .where(isThis)
        .returning(columns)
      if (!after) throw new Error('the update returned no row')
      const name = after.entityName ? `${after.kind}: ${after.entityName}` : after.kind
      audit.record({ entity: { type: 'notice', id, name }, before: { isDismissed: false }, after: { isDismissed: true } })
      return toNotice(after)
    }),
})
