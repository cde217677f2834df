// A lower role on trial: what it would refuse still passes and is counted; then it is applied, or dropped.
import { TRPCError } from '@trpc/server'
import { and, asc, eq, gt, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { apiKeys, apiKeyUsage } from '#db/schema.ts'
import { procedure } from '../gate.ts'
import { Id, Instant } from '../input.ts'
import { badField } from '../problem.ts'
import { isRoleAtLeast, Role } from '../roles.ts'
import { t } from '../trpc.ts'
import { ApiKey, entityOf, getKey, lockPrincipals, requireMayChange } from './api-key-records.ts'

export const Shadow = z
  .object({
    role: Role.describe('The role on trial, lower than the key’s own.'),
    since: Instant,
    until: Instant.describe('Nothing is counted after it; the trial stays until it is applied or dropped.'),
    isOver: z.boolean(),
    refusals: z
      .array(z.object({ operation: z.string(), calls: z.number().int(), lastAt: Instant }))
      .describe('Calls that the role would have refused. Collected in batches: seconds behind.'),
  })
  .meta({ id: 'Shadow' })

const openapi = { tags: ['api-keys'] }

export const apiKeyShadowRouter = t.router({
  startShadow: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'api_key.shadow_started',
      openapi: {
        ...openapi,
        method: 'POST',
        path: '/admin/api-keys/{id}/shadow',
        conflicts: true,
        summary: 'Try a lower role on an API key',
        description:
          'For some days, calls that the lower role would refuse still pass, and are counted: see the key’s usage. A trial that runs already is replaced, and counted anew.',
      },
    })
    .input(
      z.strictObject({
        id: Id,
        role: Role.describe('Lower than the key’s own.'),
        days: z.number().int().min(1).max(30).default(7),
      }),
    )
    .output(Shadow)
    .mutation(async ({ ctx: { tx, principal, tenant, audit }, input: { id, role, days } }) => {
      const key = await getKey(tx, tenant.id, id, true)
      requireMayChange(principal, key)
      requireActive(key)
      if (isRoleAtLeast(role, key.role)) throw badField('role', `Must be lower than the key’s own role, ${key.role}.`)
      const before = await findShadow(tx, tenant.id, id)
      await tx
        .update(apiKeys)
        .set({
          shadowRole: role,
          shadowSince: sql`clock_timestamp()`,
          shadowUntil: sql`clock_timestamp() + make_interval(days => ${days}::int)`,
        })
        .where(and(eq(apiKeys.tenantId, tenant.id), eq(apiKeys.id, id)))
      await tx
        .update(apiKeyUsage)
        .set({ shadowRefusals: 0, shadowLastAt: null })
        .where(and(eq(apiKeyUsage.tenantId, tenant.id), eq(apiKeyUsage.keyId, id), gt(apiKeyUsage.shadowRefusals, 0)))
      const after = await findShadow(tx, tenant.id, id)
      if (!after) throw new Error('the trial is not there')
      audit.record({ entity: entityOf(key), ...(before ? { before: fieldsOf(before) } : {}), after: fieldsOf(after) })
      return after
    }),

  dropShadow: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'api_key.shadow_dropped',
      openapi: {
        ...openapi,
        method: 'DELETE',
        path: '/admin/api-keys/{id}/shadow',
        summary: 'Drop the lower role on trial',
        description: 'Ends the trial; the key keeps its role. Without a trial it changes nothing.',
        status: 204,
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(z.void())
    .mutation(async ({ ctx: { tx, principal, tenant, audit }, input: { id } }) => {
      const key = await getKey(tx, tenant.id, id, true)
      requireMayChange(principal, key)
      const before = await findShadow(tx, tenant.id, id)
      if (!before) return audit.unchanged()
      await tx
        .update(apiKeys)
        .set({ shadowRole: null, shadowSince: null, shadowUntil: null })
        .where(and(eq(apiKeys.tenantId, tenant.id), eq(apiKeys.id, id)))
      audit.record({ entity: entityOf(key), before: fieldsOf(before) })
    }),

  applyShadow: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'api_key.role_lowered',
      openapi: {
        ...openapi,
        method: 'POST',
        path: '/admin/api-keys/{id}/shadow/apply',
        conflicts: true,
        summary: 'Give an API key the lower role on trial',
        description:
          'Lowers the key’s role for good and ends the trial. Once this has answered, nothing that the key asked for under its old role can commit.',
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(ApiKey)
    .mutation(async ({ ctx: { tx, principal, tenant, audit }, input: { id } }) => {
      requireMayChange(principal, await getKey(tx, tenant.id, id))
      await lockPrincipals(tx, id)
      const before = await getKey(tx, tenant.id, id, true)
      requireActive(before)
      const [lowered] = await tx.select({ isDone: sql<boolean>`mate_lower_key_role(${id}::uuid)` }).from(sql`(select) as once`)
      if (!lowered?.isDone) {
        throw new TRPCError({ code: 'CONFLICT', message: 'No lower role is on trial on this key. Start with one.' })
      }
      const after = await getKey(tx, tenant.id, id)
      audit.record({ entity: entityOf(after), before: { role: before.role }, after: { role: after.role } })
      return after
    }),
})

function requireActive({ status }: { status: string }): void {
  if (status === 'active') return
  throw new TRPCError({ code: 'CONFLICT', message: `The key is ${status}: its role means nothing any more.` })
}

const fieldsOf = ({ role, until }: z.infer<typeof Shadow>) => ({ shadowRole: role, shadowUntil: until })

/** The trial of a key that is known to be this tenant's; null when there is none. */
export async function findShadow(tx: Tx, tenantId: string, id: string): Promise<z.infer<typeof Shadow> | null> {
  const [row] = await tx
    .select({
      role: apiKeys.shadowRole,
      since: apiKeys.shadowSince,
      until: apiKeys.shadowUntil,
      isOver: sql<boolean>`${apiKeys.shadowUntil} <= clock_timestamp()`,
    })
    .from(apiKeys)
    .where(and(eq(apiKeys.tenantId, tenantId), eq(apiKeys.id, id)))
  if (!row?.role || !row.since || !row.until) return null
  const refusals = await tx
    .select({
      operation: apiKeyUsage.operation,
      calls: sql<number>`sum(${apiKeyUsage.shadowRefusals})`.mapWith(Number),
      lastAt: sql<Date | string>`max(${apiKeyUsage.shadowLastAt})`,
    })
    .from(apiKeyUsage)
    .where(and(eq(apiKeyUsage.tenantId, tenantId), eq(apiKeyUsage.keyId, id), gt(apiKeyUsage.shadowRefusals, 0)))
    .groupBy(apiKeyUsage.operation)
    .orderBy(asc(apiKeyUsage.operation))
  return {
    role: row.role,
    since: row.since.toISOString(),
    until: row.until.toISOString(),
    isOver: row.isOver,
    refusals: refusals.map((each) => ({ ...each, lastAt: new Date(each.lastAt).toISOString() })),
  }
}
