// The records of trust rules: their shape outside, their columns inside, and how the keys that they gave out end with them.
import { isDeepStrictEqual } from 'node:util'
import { TRPCError } from '@trpc/server'
import { and, eq, gt, inArray, isNull, or, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { apiKeys, runs, trustRules, users } from '#db/schema.ts'
import type { Change } from '../audit.ts'
import { Id, Instant, line } from '../input.ts'
import { faultOfIssuer } from '../issuer-keys.ts'
import { excessOver, KeyLimitsInput } from '../key-limits.ts'
import { holdsRole, type Principal } from '../principal.ts'
import { badField } from '../problem.ts'
import { isRoleAtLeast, Role } from '../roles.ts'
import { Conditions, requireNarrow } from '../trust-conditions.ts'
import { columns as keyColumns, limitsSet, lockPrincipals, now, revokedBy } from './api-key-records.ts'

const maxLifetimeMinutes = 15

export const TrustRuleInput = {
  name: line(100).describe('Unique in the tenant, whatever its case.'),
  issuer: line(500).describe(
    'Exactly as `iss` in the tokens: `https://token.actions.githubusercontent.com`, `https://gitlab.com`.',
  ),
  audience: line(500).describe(
    'Exactly as `aud` in the tokens; best the address of this deployment, which the pipeline asks for.',
  ),
  conditions: Conditions,
  role: Role.describe('Of the keys; never above one’s own.'),
  ...KeyLimitsInput,
  lifetimeMinutes: z.number().int().min(1).max(maxLifetimeMinutes).default(maxLifetimeMinutes).describe('How long a key lives.'),
  isActive: z.boolean().default(true),
}

export const TrustRule = z
  .object({
    id: Id.describe('Name it as `ruleId` when a token is exchanged.'),
    name: z.string(),
    issuer: z.string(),
    audience: z.string(),
    conditions: z.record(z.string(), z.array(z.string())),
    role: Role,
    allowedIps: z.array(z.string()).nullable(),
    requestsPerMinute: z.number().int().nullable(),
    scopes: z.array(z.string()).nullable(),
    lifetimeMinutes: z.number().int(),
    isActive: z.boolean(),
    createdBy: z.object({ kind: z.enum(['user', 'key', 'console']), id: z.string(), name: z.string() }),
    ownerId: Id.nullable().describe('The person who saved it last, or whose key did: it grants no more than they have.'),
    createdAt: Instant,
    updatedAt: Instant,
    lastUsedAt: Instant.nullable().describe('When it last gave out a key.'),
  })
  .meta({ id: 'TrustRule' })
export type TrustRule = z.infer<typeof TrustRule>

export const columns = {
  id: trustRules.id,
  name: trustRules.name,
  issuer: trustRules.issuer,
  audience: trustRules.audience,
  conditions: trustRules.conditions,
  role: trustRules.role,
  allowedIps: trustRules.allowedIps,
  requestsPerMinute: trustRules.requestsPerMinute,
  scopes: trustRules.scopes,
  lifetimeMinutes: trustRules.lifetimeMinutes,
  isActive: trustRules.isActive,
  createdByKind: trustRules.createdByKind,
  createdById: trustRules.createdById,
  createdByName: trustRules.createdByName,
  ownerId: trustRules.ownerId,
  createdAt: trustRules.createdAt,
  updatedAt: trustRules.updatedAt,
  lastUsedAt: trustRules.lastUsedAt,
}
type Row = Pick<typeof trustRules.$inferSelect, keyof typeof columns>

export function toTrustRule({ createdByKind, createdById, createdByName, ...row }: Row): TrustRule {
  return {
    ...row,
    createdBy: { kind: createdByKind, id: createdById, name: createdByName },
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
    lastUsedAt: row.lastUsedAt?.toISOString() ?? null,
  }
}

export const entityOf = ({ id, name }: Pick<TrustRule, 'id' | 'name'>) => ({ type: 'trust_rule', id, name }) as const

/** What an audit entry says of a rule. */
export function fieldsOf(rule: TrustRule) {
  const { name, issuer, audience, conditions, role, allowedIps, requestsPerMinute, scopes, lifetimeMinutes, isActive } = rule
  const limits = limitsSet({ allowedIps, requestsPerMinute, scopes })
  return { name, issuer, audience, conditions, role, ...limits, lifetimeMinutes, isActive }
}

export const isTrustRule = (tenantId: string, id: string) => and(eq(trustRules.tenantId, tenantId), eq(trustRules.id, id))

/** @throws TRPCError NOT_FOUND, for another tenant's rule too. */
export async function getTrustRule(tx: Tx, tenantId: string, id: string, forUpdate = false): Promise<TrustRule> {
  const query = tx.select(columns).from(trustRules).where(isTrustRule(tenantId, id))
  const [row] = await (forUpdate ? query.for('update') : query)
  if (!row) throw new TRPCError({ code: 'NOT_FOUND', message: 'There is no trust rule with this id.' })
  return toTrustRule(row)
}

/** @throws TRPCError BAD_REQUEST for an issuer that can't be asked for its keys, and for conditions that trust strangers. */
export function requireTrustworthy({ issuer, conditions }: Pick<TrustRule, 'issuer' | 'conditions'>): void {
  const fault = faultOfIssuer(issuer)
  if (fault) throw badField('issuer', fault)
  requireNarrow(issuer, conditions)
}

export function requireMayChangeRule(principal: Principal, { role }: TrustRule): void {
  if (holdsRole(principal, role)) return
  const message = `The trust rule grants the role ${role}, above this ${principal.kind}’s own, ${principal.role}. Ask a ${role}.`
  throw new TRPCError({ code: 'FORBIDDEN', message })
}

const most = 100

export async function requireRoom(tx: Tx, tenantId: string): Promise<void> {
  if ((await tx.$count(trustRules, eq(trustRules.tenantId, tenantId))) < most) return
  throw badField('name', `There are ${most} trust rules already, the most that a tenant may have. Delete one first.`)
}

/** Whether keys that were given out before may do what none would be given out for now. */
export function isNarrowed(before: TrustRule, after: TrustRule): boolean {
  const sourceOf = ({ issuer, audience, conditions }: TrustRule) => ({ issuer, audience, conditions })
  return (
    !after.isActive ||
    // Any change of what is trusted: whether a pattern is narrower than another is not guessed at.
    !isDeepStrictEqual(sourceOf(after), sourceOf(before)) ||
    !isRoleAtLeast(after.role, before.role) ||
    excessOver(before, after).length > 0 ||
    after.lifetimeMinutes < before.lifetimeMinutes
  )
}

type Ender = Pick<Principal, 'id' | 'name'>

/** Not only what lives: what asked for something right before it expired, or for a run that still goes on. */
const mayStillCommit = or(
  gt(apiKeys.expiresAt, sql`${now} - interval '1 minute'`),
  sql`exists (select from ${runs} r where r.tenant_id = ${apiKeys.tenantId} and r.requested_by_id = ${apiKeys.id}::text
    and r.status in ('pending', 'running'))`,
)

/**
 * Ends every key that the rules gave out, once the rules' own locks are held (`lockPrincipals` with their ids): what the keys
 * have under way is waited for, and no new ones come until this transaction ends.
 * @returns what the audit log is to say of each key.
 */
export async function endKeysOf(tx: Tx, ruleIds: string[], by: Ender, reason: string): Promise<Change[]> {
  if (ruleIds.length === 0) return []
  const isTheirs = and(inArray(apiKeys.trustRuleId, ruleIds), isNull(apiKeys.revokedAt))
  const keys = await tx.select({ id: apiKeys.id }).from(apiKeys).where(and(isTheirs, mayStillCommit))
  const ids = keys.map(({ id }) => id)
  if (ids.length === 0) return []
  await lockPrincipals(tx, ...ids)
  const ended = await tx
    .update(apiKeys)
    .set(revokedBy(by, reason))
    .where(and(isTheirs, inArray(apiKeys.id, ids)))
    .returning({ id: apiKeys.id, name: apiKeys.name, isExpired: keyColumns.isExpired })
  return ended.map(({ id, name, isExpired }) => ({
    action: 'api_key.revoked',
    entity: { type: 'api_key', id, name },
    before: { status: isExpired ? 'expired' : 'active' },
    after: { status: 'revoked' },
    reason,
  }))
}

/**
 * Deactivates, in the transaction's tenant, the trust rules of a person that they could not have made with `newRole`, and ends
 * the keys that these gave out. Null for a person who leaves: all of them. To call in the transaction of the demotion, in each
 * tenant that mate_tenants_of_owner names.
 * @returns what the audit log is to say of each rule and each key.
 */
export async function endRulesOf(tx: Tx, ownerId: string, newRole: Role | null, by: Ender): Promise<Change[]> {
  // Row-level security shows the people of this tenant alone: a SuperAdmin of another one is not among them.
  const isHome = sql<boolean>`exists (select from ${users} u where u.id = ${trustRules}.owner_id)`
  const active = await tx
    .select({ id: trustRules.id, name: trustRules.name, role: trustRules.role, isHome })
    .from(trustRules)
    .where(and(eq(trustRules.ownerId, ownerId), trustRules.isActive))
  const mayKeep = (rule: { role: Role; isHome: boolean }) =>
    newRole !== null && isRoleAtLeast(newRole, rule.isHome ? 'TenantAdmin' : 'SuperAdmin') && isRoleAtLeast(newRole, rule.role)
  const ended = active.filter((rule) => !mayKeep(rule))
  const ids = ended.map(({ id }) => id)
  if (ids.length === 0) return []
  await lockPrincipals(tx, ...ids)
  await tx.update(trustRules).set({ isActive: false, updatedAt: sql`clock_timestamp()` }).where(inArray(trustRules.id, ids))
  const reason = newRole === null ? 'Its owner left.' : `Its owner is ${newRole} now.`
  const rules = ended.map((rule) => ({
    action: 'trust_rule.updated',
    entity: entityOf(rule),
    before: { isActive: true },
    after: { isActive: false },
    reason,
  }))
  return [...rules, ...(await endKeysOf(tx, ids, by, 'The owner of its trust rule may make no such keys any more.'))]
}
