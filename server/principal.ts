// Who is calling: credentials in a request's headers → credential → principal, found in the database.
import { TRPCError } from '@trpc/server'
import { sql } from 'drizzle-orm'
import type { Span, Tx } from '#db/client.ts'
import { prepared } from '#db/prepared.ts'
import { hashApiKey, isWellFormedApiKey } from './api-key.ts'
import type { Actor } from './audit.ts'
import type { Call, Credential } from './call.ts'
import type { Role } from './roles.ts'
import { noteUnknownKey } from './unknown-keys.ts'

export interface Principal extends Actor {
  kind: 'user' | 'key' | 'console'
  role: Role
  /** Where it belongs; a SuperAdmin's call may act in another tenant. */
  tenantId: string
  tenantName: string
  expiresAt: Date | null
}

/** A principal that is known, and why it is let in no more. */
export class RefusedPrincipal extends Error {
  readonly principal: Principal
  readonly reason: 'revoked' | 'expired' | 'tenant deactivated' | 'deactivated'

  constructor(principal: Principal, reason: RefusedPrincipal['reason']) {
    super(`${principal.kind} ${principal.id} is refused: ${reason}`)
    this.principal = principal
    this.reason = reason
  }
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
    else if (name === 'authorization') keys.add(/^(?:apikey|bearer) +(.*)$/i.exec(value)?.[1] ?? '')
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

/** Refuses what needs no database to be refused: no credential, two of them, a key whose form or checksum is wrong. */
export function requireCredential(call: Call): Exclude<Credential, { kind: 'none' | 'conflict' }> {
  const { credential, door } = call
  if (credential.kind === 'conflict') {
    throw new TRPCError({
      code: 'BAD_REQUEST',
      message: 'The request carries two different credentials. Send one API key, in one header.',
    })
  }
  if (credential.kind === 'none') {
    const message = door === 'page' ? 'Sign in first.' : 'Send an API key: `X-API-Key: <key>` or `Authorization: ApiKey <key>`.'
    throw new TRPCError({ code: 'UNAUTHORIZED', message })
  }
  if (credential.kind === 'key' && !isWellFormedApiKey(credential.key)) {
    noteUnknownKey(call)
    throw unknownKey()
  }
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
  credential: ReturnType<typeof requireCredential>,
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
      })
      .from(sql`mate_find_key(${sql.placeholder('hash')}, ${sql.placeholder('isChange')}, ${sql.placeholder('isLocal')})`)
      .prepare('find_key'),
  )
  const [found] = await query.execute({ hash: hashApiKey(key), isChange, isLocal: span === 'transaction' })
  if (!found) return undefined
  requireRestricted(found.restricted)
  const { id, name, role, tenantId, tenantName } = found
  const expiresAt = found.expiresAt === null ? null : new Date(found.expiresAt)
  const principal: Principal = { kind: 'key', id, name, role, tenantId, tenantName, expiresAt }
  const reason = found.isRevoked
    ? 'revoked'
    : found.isExpired
      ? 'expired'
      : found.isTenantActive
        ? undefined
        : 'tenant deactivated'
  if (reason) throw unknownKey(new RefusedPrincipal(principal, reason))
  return principal
}

async function findUser(tx: Tx, span: Span, sessionId: string, isChange: boolean): Promise<Principal> {
  const [found] = await tx
    .select({ ...holderColumns(span), isActive: sql<boolean>`is_active` })
    .from(sql`mate_find_user(${sessionId}::uuid, ${isChange}, ${span === 'transaction'})`)
  const signIn = (cause?: Error) => new TRPCError({ code: 'UNAUTHORIZED', message: 'Sign in first.', cause })
  if (!found) throw signIn()
  requireRestricted(found.restricted)
  const { id, name, role, tenantId, tenantName } = found
  const principal: Principal = { kind: 'user', id, name, role, tenantId, tenantName, expiresAt: null }
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
    expiresAt: null,
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
