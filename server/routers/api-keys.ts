// API keys: made, shown once, renamed, revoked, deleted.
import { TRPCError } from '@trpc/server'
import { and, asc, desc, eq, gt, isNotNull, isNull, lte, ne, or, type SQL, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { apiKeys } from '#db/schema.ts'
import { generateApiKey } from '../api-key.ts'
import { procedure } from '../gate.ts'
import { decodeCursor, encodeCursor, GivenInstant, Id, Instant, line, PageInput, pageOf } from '../input.ts'
import type { Principal } from '../principal.ts'
import { badField, FieldErrors } from '../problem.ts'
import { isRoleAtLeast, Role, roles } from '../roles.ts'
import { getRuntime } from '../runtime.ts'
import { t } from '../trpc.ts'

const KeyName = line(100)
const KeyStatus = z.enum(['active', 'expired', 'revoked'])

const ApiKey = z
  .object({
    id: Id,
    name: z.string(),
    prefix: z.string().describe('The first 12 characters of the key.'),
    role: Role,
    status: KeyStatus,
    createdAt: Instant,
    createdBy: z.object({ kind: z.enum(['user', 'key', 'console']), id: z.string(), name: z.string() }),
    expiresAt: Instant.nullable(),
    lastUsedAt: Instant.nullable().describe('Collected in batches: seconds behind.'),
    lastUsedIp: z.string().nullable(),
    lastUsedUserAgent: z.string().nullable(),
    revokedAt: Instant.nullable(),
    revokedBy: z.object({ id: z.string(), name: z.string() }).nullable(),
    revokedReason: z.string().nullable(),
  })
  .meta({ id: 'ApiKey' })
type ApiKey = z.infer<typeof ApiKey>

const NewApiKey = ApiKey.extend({
  key: z.string().describe('The whole key. Keep it now: only its hash is stored.'),
}).meta({ id: 'NewApiKey' })

const columns = {
  id: apiKeys.id,
  name: apiKeys.name,
  prefix: apiKeys.prefix,
  role: apiKeys.role,
  createdAt: apiKeys.createdAt,
  createdByKind: apiKeys.createdByKind,
  createdById: apiKeys.createdById,
  createdByName: apiKeys.createdByName,
  expiresAt: apiKeys.expiresAt,
  lastUsedAt: apiKeys.lastUsedAt,
  lastUsedIp: apiKeys.lastUsedIp,
  lastUsedUserAgent: apiKeys.lastUsedUserAgent,
  revokedAt: apiKeys.revokedAt,
  revokedById: apiKeys.revokedById,
  revokedByName: apiKeys.revokedByName,
  revokedReason: apiKeys.revokedReason,
  isExpired: sql<boolean>`coalesce(${apiKeys.expiresAt} <= clock_timestamp(), false)`,
}
type Row = Pick<typeof apiKeys.$inferSelect, Exclude<keyof typeof columns, 'isExpired'>> & { isExpired: boolean }

function toApiKey(row: Row): ApiKey {
  const { id, name, prefix, role, revokedById, revokedByName } = row
  return {
    id,
    name,
    prefix,
    role,
    status: row.revokedAt ? 'revoked' : row.isExpired ? 'expired' : 'active',
    createdAt: row.createdAt.toISOString(),
    createdBy: { kind: row.createdByKind, id: row.createdById, name: row.createdByName },
    expiresAt: row.expiresAt?.toISOString() ?? null,
    lastUsedAt: row.lastUsedAt?.toISOString() ?? null,
    lastUsedIp: row.lastUsedIp,
    lastUsedUserAgent: row.lastUsedUserAgent,
    revokedAt: row.revokedAt?.toISOString() ?? null,
    revokedBy: revokedById === null ? null : { id: revokedById, name: revokedByName ?? '' },
    revokedReason: row.revokedReason,
  }
}

const entityOf = ({ id, name }: ApiKey) => ({ type: 'api_key', id, name }) as const

/** @throws TRPCError NOT_FOUND, for another tenant's key too. */
async function getKey(tx: Tx, tenantId: string, id: string, forUpdate = false): Promise<ApiKey> {
  const query = tx
    .select(columns)
    .from(apiKeys)
    .where(and(eq(apiKeys.tenantId, tenantId), eq(apiKeys.id, id)))
  const [row] = await (forUpdate ? query.for('update') : query)
  if (!row) throw new TRPCError({ code: 'NOT_FOUND', message: 'There is no API key with this id.' })
  return toApiKey(row)
}

function requireMayGrant(principal: Principal, role: Role): void {
  if (isRoleAtLeast(principal.role, role)) return
  const message = `The role ${role} is above this ${principal.kind}’s own, ${principal.role}. Choose a role up to ${principal.role}.`
  throw new TRPCError({ code: 'FORBIDDEN', message })
}

function requireMayChange(principal: Principal, key: ApiKey): void {
  if (isRoleAtLeast(principal.role, key.role)) return
  const message = `The key has the role ${key.role}, above this ${principal.kind}’s own, ${principal.role}. Ask a ${key.role}.`
  throw new TRPCError({ code: 'FORBIDDEN', message })
}

const dayMs = 86_400_000

/** Within the deployment's MATE_MAX_KEY_DAYS, and in the future. A minute is granted for clocks and forms. */
function requireExpiry(expiresAt: string | undefined): Date | null {
  const maxDays = getRuntime().env.MATE_MAX_KEY_DAYS
  if (expiresAt === undefined) {
    if (maxDays) throw badField('expiresAt', `Is required here: keys live for at most ${maxDays} days.`)
    return null
  }
  const at = new Date(expiresAt)
  if (at.getTime() <= Date.now()) throw badField('expiresAt', 'Must be in the future.')
  if (maxDays && at.getTime() > Date.now() + maxDays * dayMs + 60_000) {
    throw badField('expiresAt', `Must be within ${maxDays} days, the longest life of a key here.`)
  }
  return at
}

/**
 * Makes sure that no other active key of the tenant has this name, and holds the name until the transaction ends. A
 * lock and not a unique index, since "active" depends on the time.
 */
async function requireFreeName(tx: Tx, tenantId: string, name: string, exceptId?: string): Promise<void> {
  await tx.execute(
    sql`select pg_advisory_xact_lock(hashtextextended('mate.key-name.' || ${tenantId}::text || lower(${name}::text), 0))`,
  )
  const [taken] = await tx
    .select({ id: apiKeys.id })
    .from(apiKeys)
    .where(
      and(
        eq(apiKeys.tenantId, tenantId),
        sql`lower(${apiKeys.name}) = lower(${name})`,
        isActive,
        exceptId ? ne(apiKeys.id, exceptId) : undefined,
      ),
    )
    .limit(1)
  if (taken) {
    const message = 'An active key has this name already. Choose another name, or revoke that key first.'
    throw new TRPCError({ code: 'CONFLICT', message, cause: new FieldErrors([{ path: 'name', message }]) })
  }
}

/** Waits for every change that the key has under way, and keeps new ones out until this transaction ends. */
async function lockPrincipal(tx: Tx, id: string): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(mate_principal_lock(${id}::uuid))`)
}

const isActive = and(isNull(apiKeys.revokedAt), or(isNull(apiKeys.expiresAt), gt(apiKeys.expiresAt, sql`clock_timestamp()`)))

const statusIs: Record<z.infer<typeof KeyStatus>, SQL | undefined> = {
  active: isActive,
  expired: and(isNull(apiKeys.revokedAt), lte(apiKeys.expiresAt, sql`clock_timestamp()`)),
  revoked: isNotNull(apiKeys.revokedAt),
}

const KeySort = z.enum(['createdAt', 'name', 'role', 'expiresAt', 'lastUsedAt'])

// What each sort compares, and as which type its place in the list travels in a cursor. No nulls: they cannot be compared.
const sorts: Record<z.infer<typeof KeySort>, { by: SQL; type: SQL }> = {
  createdAt: { by: sql`${apiKeys.createdAt}`, type: sql`timestamptz` },
  name: { by: sql`lower(${apiKeys.name})`, type: sql`text` },
  role: { by: sql`array_position(${sql.param(`{${roles.join(',')}}`)}::text[], ${apiKeys.role})`, type: sql`int` },
  expiresAt: { by: sql`coalesce(${apiKeys.expiresAt}, 'infinity')`, type: sql`timestamptz` },
  lastUsedAt: { by: sql`coalesce(${apiKeys.lastUsedAt}, '-infinity')`, type: sql`timestamptz` },
}

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

/** @throws TRPCError CONFLICT when this form made a key already. */
async function requireUnsent(tx: Tx, tenantId: string, formId: string): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended('mate.form.' || ${formId}::uuid::text, 0))`)
  const [made] = await tx
    .select({ name: apiKeys.name })
    .from(apiKeys)
    .where(and(eq(apiKeys.tenantId, tenantId), eq(apiKeys.formId, formId)))
  if (!made) return
  const message = `This form was sent before and made the key “${made.name}”. A key is shown only once; if you did not copy it, revoke it and generate another.`
  throw new TRPCError({ code: 'CONFLICT', message, cause: new FieldErrors([{ path: 'formId', message }]) })
}
