// The records of API keys: their shape outside, their columns inside, and the rules that a change of one obeys.
import { TRPCError } from '@trpc/server'
import { and, eq, gt, isNotNull, isNull, lte, or, type SQL, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { apiKeys, users } from '#db/schema.ts'
import { Id, Instant, line } from '../input.ts'
import { type AskedLimits, excessOver, type KeyLimits, normaliseLimits } from '../key-limits.ts'
import { listScopes } from '../operations.ts'
import { holdsRole, type Principal } from '../principal.ts'
import { badField, FieldErrors } from '../problem.ts'
import { Role, roles } from '../roles.ts'
import { getRuntime } from '../runtime.ts'

export const KeyName = line(100)
export const KeyStatus = z.enum(['active', 'expired', 'revoked', 'rotated'])

export const ApiKey = z
  .object({
    id: Id,
    name: z.string(),
    prefix: z.string().describe('The first 12 characters of the key.'),
    role: Role,
    status: KeyStatus,
    createdAt: Instant,
    createdBy: z.object({ kind: z.enum(['user', 'key', 'console', 'trust_rule']), id: z.string(), name: z.string() }),
    trustRuleId: Id.nullable().describe('The trust rule that gave it out for a token of a CI provider; it ends with that.'),
    owner: z
      .object({ id: Id, name: z.string().nullable().describe('Null for a person of another tenant.') })
      .nullable()
      .describe('The person whose leaving ends it: who made it, or whose key did. Null for the tenant’s own.'),
    expiresAt: Instant.nullable(),
    lastUsedAt: Instant.nullable().describe('Collected in batches: seconds behind.'),
    lastUsedIp: z.string().nullable(),
    lastUsedUserAgent: z.string().nullable(),
    revokedAt: Instant.nullable(),
    revokedBy: z.object({ id: z.string(), name: z.string() }).nullable(),
    revokedReason: z.string().nullable(),
    allowedIps: z.array(z.string()).nullable().describe('The networks that it may be used from; null for anywhere.'),
    requestsPerMinute: z.number().int().nullable().describe('Null for no limit.'),
    scopes: z.array(z.string()).nullable().describe('What it may do of what its role allows; null for all of it.'),
    rotatesOutAt: Instant.nullable().describe('Of a rotated key: when the overlap with its successor ends.'),
    replacedById: Id.nullable().describe('Its successor.'),
    replacesId: Id.nullable().describe('The key that it succeeds.'),
    trippedAt: Instant.nullable().describe('When it was last used after it was revoked or rotated out, to the minute.'),
    trippedIp: z.string().nullable(),
    trippedUserAgent: z.string().nullable(),
  })
  .meta({ id: 'ApiKey' })
export type ApiKey = z.infer<typeof ApiKey>

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
  trustRuleId: apiKeys.trustRuleId,
  ownerId: apiKeys.ownerId,
  ownerName: sql<string | null>`(select u.name from ${users} u where u.id = ${apiKeys}.owner_id)`,
  expiresAt: apiKeys.expiresAt,
  lastUsedAt: apiKeys.lastUsedAt,
  lastUsedIp: apiKeys.lastUsedIp,
  lastUsedUserAgent: apiKeys.lastUsedUserAgent,
  revokedAt: apiKeys.revokedAt,
  revokedById: apiKeys.revokedById,
  revokedByName: apiKeys.revokedByName,
  revokedReason: apiKeys.revokedReason,
  allowedIps: apiKeys.allowedIps,
  requestsPerMinute: apiKeys.requestsPerMinute,
  scopes: apiKeys.scopes,
  rotatesOutAt: apiKeys.rotatesOutAt,
  replacedById: apiKeys.replacedById,
  replacesId: apiKeys.replacesId,
  trippedAt: apiKeys.trippedAt,
  trippedIp: apiKeys.trippedIp,
  trippedUserAgent: apiKeys.trippedUserAgent,
  isExpired: sql<boolean>`coalesce(${apiKeys.expiresAt} <= clock_timestamp(), false)`,
  isRotatedOut: sql<boolean>`coalesce(${apiKeys.rotatesOutAt} <= clock_timestamp(), false)`,
}
type Computed = 'isExpired' | 'isRotatedOut'
type Row = Pick<typeof apiKeys.$inferSelect, Exclude<keyof typeof columns, Computed | 'ownerName'>> &
  Record<Computed, boolean> & { ownerName: string | null }

