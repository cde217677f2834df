// The records of API keys: their shape outside, their columns inside, and the rules that a change of one obeys.
import { TRPCError } from '@trpc/server'
import { and, eq, gt, isNotNull, isNull, lte, ne, or, type SQL, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { apiKeys } from '#db/schema.ts'
import { Id, Instant, line } from '../input.ts'
import type { Principal } from '../principal.ts'
import { badField, FieldErrors } from '../problem.ts'
import { isRoleAtLeast, Role, roles } from '../roles.ts'
import { getRuntime } from '../runtime.ts'

export const KeyName = line(100)
export const KeyStatus = z.enum(['active', 'expired', 'revoked'])

export const ApiKey = z
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

export const NewApiKey = ApiKey.extend({
  key: z.string().describe('The whole key. Keep it now: only its hash is stored.'),
}).meta({ id: 'NewApiKey' })

export const columns = {
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

export function toApiKey(row: Row): ApiKey {
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

export const entityOf = ({ id, name }: ApiKey) => ({ type: 'api_key', id, name }) as const

/** @throws TRPCError NOT_FOUND, for another tenant's key too. */
export async function getKey(tx: Tx, tenantId: string, id: string, forUpdate = false): Promise<ApiKey> {
  const query = tx
    .select(columns)
    .from(apiKeys)
    .where(and(eq(apiKeys.tenantId, tenantId), eq(apiKeys.id, id)))
  const [row] = await (forUpdate ? query.for('update') : query)
  if (!row) throw new TRPCError({ code: 'NOT_FOUND', message: 'There is no API key with this id.' })
  return toApiKey(row)
}

export function requireMayGrant(principal: Principal, role: Role): void {
  if (isRoleAtLeast(principal.role, role)) return
  const message = `The role ${role} is above this ${principal.kind}’s own, ${principal.role}. Choose a role up to ${principal.role}.`
  throw new TRPCError({ code: 'FORBIDDEN', message })
}

export function requireMayChange(principal: Principal, key: ApiKey): void {
  if (isRoleAtLeast(principal.role, key.role)) return
  const message = `The key has the role ${key.role}, above this ${principal.kind}’s own, ${principal.role}. Ask a ${key.role}.`
  throw new TRPCError({ code: 'FORBIDDEN', message })
}

const dayMs = 86_400_000

/** Within the deployment's MATE_MAX_KEY_DAYS, and in the future. A minute is granted for clocks and forms. */
export function requireExpiry(expiresAt: string | undefined): Date | null {
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
export async function requireFreeName(tx: Tx, tenantId: string, name: string, exceptId?: string): Promise<void> {
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
export async function lockPrincipal(tx: Tx, id: string): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(mate_principal_lock(${id}::uuid))`)
}

const isActive = and(isNull(apiKeys.revokedAt), or(isNull(apiKeys.expiresAt), gt(apiKeys.expiresAt, sql`clock_timestamp()`)))

export const statusIs: Record<z.infer<typeof KeyStatus>, SQL | undefined> = {
  active: isActive,
  expired: and(isNull(apiKeys.revokedAt), lte(apiKeys.expiresAt, sql`clock_timestamp()`)),
  revoked: isNotNull(apiKeys.revokedAt),
}

export const KeySort = z.enum(['createdAt', 'name', 'role', 'expiresAt', 'lastUsedAt'])

// What each sort compares, and as which type its place in the list travels in a cursor. No nulls: they cannot be compared.
export const sorts: Record<z.infer<typeof KeySort>, { by: SQL; type: SQL }> = {
  createdAt: { by: sql`${apiKeys.createdAt}`, type: sql`timestamptz` },
  name: { by: sql`lower(${apiKeys.name})`, type: sql`text` },
  role: { by: sql`array_position(${sql.param(`{${roles.join(',')}}`)}::text[], ${apiKeys.role})`, type: sql`int` },
  expiresAt: { by: sql`coalesce(${apiKeys.expiresAt}, 'infinity')`, type: sql`timestamptz` },
  lastUsedAt: { by: sql`coalesce(${apiKeys.lastUsedAt}, '-infinity')`, type: sql`timestamptz` },
}

/** @throws TRPCError CONFLICT when this form made a key already. */
export async function requireUnsent(tx: Tx, tenantId: string, formId: string): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended('mate.form.' || ${formId}::uuid::text, 0))`)
  const [made] = await tx
    .select({ name: apiKeys.name })
    .from(apiKeys)
    .where(and(eq(apiKeys.tenantId, tenantId), eq(apiKeys.formId, formId)))
  if (!made) return
  const message = `This form was sent before and made the key “${made.name}”. A key is shown only once; if you did not copy it, revoke it and generate another.`
  throw new TRPCError({ code: 'CONFLICT', message, cause: new FieldErrors([{ path: 'formId', message }]) })
}
