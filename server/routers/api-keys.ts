// API keys: made, shown once, renamed, limited, revoked, deleted.
import { isDeepStrictEqual } from 'node:util'
import { and, asc, desc, eq, gt, ne, or, sql } from 'drizzle-orm'
import { z } from 'zod'
import { apiKeys } from '#db/schema.ts'
import { generateApiKey } from '../api-key.ts'
import { requireFreshToMint } from '../fresh-sign-in.ts'
import { procedure } from '../gate.ts'
import { GivenInstant, Id, line } from '../input.ts'
import { type KeyLimits, KeyLimitsInput } from '../key-limits.ts'
import { decodeCursor, PageInput, pageOf, toPage } from '../paging.ts'
import { requireQuota } from '../quotas.ts'
import { Role } from '../roles.ts'
import { t } from '../trpc.ts'
import {
  ApiKey,
  columns,
  entityOf,
  getKey,
  KeyFilter,
  KeyName,
  KeySort,
  KeyStatus,
  limitsSet,
  lockPrincipals,
  matches,
  NewApiKey,
  now,
  requireExpiry,
  requireFreeName,
  requireMayChange,
  requireMayGrant,
  requireMayLimit,
  requireMayRelimit,
  requireUnsent,
  revokedBy,
  sorts,
  statusIs,
  toApiKey,
} from './api-key-records.ts'

const openapi = { tags: ['api-keys'] }

/** One for each job of a pipeline would leave no room for any other. */
const isNoExpiredCi = or(ne(apiKeys.createdByKind, 'trust_rule'), gt(apiKeys.expiresAt, now))

/** What an update can change of a key. */
const changeable = ({ name, allowedIps, requestsPerMinute, scopes }: Changeable) => {
  return { name, allowedIps, requestsPerMinute, scopes }
}
type Changeable = KeyLimits & { name: string }