export function toApiKey(row: Row): ApiKey {
  const { id, name, prefix, role, revokedById, revokedByName, allowedIps, requestsPerMinute, scopes } = row
  return {
    id,
    name,
    prefix,
    role,
    status: statusOf(row),
    createdAt: row.createdAt.toISOString(),
    createdBy: { kind: row.createdByKind, id: row.createdById, name: row.createdByName },
    trustRuleId: row.trustRuleId,
    owner: row.ownerId === null ? null : { id: row.ownerId, name: row.ownerName },
    expiresAt: row.expiresAt?.toISOString() ?? null,
    lastUsedAt: row.lastUsedAt?.toISOString() ?? null,
    lastUsedIp: row.lastUsedIp,
    lastUsedUserAgent: row.lastUsedUserAgent,
    revokedAt: row.revokedAt?.toISOString() ?? null,
    revokedBy: revokedById === null ? null : { id: revokedById, name: revokedByName ?? '' },
    revokedReason: row.revokedReason,
    allowedIps,
    requestsPerMinute,
    scopes,
    rotatesOutAt: row.rotatesOutAt?.toISOString() ?? null,
    replacedById: row.replacedById,
    replacesId: row.replacesId,
    trippedAt: row.trippedAt?.toISOString() ?? null,
    trippedIp: row.trippedIp,
    trippedUserAgent: row.trippedUserAgent,
  }
}

function statusOf({ revokedAt, isRotatedOut, isExpired }: Row): ApiKey['status'] {
  if (revokedAt) return 'revoked'
  if (isRotatedOut) return 'rotated'
  return isExpired ? 'expired' : 'active'
}

/** The database's clock: the one that keys are compared by. */
export const now = sql`clock_timestamp()`

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
  if (holdsRole(principal, role)) return
  const message = `The role ${role} is above this ${principal.kind}’s own, ${principal.role}. Choose a role up to ${principal.role}.`
  throw new TRPCError({ code: 'FORBIDDEN', message })
}

export function requireMayChange(principal: Principal, key: ApiKey): void {
  if (holdsRole(principal, key.role)) return
  const message = `The key has the role ${key.role}, above this ${principal.kind}’s own, ${principal.role}. Ask a ${key.role}.`
  throw new TRPCError({ code: 'FORBIDDEN', message })
}

/**
 * The limits of a key that `principal` makes: those it asks for, else its own; never more than its own.
 * @throws TRPCError FORBIDDEN.
 */
export function requireMayLimit(principal: Principal, asked: AskedLimits): KeyLimits {
  const own = principal.limits
  const limits = withDefaults(normaliseLimits(asked, listScopes()), own)
  refuseExcess(principal, excessOver(limits, own))
  return limits
}

/** The limits of a key after a change by `principal`: narrower than they were, or within its own. Otherwise as above. */
export function requireMayRelimit(principal: Principal, before: KeyLimits, asked: AskedLimits): KeyLimits {
  const limits = withDefaults(normaliseLimits(asked, listScopes()), before)
  refuseExcess(principal, excessOver(limits, before, principal.limits))
  return limits
}

function withDefaults(asked: AskedLimits, otherwise: KeyLimits): KeyLimits {
  const { allowedIps = otherwise.allowedIps, requestsPerMinute = otherwise.requestsPerMinute } = asked
  return { allowedIps, requestsPerMinute, scopes: asked.scopes === undefined ? otherwise.scopes : asked.scopes }
}

