// The people of a tenant: their roles, and what happens when they leave.
import { TRPCError } from '@trpc/server'
import { and, desc, eq, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { users } from '#db/schema.ts'
import { type GateContext, procedure } from '../gate.ts'
import { Id, line } from '../input.ts'
import { affectedKeys, digestOf, endRights, FateInput, OwnedKey, SettledKey } from '../off-boarding.ts'
import { olderThan, PageInput, pageOf, toTimePage } from '../paging.ts'
import { requireQuota } from '../quotas.ts'
import { isRoleAtLeast, Role } from '../roles.ts'
import { t } from '../trpc.ts'
import { type ApiKey, requireMayChange, requireMayGrant } from './api-key-records.ts'
import { columns, entityOf, getUser, isUser, requireAnotherAdmin, requireMayManage, toUser, User } from './user-records.ts'

const openapi = { tags: ['users'] }

/** @returns whether that was a change. */
async function setActive(tx: Tx, tenantId: string, id: string, isActive: boolean): Promise<boolean> {
  const changed = await tx
    .update(users)
    .set({ isActive, updatedAt: sql`clock_timestamp()` })
    .where(and(isUser(tenantId, id), eq(users.isActive, !isActive)))
    .returning({ id: users.id })
  return changed.length > 0
}

/** What an admin may do to another person's keys is what they may do to those keys anyway. */
function leavingBy({ tx, principal, tenant, audit }: GateContext) {
  return { tx, tenant, audit, by: principal, requireMayChange: (key: ApiKey) => requireMayChange(principal, key) }
}

const SettledUser = User.extend({ keys: z.array(SettledKey).describe('What became of each key that was theirs.') }).meta({
  id: 'SettledUser',
})

export const usersRouter = t.router({
  list: procedure
    .meta({
      role: 'TenantAdmin',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/admin/users',
        summary: 'List users',
        description: 'The people of the tenant, the deactivated ones too; newest first.',
      },
    })
    .input(
      z.strictObject({
        ...PageInput,
        search: z.string().max(200).optional().describe('A part of the name or of the e-mail address.'),
        role: Role.optional(),
        isActive: z.boolean().optional(),
      }),
    )
    .output(pageOf(User))
    .query(async ({ ctx: { tx, tenant }, input: { limit, cursor, search, role, isActive } }) => {
      const found = search
        ? sql`(strpos(lower(${users.name}), lower(${search})) > 0 or strpos(lower(${users.email}), lower(${search})) > 0)`
        : undefined
      const rows = await tx
        .select({ ...columns, position: sql<string>`${users.createdAt}::text` })
        .from(users)
        .where(
          and(
            eq(users.tenantId, tenant.id),
            olderThan(users.createdAt, users.id, cursor),
            found,
            role && eq(users.role, role),
            isActive === undefined ? undefined : eq(users.isActive, isActive),
          ),
        )
        .orderBy(desc(users.createdAt), desc(users.id))
        .limit(limit + 1)
      return toTimePage(rows, limit, toUser)
    }),

  get: procedure
    .meta({
      role: 'TenantAdmin',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/admin/users/{id}',
        summary: 'Get a user',
        description: 'One person of the tenant.',
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(User)
    .query(({ ctx: { tx, tenant }, input }) => getUser(tx, tenant.id, input.id)),

  listKeys: procedure
    .meta({
      role: 'TenantAdmin',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/admin/users/{id}/keys',
        summary: 'Preview whose keys end',
        description:
          'The active keys of a person that would have to be revoked, lowered, kept or transferred: all of them when they leave, those above it for a new `role`. The `digest` is for the request that does it.',
      },
    })
    .input(z.strictObject({ id: Id, role: Role.optional().describe('The new role; left out for a person who leaves.') }))
    .output(z.object({ digest: z.string(), keys: z.array(OwnedKey) }).meta({ id: 'AffectedKeys' }))
    .query(async ({ ctx: { tx, tenant }, input: { id, role } }) => {
      await getUser(tx, tenant.id, id)
      const keys = await affectedKeys(tx, tenant.id, id, role ?? null)
      const shown = keys.map(({ id, name, prefix, role, lastUsedAt }) => ({ id, name, prefix, role, lastUsedAt }))
      return { digest: digestOf(keys), keys: shown }
    }),

  update: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'user.updated',
      openapi: {
        ...openapi,
        method: 'PATCH',
        path: '/admin/users/{id}',
        conflicts: true,
        summary: 'Rename a user, or give another role',
        description:
          'Nobody raises anyone above their own role, and nobody changes their own. A lower role ends the person’s sessions and settles the keys above it, all in one: once this has answered, nothing that they asked for with the old role can commit. The last admin of a tenant and the last SuperAdmin can’t be lowered.',
      },
    })
    .input(z.strictObject({ id: Id, name: line(100).optional(), role: Role.optional(), ...FateInput }))
    .output(SettledUser)
    .mutation(async ({ ctx, input: { id, name, role, ...choice } }) => {
      const { tx, principal, tenant, audit } = ctx
      if (name === undefined && role === undefined) throw new TRPCError({ code: 'BAD_REQUEST', message: 'Name what to change.' })
      requireMayManage(principal, await getUser(tx, tenant.id, id))
      if (role) requireMayGrant(principal, role)
      const seen = await getUser(tx, tenant.id, id)
      if (role && role !== seen.role) await requireAnotherAdmin(tx, seen, role)
      const isLowered = role !== undefined && !isRoleAtLeast(role, seen.role)
      const keys = isLowered ? await endRights(leavingBy(ctx), seen, role, choice) : []
      const before = await getUser(tx, tenant.id, id)
      requireMayManage(principal, before)
      const after = { name: name ?? before.name, role: role ?? before.role }
      if (after.name === before.name && after.role === before.role) {
        audit.unchanged()
        return { ...before, keys }
      }
      await tx
        .update(users)
        .set({ ...after, updatedAt: sql`clock_timestamp()` })
        .where(isUser(tenant.id, id))
      const why = choice.reason ? { reason: choice.reason } : {}
      audit.record({ entity: entityOf(before), before: { name: before.name, role: before.role }, after, ...why })
      return { ...(await getUser(tx, tenant.id, id)), keys }
    }),

  deactivate: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'user.deactivated',
      openapi: {
        ...openapi,
        method: 'POST',
        path: '/admin/users/{id}/deactivate',
        conflicts: true,
        summary: 'Deactivate a user',
        description:
          'Off-boarding in one: their sessions end, their open invitations go, and their keys are revoked, unless you choose to keep or transfer them. Once this has answered, nothing that they or the revoked keys asked for can commit, on any node. Their keys in other tenants are revoked too. The last admin of a tenant and the last SuperAdmin can’t be deactivated.',
      },
    })
    .input(z.strictObject({ id: Id, ...FateInput }))
    .output(SettledUser)
    .mutation(async ({ ctx, input: { id, ...choice } }) => {
      const { tx, principal, tenant, audit } = ctx
      const user = await getUser(tx, tenant.id, id)
      requireMayManage(principal, user)
      if (!user.isActive) {
        audit.unchanged()
        return { ...user, keys: [] }
      }
      await requireAnotherAdmin(tx, user, null)
      const keys = await endRights(leavingBy(ctx), user, null, choice)
      // Behind the lock: another request may have done it meanwhile.
      if (!(await setActive(tx, tenant.id, id, false))) {
        audit.unchanged()
        return { ...(await getUser(tx, tenant.id, id)), keys }
      }
      const why = choice.reason ? { reason: choice.reason } : {}
      audit.record({ entity: entityOf(user), before: { isActive: true }, after: { isActive: false }, ...why })
      return { ...(await getUser(tx, tenant.id, id)), keys }
    }),

  reactivate: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'user.reactivated',
      openapi: {
        ...openapi,
        method: 'POST',
        path: '/admin/users/{id}/reactivate',
        summary: 'Reactivate a user',
        description: 'They can sign in again, with the role they had. What was revoked stays revoked.',
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(User)
    .mutation(async ({ ctx: { tx, principal, tenant, audit }, input: { id } }) => {
      const user = await getUser(tx, tenant.id, id)
      requireMayManage(principal, user)
      if (user.isActive) {
        audit.unchanged()
        return user
      }
      await requireQuota(tx, tenant.id, 'maxUsers')
      await setActive(tx, tenant.id, id, true)
      audit.record({ entity: entityOf(user), before: { isActive: false }, after: { isActive: true } })
      return getUser(tx, tenant.id, id)
    }),

  delete: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'user.deleted',
      openapi: {
        ...openapi,
        method: 'DELETE',
        path: '/admin/users/{id}',
        conflicts: true,
        summary: 'Remove a user',
        description:
          'Removes a deactivated person and how they signed in; what they did stays in the audit log. An active one is deactivated first: that settles their keys.',
        status: 204,
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(z.void())
    .mutation(async ({ ctx, input: { id } }) => {
      const { tx, principal, tenant, audit } = ctx
      const user = await getUser(tx, tenant.id, id)
      requireMayManage(principal, user)
      if (user.isActive) {
        const message = `${user.name} is active. Deactivate them first: that settles their keys and ends their sessions.`
        throw new TRPCError({ code: 'CONFLICT', message })
      }
      // Nothing is left of their rights; a key that was transferred to them since is.
      await endRights(leavingBy(ctx), user, null, {})
      await tx.delete(users).where(isUser(tenant.id, id))
      const { name, email, role } = user
      audit.record({ entity: entityOf(user), before: { name, email, role } })
    }),
})
