// Who is calling: credentials in a request's headers → credential → principal, found in the database.
import { TRPCError } from '@trpc/server'
import { sql } from 'drizzle-orm'
import type { Span, Tx } from '#db/client.ts'
import { prepared } from '#db/prepared.ts'
import { hashApiKey, isWellFormedApiKey } from './api-key.ts'
import type { Actor } from './audit.ts'
import type { Call, Credential } from './call.ts'
import { type KeyLimits, unlimited } from './key-limits.ts'
import { isRoleAtLeast, type Role } from './roles.ts'
import { noteUnknownKey } from './unknown-keys.ts'

export interface Principal extends Actor {
  kind: 'user' | 'key' | 'console'
  role: Role
  /** Where it belongs; a SuperAdmin's call may act in another tenant. */
  tenantId: string
  tenantName: string
  expiresAt: Date | null
  /** When a rotated key's overlap ends. */
  rotatesOutAt: Date | null
  /** Whether the keys of its tenant are frozen, and it is one. */
  isFrozen: boolean
  limits: KeyLimits
  /** The person that it is, or whose key it is; null for a tenant's key and the console. */
  ownerId: string | null
  /** When the person last signed in; null for what is no person. */
  authenticatedAt: Date | null
}

/** What only keys have. */
const ofNoKey = { expiresAt: null, rotatesOutAt: null, isFrozen: false, limits: unlimited }
const ofNoPerson = { authenticatedAt: null }

/** A principal that is known, and why it is let in no more. */
export class RefusedPrincipal extends Error {
  readonly principal: Principal
  readonly reason: 'revoked' | 'rotated out' | 'expired' | 'tenant deactivated' | 'deactivated'

  constructor(principal: Principal, reason: RefusedPrincipal['reason']) {
    super(`${principal.kind} ${principal.id} is refused: ${reason}`)
    this.principal = principal
    this.reason = reason
  }
}

const neededRoles = new WeakMap<Principal, Role>()

/** True when the principal has at least this role, for which its call is then known to need it: see `neededRoleOf`. */
export function holdsRole(principal: Principal, role: Role): boolean {
  if (!isRoleAtLeast(principal.role, role)) return false
  if (isRoleAtLeast(role, neededRoles.get(principal) ?? 'Public')) neededRoles.set(principal, role)
  return true
}

/** The highest role that this call has needed so far: its operation's, or above it, to grant that role for example. */
export function neededRoleOf(principal: Principal): Role | undefined {
  return neededRoles.get(principal)
}

/**
 * Reads the API key of a request from its raw headers (name, value, name, value …), since node:http joins a doubled
 * X-API-Key with a comma and drops a second Authorization. RFC 9110, section 11.6.2: the scheme has no case.
 */
export function readCredential(rawHeaders: readonly string[]): Credential {
  const keys = new Set<string>()
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]?.toLowerCase()
    const value = rawHeaders[i + 1]?.trim() ?? ''
    if (name === 'x-api-key') keys.add(value)
    else if (name === 'authorization')
      keys.add(/^(?:apikey|bearer) /i.test(value) ? value.slice(value.indexOf(' ')).trimStart() : '')
  }
  const [key, another] = keys
  if (another !== undefined) return { kind: 'conflict' }
  return key === undefined ? { kind: 'none' } : { kind: 'key', key }
}

/**
 * The same answer for every key that does not open: nobody learns whether a key ever existed. Without a stack, which is
 * most of the cost of a flood of such keys, and tells nothing here.
 */
function unknownKey(cause?: Error): TRPCError {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  const error = new TRPCError({ code: 'UNAUTHORIZED', message: 'The API key is malformed, unknown, revoked or expired.', cause })
  Error.stackTraceLimit = stackTraceLimit
  return error
}

type SingleCredential = Exclude<Credential, { kind: 'none' | 'conflict' }>

/**
 * The credential, or the refusal of what needs no database to be refused: no credential, two of them, a key whose form or
 * checksum is wrong. Returned and not thrown: a throw is the largest part of what a flood of such keys costs.
 */
