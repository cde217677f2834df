// API keys: made, shown once, renamed, revoked, deleted.
import { and, asc, desc, eq, sql } from 'drizzle-orm'
import { z } from 'zod'
import { apiKeys } from '#db/schema.ts'
import { generateApiKey } from '../api-key.ts'
import { procedure } from '../gate.ts'
import { decodeCursor, encodeCursor, GivenInstant, Id, line, PageInput, pageOf } from '../input.ts'
import { Role } from '../roles.ts'
import { t } from '../trpc.ts'
import {
  ApiKey,
  columns,
  entityOf,
  getKey,
  KeyName,
  KeySort,
  KeyStatus,
  lockPrincipal,
  NewApiKey,
  requireExpiry,
  requireFreeName,
  requireMayChange,
  requireMayGrant,
  requireUnsent,
  sorts,
  statusIs,
  toApiKey,
} from './api-key-records.ts'

const openapi = { tags: ['api-keys'] }

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
        search: z.string().max(200).optional().describe('A part of the name, or the beginning of the key.'),
        role: Role.optional(),
        status: KeyStatus.optional(),
        sort: KeySort.default('createdAt'),
        order: z.enum(['asc', 'desc']).default('desc'),
      }),
    )
    .output(pageOf(ApiKey))
    .query(async ({ ctx: { tx, tenant }, input }) => {
      const { limit, cursor, search, role, status } = input
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
            role && eq(apiKeys.role, role),
            status && statusIs[status],
            search
              ? sql`(strpos(lower(${apiKeys.name}), lower(${search})) > 0 or starts_with(${search}, ${apiKeys.prefix}) or starts_with(${apiKeys.prefix}, ${search}))`
              : undefined,
            after && sql`(${by}, ${apiKeys.id}) ${isAscending ? sql`>` : sql`<`} (${after[2]}::${type}, ${after[3]}::uuid)`,
          ),
        )
        .orderBy(direction(by), direction(apiKeys.id))
        .limit(limit + 1)
      const page = rows.slice(0, limit)
      const last = rows.length > limit ? page.at(-1) : undefined
      return {
        items: page.map(toApiKey),
        nextCursor: last ? encodeCursor([input.sort, input.order, last.position, last.id]) : null,
      }
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
      openapi: {
        ...openapi,
        method: 'POST',
        path: '/admin/api-keys',
        summary: 'Generate an API key',
        description: 'Makes a key and answers it, the only time it is ever shown. Nobody can grant a role above their own.',
        status: 201,
        location: '/admin/api-keys/{id}',
      },
    })
    .input(
      z.strictObject({
        name: KeyName.describe('Unique among the active keys of the tenant, whatever its case.'),
        role: Role,
        expiresAt: GivenInstant.optional().describe('When the key expires; never when left out, where the deployment allows it.'),
        formId: Id.optional().describe('A UUID of your choosing: a second request with the same one makes no second key.'),
      }),
    )
    .output(NewApiKey)
    .mutation(async ({ ctx: { tx, principal, tenant, audit }, input }) => {
      const { name, role, formId } = input
      requireMayGrant(principal, role)
      const expiresAt = requireExpiry(input.expiresAt)
      if (formId) await requireUnsent(tx, tenant.id, formId)
      await requireFreeName(tx, tenant.id, name)
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
          formId: formId ?? null,
          createdByKind: principal.kind,
          createdById: principal.id,
          createdByName: principal.name,
        })
        .returning(columns)
      if (!row) throw new Error('the insert returned no row')
      const made = toApiKey(row)
      audit.record({ entity: entityOf(made), after: { name, prefix, role, expiresAt: made.expiresAt } })
      return { ...made, key }
    }),

  update: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'api_key.renamed',
      openapi: {
        ...openapi,
        method: 'PATCH',
        path: '/admin/api-keys/{id}',
        summary: 'Rename an API key',
        description: 'Changes the name. Role and expiry can’t be changed: make another key.',
      },
    })
    .input(z.strictObject({ id: Id, name: KeyName }))
    .output(ApiKey)
    .mutation(async ({ ctx: { tx, principal, tenant, audit }, input: { id, name } }) => {
      const before = await getKey(tx, tenant.id, id, true)
      requireMayChange(principal, before)
      if (before.name === name) {
        audit.unchanged()
        return before
      }
      if (before.status === 'active') await requireFreeName(tx, tenant.id, name, id)
      await tx
        .update(apiKeys)
        .set({ name })
        .where(and(eq(apiKeys.tenantId, tenant.id), eq(apiKeys.id, id)))
      const after = { ...before, name }
      audit.record({ entity: entityOf(after), before: { name: before.name }, after: { name } })
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
      await lockPrincipal(tx, id)
      const before = await getKey(tx, tenant.id, id, true)
      if (before.status === 'revoked') {
        audit.unchanged()
        return before
      }
      await tx
        .update(apiKeys)
        .set({
          revokedAt: sql`clock_timestamp()`,
          revokedById: principal.id,
          revokedByName: principal.name,
          revokedReason: reason || null,
        })
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
      await lockPrincipal(tx, id)
      const before = await getKey(tx, tenant.id, id, true)
      await tx.delete(apiKeys).where(and(eq(apiKeys.tenantId, tenant.id), eq(apiKeys.id, id)))
      const { name, prefix, role, status, expiresAt } = before
      audit.record({ entity: entityOf(before), before: { name, prefix, role, status, expiresAt } })
    }),
})