export const apiKeysRouter = t.router({
  list: procedure
    .meta({
      role: 'TenantAdmin',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/admin/api-keys',
        summary: 'List API keys',
        description: 'The keys of the tenant, the revoked and expired ones too; newest first unless sorted otherwise.',
      },
    })
    .input(
      z.strictObject({
        ...PageInput,
        ...KeyFilter,
        status: KeyStatus.optional(),
        withExpiredCi: z
          .boolean()
          .default(true)
          .describe('Whether to list the keys that CI pipelines had for their minutes, which stay for a week.'),
        sort: KeySort.default('createdAt'),
        order: z.enum(['asc', 'desc']).default('desc'),
      }),
    )
    .output(pageOf(ApiKey))
    .query(async ({ ctx: { tx, tenant }, input }) => {
      const { limit, cursor, status } = input
      const { by, type } = sorts[input.sort]
      const isAscending = input.order === 'asc'
      const direction = isAscending ? asc : desc
      // A cursor names its sort, so that one from another order is refused and not misread.
      const Position = z.tuple([z.literal(input.sort), z.literal(input.order), z.string().max(200), Id])
      const after = cursor === undefined ? undefined : decodeCursor(cursor, Position)
      const rows = await tx
        .select({ ...columns, position: sql<string>`(${by})::text` })
        .from(apiKeys)
        .where(
          and(
            eq(apiKeys.tenantId, tenant.id),
            matches(input),
            status && statusIs[status],
            input.withExpiredCi ? undefined : isNoExpiredCi,
            after && sql`(${by}, ${apiKeys.id}) ${isAscending ? sql`>` : sql`<`} (${after[2]}::${type}, ${after[3]}::uuid)`,
          ),
        )
        .orderBy(direction(by), direction(apiKeys.id))
        .limit(limit + 1)
      return toPage(rows, limit, toApiKey, ({ position, id }) => [input.sort, input.order, position, id])
    }),

  get: procedure
    .meta({
      role: 'TenantAdmin',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/admin/api-keys/{id}',
        summary: 'Get an API key',
        description: 'One key’s record; the key itself can’t be read again.',
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(ApiKey)
    .query(({ ctx: { tx, tenant }, input }) => getKey(tx, tenant.id, input.id)),

  create: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'api_key.created',
      shownOnce: 'key',
      openapi: {
        ...openapi,
        method: 'POST',
        path: '/admin/api-keys',
        conflicts: true,
        summary: 'Generate an API key',
        description:
          'Makes a key and answers it, the only time it is ever shown. Nobody can grant a role or limits above their own.',
        status: 201,
        location: '/admin/api-keys/{id}',
      },
    })
    .input(
      z.strictObject({
        name: KeyName.describe('Unique among the active keys of the tenant, whatever its case.'),
        role: Role,
        expiresAt: GivenInstant.optional().describe('When the key expires; never when left out, where the deployment allows it.'),
        ...KeyLimitsInput,
        formId: Id.optional().describe('A UUID of your choosing: a second request with the same one makes no second key.'),
      }),
    )
    .output(NewApiKey)
    .mutation(async ({ ctx: { tx, principal, tenant, audit }, input }) => {
      const { name, role, formId } = input
      requireMayGrant(principal, role)
      await requireFreshToMint(tx, principal, role)
      const limits = requireMayLimit(principal, input)
      const expiresAt = requireExpiry(input.expiresAt)
      if (formId) await requireUnsent(tx, tenant.id, formId)
      await requireQuota(tx, tenant.id, 'maxApiKeys')
      await requireFreeName(tx, name)
      const { key, hash, prefix } = generateApiKey()
      const [row] = await tx
        .insert(apiKeys)
        .values({
          tenantId: tenant.id,
          name,
          prefix,
          keyHash: hash,
          role,
          expiresAt,
          ...limits,
          formId: formId ?? null,
          createdByKind: principal.kind,
          createdById: principal.id,
          createdByName: principal.name,
          ownerId: principal.ownerId,
        })
        .returning(columns)
      if (!row) throw new Error('the insert returned no row')
      const made = toApiKey(row)
      audit.record({ entity: entityOf(made), after: { name, prefix, role, expiresAt: made.expiresAt, ...limitsSet(limits) } })
      return { ...made, key }
    }),

  update: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'api_key.updated',
      openapi: {
        ...openapi,
        method: 'PATCH',
        path: '/admin/api-keys/{id}',
        conflicts: true,
        summary: 'Rename or limit an API key',
        description:
          'Changes the name, the limits, or both; what is left out stays. Anybody who may change the key may narrow its limits, and widen them up to their own. Once this has answered, nothing commits beyond narrower limits. A role is lowered by a trial, and never raised; the expiry can’t be changed: rotate, or make another key.',
      },
    })
    .input(
      z
        .strictObject({ id: Id, name: KeyName.optional(), ...KeyLimitsInput })
        .refine(({ id: _, ...changes }) => Object.values(changes).some((value) => value !== undefined), 'Name what to change.'),
    )
    .output(ApiKey)
    .mutation(async ({ ctx: { tx, principal, tenant, audit }, input: { id, name: newName, ...asked } }) => {
      requireMayChange(principal, await getKey(tx, tenant.id, id))
      if (Object.values(asked).some((limit) => limit !== undefined)) await lockPrincipals(tx, id)
      const before = await getKey(tx, tenant.id, id, true)
      const name = newName ?? before.name
      const limits = requireMayRelimit(principal, before, asked)
      const after = { ...before, name, ...limits }
      if (isDeepStrictEqual(after, before)) {
        audit.unchanged()
        return before
      }
      if (before.status === 'active' && name !== before.name) await requireFreeName(tx, name, id)
      await tx
        .update(apiKeys)
        .set({ name, ...limits })
        .where(and(eq(apiKeys.tenantId, tenant.id), eq(apiKeys.id, id)))
      audit.record({ entity: entityOf(after), before: changeable(before), after: changeable(after) })
      return after
    }),

  revoke: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'api_key.revoked',
      openapi: {
        ...openapi,
        method: 'POST',
        path: '/admin/api-keys/{id}/revoke',
        summary: 'Revoke an API key',
        description:
          'Ends the key for good; its record stays. Once this has answered, nothing that the key asked for can commit. A second time is 200 and changes nothing.',
      },
    })
    .input(z.strictObject({ id: Id, reason: line(500, 0).optional().describe('Why, for the audit log.') }))
    .output(ApiKey)
    .mutation(async ({ ctx: { tx, principal, tenant, audit }, input: { id, reason } }) => {
      requireMayChange(principal, await getKey(tx, tenant.id, id))
      await lockPrincipals(tx, id)
      const before = await getKey(tx, tenant.id, id, true)
      if (before.status === 'revoked') {
        audit.unchanged()
        return before
      }
      await tx
        .update(apiKeys)
        .set(revokedBy(principal, reason))
        .where(and(eq(apiKeys.tenantId, tenant.id), eq(apiKeys.id, id)))
      const after = await getKey(tx, tenant.id, id)
      const change = { before: { status: before.status }, after: { status: after.status } }
      audit.record({ entity: entityOf(after), ...change, ...(reason ? { reason } : {}) })
      return after
    }),

  delete: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'api_key.deleted',
      openapi: {
        ...openapi,
        method: 'DELETE',
        path: '/admin/api-keys/{id}',
        summary: 'Delete an API key',
        description: 'Ends the key as a revoke does, and removes its record; its audit trail stays.',
        status: 204,
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(z.void())
    .mutation(async ({ ctx: { tx, principal, tenant, audit }, input: { id } }) => {
      requireMayChange(principal, await getKey(tx, tenant.id, id))
      await lockPrincipals(tx, id)
      const before = await getKey(tx, tenant.id, id, true)
      await tx.delete(apiKeys).where(and(eq(apiKeys.tenantId, tenant.id), eq(apiKeys.id, id)))
      const { name, prefix, role, status, expiresAt } = before
      audit.record({ entity: entityOf(before), before: { name, prefix, role, status, expiresAt } })
    }),
})