function refuseExcess(principal: Principal, [field]: (keyof KeyLimits)[]): void {
  if (field === undefined) return
  const own = principal.limits[field]
  const message = `${field} is more than this ${principal.kind}’s own, ${Array.isArray(own) ? own.join(', ') : own}. Stay within that.`
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

/** Makes sure that no other active key of the tenant has this name, and holds the name until the transaction ends. */
export async function requireFreeName(tx: Tx, name: string, exceptId?: string): Promise<void> {
  const [held] = await tx
    .select({ isFree: sql<boolean>`mate_hold_key_name(${name}, ${exceptId ?? null}::uuid)` })
    .from(sql`(select) as once`)
  if (held?.isFree) return
  const message = 'An active key has this name already. Choose another name, or revoke that key first.'
  throw new TRPCError({ code: 'CONFLICT', message, cause: new FieldErrors([{ path: 'name', message }]) })
}

/** Of limits, those that there are: for the audit log. */
export function limitsSet(limits: KeyLimits): Partial<KeyLimits> {
  return Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit !== null))
}

/** The columns of a revocation. */
export function revokedBy({ id, name }: Pick<Principal, 'id' | 'name'>, reason: string | undefined) {
  return { revokedAt: now, revokedById: id, revokedByName: name, revokedReason: reason || null }
}

/** Waits for every change that the keys have under way, and keeps new ones out until this transaction ends. */
export async function lockPrincipals(tx: Tx, ...ids: string[]): Promise<void> {
  // In one order, so that two of these wait for each other instead of deadlocking.
  await tx.execute(
    sql`select pg_advisory_xact_lock(mate_principal_lock(id)) from (select id from unnest(${sql.param(`{${ids.join(',')}}`)}::uuid[]) as id order by id offset 0) as ordered`,
  )
}

const isRotatedOut = lte(apiKeys.rotatesOutAt, now)
const isNotRotatedOut = or(isNull(apiKeys.rotatesOutAt), gt(apiKeys.rotatesOutAt, now))
const isActive = and(isNull(apiKeys.revokedAt), isNotRotatedOut, or(isNull(apiKeys.expiresAt), gt(apiKeys.expiresAt, now)))

export const statusIs: Record<z.infer<typeof KeyStatus>, SQL | undefined> = {
  active: isActive,
  expired: and(isNull(apiKeys.revokedAt), isNotRotatedOut, lte(apiKeys.expiresAt, now)),
  revoked: isNotNull(apiKeys.revokedAt),
  rotated: and(isNull(apiKeys.revokedAt), isRotatedOut),
}

/** What both the list and a bulk revocation choose by. */
export const KeyFilter = {
  search: z.string().max(200).optional().describe('A part of the name, or the beginning of the key.'),
  role: Role.optional(),
  createdBy: z.string().max(200).optional().describe('The id of who made it, or a part of the name.'),
  unusedForDays: z.number().int().min(1).max(36500).optional().describe('Made at least so long ago, and not used since.'),
}

export function matches({ search, role, createdBy, unusedForDays }: z.infer<z.ZodObject<typeof KeyFilter>>): SQL | undefined {
  return and(
    role && eq(apiKeys.role, role),
    search
      ? sql`(strpos(lower(${apiKeys.name}), lower(${search})) > 0 or starts_with(${search}, ${apiKeys.prefix}) or starts_with(${apiKeys.prefix}, ${search}))`
      : undefined,
    createdBy
      ? sql`(${apiKeys.createdById} = ${createdBy} or strpos(lower(${apiKeys.createdByName}), lower(${createdBy})) > 0)`
      : undefined,
    unusedForDays === undefined
      ? undefined
      : sql`coalesce(${apiKeys.lastUsedAt}, ${apiKeys.createdAt}) < ${now} - make_interval(days => ${unusedForDays})`,
  )
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