export function checkCredential(call: Call): SingleCredential | TRPCError {
  const { credential, door } = call
  if (credential.kind === 'conflict') {
    return new TRPCError({
      code: 'BAD_REQUEST',
      message: 'The request carries two different credentials. Send one API key, in one header.',
    })
  }
  if (credential.kind === 'none') {
    const message = door === 'page' ? 'Sign in first.' : 'Send an API key: `X-API-Key: <key>` or `Authorization: ApiKey <key>`.'
    return new TRPCError({ code: 'UNAUTHORIZED', message })
  }
  if (credential.kind === 'key' && !isWellFormedApiKey(credential.key)) {
    noteUnknownKey(call)
    return unknownKey()
  }
  return credential
}

/** @throws TRPCError for what checkCredential refuses. */
export function requireCredential(call: Call): SingleCredential {
  const credential = checkCredential(call)
  if (credential instanceof TRPCError) throw credential
  return credential
}

/**
 * Finds the principal as the restricted role, and sets the tenant, both for `span`. For a change it holds the principal's
 * lock, shared, until the transaction ends: whoever revokes it waits for us, or we for them.
 * @throws TRPCError UNAUTHORIZED; its cause is a RefusedPrincipal when the credential is known.
 */
export async function findPrincipal(
  tx: Tx,
  span: Span,
  credential: SingleCredential,
  call: Call,
  isChange: boolean,
): Promise<Principal> {
  if (credential.kind === 'key') {
    const principal = await findKey(tx, span, credential.key, isChange)
    if (principal) return principal
    noteUnknownKey(call)
    throw unknownKey()
  }
  if (credential.kind === 'session') return findUser(tx, span, credential.sessionId, isChange)
  return findConsole(tx, span, credential.tenantId)
}

/**
 * Takes the lock on all keys of the calling key's tenant, before the look-up shares it: of several that shared it first and
 * wanted it alone then, each would wait for the others. As the login role: the look-up is what makes the role restricted.
 */
export async function lockKeysOf(tx: Tx, credential: SingleCredential): Promise<void> {
  if (credential.kind !== 'key') return
  await tx.execute(
    sql`select pg_advisory_xact_lock(mate_freeze_lock(tenant_id)) from api_keys where key_hash = ${hashApiKey(credential.key)}`,
  )
}

/** First column of each look-up: `set local role` in the same round trip. A reader's session has the role from its start. */
const restricted = {
  transaction: sql<string>`set_config('role', 'mate_app', true)`,
  session: sql<string>`current_user`,
}

function requireRestricted(role: string): void {
  if (role !== 'mate_app') throw new Error(`The statements of this call run as ${role}, and not as mate_app.`)
}

/** What the look-ups of keys and of people both answer. */
const holderColumns = (span: Span) => ({
  restricted: restricted[span],
  id: sql<string>`id`,
  name: sql<string>`name`,
  role: sql<Role>`role`,
  tenantId: sql<string>`tenant_id`,
  tenantName: sql<string>`tenant_name`,
  isTenantActive: sql<boolean>`is_tenant_active`,
})

async function findKey(tx: Tx, span: Span, key: string, isChange: boolean): Promise<Principal | undefined> {
  const query = prepared(tx, `find key ${span}`, () =>
    tx
      .select({
        ...holderColumns(span),
        expiresAt: sql<Date | string | null>`expires_at`,
        isExpired: sql<boolean>`is_expired`,
        isRevoked: sql<boolean>`is_revoked`,
        rotatesOutAt: sql<Date | string | null>`rotates_out_at`,
        isRotatedOut: sql<boolean>`is_rotated_out`,
        isFrozen: sql<boolean>`is_frozen`,
        allowedIps: sql<string[] | null>`allowed_ips`,
        requestsPerMinute: sql<number | null>`requests_per_minute`,
        scopes: sql<string[] | null>`scopes`,
        ownerId: sql<string | null>`owner_id`,
      })
      .from(sql`mate_find_key(${sql.placeholder('hash')}, ${sql.placeholder('isChange')}, ${sql.placeholder('isLocal')})`)
      .prepare('find_key'),
  )
  const [found] = await query.execute({ hash: hashApiKey(key), isChange, isLocal: span === 'transaction' })
  if (!found) return undefined
  requireRestricted(found.restricted)
  const { id, name, role, tenantId, tenantName, isFrozen, allowedIps, requestsPerMinute, scopes, ownerId } = found
  const limits = { allowedIps, requestsPerMinute, scopes }
  const ends = { expiresAt: asDate(found.expiresAt), rotatesOutAt: asDate(found.rotatesOutAt) }
  const home = { tenantId, tenantName }
  const principal: Principal = { kind: 'key', id, name, role, ...home, ...ends, isFrozen, limits, ownerId, ...ofNoPerson }
  const reason = whyEnded(found)
  if (reason) throw unknownKey(new RefusedPrincipal(principal, reason))
  return principal
}

