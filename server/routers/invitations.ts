// Invitations: a link that makes its holder a user of the tenant, once, within 72 hours.
import { TRPCError } from '@trpc/server'
import { and, eq, sql } from 'drizzle-orm'
import { z } from 'zod'
import { invitations, users } from '#db/schema.ts'
import { Email } from '../first-run.ts'
import { procedure } from '../gate.ts'
import { Id, Instant } from '../input.ts'
import { hashToken, invitationHours, linkOf, makeToken, sendInvitation } from '../invitations.ts'
import { listNewest, PageInput, pageOf } from '../paging.ts'
import { FieldErrors } from '../problem.ts'
import { requireQuota } from '../quotas.ts'
import { Role } from '../roles.ts'
import { t } from '../trpc.ts'
import { requireMayGrant } from './api-key-records.ts'

const openapi = { tags: ['users'] }

const Invitation = z
  .object({
    id: Id,
    email: z.string(),
    role: Role,
    createdAt: Instant,
    expiresAt: Instant,
    isExpired: z.boolean(),
    createdBy: z.object({ kind: z.enum(['user', 'key', 'console']), id: z.string(), name: z.string() }),
  })
  .meta({ id: 'Invitation' })

const Delivery = z.enum(['sent', 'failed', 'not configured'])

const NewInvitation = Invitation.extend({
  link: z
    .string()
    .describe('To give to them: whoever opens it becomes that user. Without PUBLIC_URL only the path. It is not shown again.'),
  mail: Delivery.describe('Whether the link was sent by e-mail: `not configured` without MATE_SMTP_URL.'),
}).meta({ id: 'NewInvitation' })

const columns = {
  id: invitations.id,
  email: invitations.email,
  role: invitations.role,
  createdAt: invitations.createdAt,
  expiresAt: invitations.expiresAt,
  isExpired: sql<boolean>`${invitations.expiresAt} <= clock_timestamp()`,
  createdByKind: invitations.createdByKind,
  createdById: invitations.createdById,
  createdByName: invitations.createdByName,
}
type Row = Pick<typeof invitations.$inferSelect, Exclude<keyof typeof columns, 'isExpired'>> & { isExpired: boolean }

function toInvitation({ createdAt, expiresAt, createdByKind, createdById, createdByName, ...row }: Row) {
  return {
    ...row,
    createdAt: createdAt.toISOString(),
    expiresAt: expiresAt.toISOString(),
    createdBy: { kind: createdByKind, id: createdById, name: createdByName },
  }
}

export const invitationsRouter = t.router({
  list: procedure
    .meta({
      role: 'TenantAdmin',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/admin/invitations',
        summary: 'List invitations',
        description: 'Those that nobody has taken yet, the expired ones too; newest first, without their links.',
      },
    })
    .input(z.strictObject(PageInput))
    .output(pageOf(Invitation))
    .query(({ ctx: { tx, tenant }, input }) => listNewest(tx, tenant.id, invitations, columns, input, toInvitation)),

  create: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'invitation.created',
      shownOnce: 'link',
      openapi: {
        ...openapi,
        method: 'POST',
        path: '/admin/invitations',
        conflicts: true,
        summary: 'Invite a user',
        description: `Makes a link that is good once, for ${invitationHours} hours, and sends it when e-mail is configured. Another invitation to the same address takes the place of the first. Nobody invites to a role above their own.`,
        status: 201,
      },
    })
    .input(z.strictObject({ email: Email, role: Role }))
    .output(NewInvitation)
    .mutation(async ({ ctx: { tx, principal, tenant, audit, afterCommit, requestId }, input: { email, role } }) => {
      requireMayGrant(principal, role)
      await tx.execute(
        sql`select pg_advisory_xact_lock(hashtextextended('mate.invitation.' || ${tenant.id}::text || ${email}::text, 0))`,
      )
      const [known] = await tx
        .select({ name: users.name, isActive: users.isActive })
        .from(users)
        .where(and(eq(users.tenantId, tenant.id), eq(users.email, email)))
      if (known) {
        const message = `${known.name} has this address already${known.isActive ? '' : ': reactivate them instead'}.`
        throw new TRPCError({ code: 'CONFLICT', message, cause: new FieldErrors([{ path: 'email', message }]) })
      }
      // Told here already; what counts is whether there is room when it is taken.
      await requireQuota(tx, tenant.id, 'maxUsers')
      await tx.delete(invitations).where(and(eq(invitations.tenantId, tenant.id), eq(invitations.email, email)))
      const token = makeToken()
      const [row] = await tx
        .insert(invitations)
        .values({
          tenantId: tenant.id,
          email,
          role,
          tokenHash: hashToken(token),
          expiresAt: sql`clock_timestamp() + make_interval(hours => ${invitationHours})`,
          createdByKind: principal.kind,
          createdById: principal.id,
          createdByName: principal.name,
          ownerId: principal.ownerId,
        })
        .returning(columns)
      if (!row) throw new Error('the insert returned no row')
      const made = { ...toInvitation(row), link: linkOf(token) }
      audit.record({
        entity: { type: 'invitation', id: made.id, name: email },
        after: { email, role, expiresAt: made.expiresAt },
      })
      const mail = { email, role, link: made.link, tenantName: tenant.name, invitedBy: principal.name }
      return afterCommit(async () => ({ ...made, mail: await sendInvitation(mail, requestId) }), {
        ...made,
        mail: 'failed' as const,
      })
    }),

  revoke: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'invitation.revoked',
      openapi: {
        ...openapi,
        method: 'DELETE',
        path: '/admin/invitations/{id}',
        summary: 'Revoke an invitation',
        description: 'Its link opens nothing any more.',
        status: 204,
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(z.void())
    .mutation(async ({ ctx: { tx, principal, tenant, audit }, input: { id } }) => {
      const which = and(eq(invitations.tenantId, tenant.id), eq(invitations.id, id))
      const [gone] = await tx.delete(invitations).where(which).returning({ email: invitations.email, role: invitations.role })
      if (!gone) throw new TRPCError({ code: 'NOT_FOUND', message: 'There is no open invitation with this id.' })
      requireMayGrant(principal, gone.role)
      audit.record({ entity: { type: 'invitation', id, name: gone.email }, before: gone })
    }),
})