const asDate = (instant: Date | string | null) => (instant === null ? null : new Date(instant))

interface Ends {
  isRevoked: boolean
  isRotatedOut: boolean
  isExpired: boolean
  isTenantActive: boolean
}

function whyEnded({ isRevoked, isRotatedOut, isExpired, isTenantActive }: Ends): RefusedPrincipal['reason'] | undefined {
  if (isRevoked) return 'revoked'
  if (isRotatedOut) return 'rotated out'
  if (isExpired) return 'expired'
  return isTenantActive ? undefined : 'tenant deactivated'
}

async function findUser(tx: Tx, span: Span, sessionId: string, isChange: boolean): Promise<Principal> {
  const [found] = await tx
    .select({
      ...holderColumns(span),
      isActive: sql<boolean>`is_active`,
      authenticatedAt: sql<Date | string>`authenticated_at`,
    })
    .from(sql`mate_find_user(${sessionId}::uuid, ${isChange}, ${span === 'transaction'})`)
  const signIn = (cause?: Error) => new TRPCError({ code: 'UNAUTHORIZED', message: 'Sign in first.', cause })
  if (!found) throw signIn()
  requireRestricted(found.restricted)
  const { id, name, role, tenantId, tenantName } = found
  const authenticatedAt = new Date(found.authenticatedAt)
  const principal: Principal = { kind: 'user', id, name, role, tenantId, tenantName, ...ofNoKey, ownerId: id, authenticatedAt }
  if (!found.isActive) throw signIn(new RefusedPrincipal(principal, 'deactivated'))
  if (!found.isTenantActive) throw signIn(new RefusedPrincipal(principal, 'tenant deactivated'))
  return principal
}

async function findConsole(tx: Tx, span: Span, tenantId: string): Promise<Principal> {
  const [tenant] = await actIn(tx, span, tenantId)
  if (!tenant) throw new TRPCError({ code: 'NOT_FOUND', message: 'There is no such tenant.' })
  return {
    kind: 'console',
    id: 'console',
    name: 'console',
    role: 'SuperAdmin',
    tenantId,
    tenantName: tenant.name,
    ...ofNoKey,
    ...ofNoPerson,
    ownerId: null,
  }
}

/** Becomes the restricted role in this tenant for `span`; the tenant's row, if it exists. */
export async function actIn(tx: Tx, span: Span, tenantId: string): Promise<{ id: string; name: string }[]> {
  const [now] = await tx
    .select({
      restricted: restricted[span],
      tenant: sql<string>`set_config('mate.tenant_id', ${tenantId}, ${span === 'transaction'})`,
    })
    .from(sql`(select) as once`)
  requireRestricted(now?.restricted ?? '')
  return tx.select({ id: sql<string>`id`, name: sql<string>`name` }).from(sql`tenants`).where(sql`id = ${tenantId}`)
}

/**
 * Finds a key that nobody calls with, alive or not, as the restricted role; sets the transaction's tenant to the key's.
 * @param tx the first statement of its transaction.
 */
export async function findReportedKey(tx: Tx, key: string): Promise<{ id: string; tenantId: string } | undefined> {
  const [found] = await tx
    .select({ restricted: restricted.transaction, id: sql<string>`id`, tenantId: sql<string>`tenant_id` })
    .from(sql`mate_find_key(${hashApiKey(key)}, false, true)`)
  if (found) requireRestricted(found.restricted)
  return found && { id: found.id, tenantId: found.tenantId }
}
