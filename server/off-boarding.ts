// What becomes of a person's keys, sessions and invitations when they lose a role, or leave: in one transaction, under the
// lock of a revoke. Once it has answered, nothing that they or their keys asked for can commit. See docs/decisions/0025.
import { createHash } from 'node:crypto'
import { TRPCError } from '@trpc/server'
import { and, asc, eq, inArray, ne, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { apiKeys, invitations, sessions } from '#db/schema.ts'
import type { AuditRecorder } from './audit.ts'
import { Id, Instant, line } from './input.ts'
import { actIn, type Principal } from './principal.ts'
import { badField } from './problem.ts'
import { isRoleAtLeast, Role, roles } from './roles.ts'
import { type ApiKey, columns, entityOf, lockPrincipals, revokedBy, statusIs, toApiKey } from './routers/api-key-records.ts'
import { endRulesOf } from './routers/trust-rule-records.ts'
import { getUser, type User } from './routers/user-records.ts'

export const Fate = z.enum(['revoke', 'lower', 'keep', 'transfer'])
export type Fate = z.infer<typeof Fate>

const fates =
  '`revoke` ends a key; `lower` gives it the person’s new role; `keep` makes it the tenant’s own, as it is; `transfer` makes it another admin’s, see `transferTo`.'

/** What an admin chooses for the keys of a person. */
export const FateInput = {
  keys: Fate.optional().describe(
    `What becomes of the person’s keys: ${fates} When left out: \`lower\` for a new role, \`revoke\` for a person who leaves.`,
  ),
  choices: z
    .array(z.strictObject({ id: Id, fate: Fate }))
    .max(1_000)
    .optional()
    .describe('Another choice for single keys.'),
  transferTo: Id.optional().describe(
    'Who gets the keys that are transferred: an active admin of the tenant, not below the keys’ roles.',
  ),
  digest: z
    .string()
    .max(100)
    .optional()
    .describe('As the preview answered it: when the person’s keys are others by now, it is 409 and nothing changes.'),
  reason: line(500, 0).optional().describe('Why, for the audit log.'),
}
export type FateChoice = z.infer<z.ZodObject<typeof FateInput>>

export const OwnedKey = z.object({ id: Id, name: z.string(), prefix: z.string(), role: Role, lastUsedAt: Instant.nullable() })

export const SettledKey = z.object({ id: Id, name: z.string(), fate: Fate })

/**
 * The active keys of a person in this tenant that their new role ends; `next` is null when they leave. Those that a trust rule
 * gave out for minutes are not among them: they end with the rule.
 */
export async function affectedKeys(tx: Tx, tenantId: string, userId: string, next: Role | null): Promise<ApiKey[]> {
  const above = roles.filter((role) => next === null || !isRoleAtLeast(next, role))
  if (above.length === 0) return []
  const rows = await tx
    .select(columns)
    .from(apiKeys)
    .where(
      and(
        ...[eq(apiKeys.tenantId, tenantId), eq(apiKeys.ownerId, userId), inArray(apiKeys.role, above)],
        ...[ne(apiKeys.createdByKind, 'trust_rule'), statusIs.active],
      ),
    )
    .orderBy(asc(apiKeys.createdAt), asc(apiKeys.id))
  return rows.map(toApiKey)
}

export function digestOf(keys: ApiKey[]): string {
  const lines = keys.map(({ id, role }) => `${id} ${role}`).sort()
  return createHash('sha256').update(lines.join()).digest('base64url')
}

interface Leaving {
  /** As the restricted role, in `tenant`. */
  tx: Tx
  /** Who ends the rights. */
  by: Pick<Principal, 'id' | 'name'>
  /** Throws for a key that they may not touch. */
  requireMayChange(key: ApiKey): void
  tenant: { id: string }
  audit: AuditRecorder
}

/**
 * Ends what a person may not have any more: with the role `next`, or with none at all. Their sessions end in any case.
 * @returns what became of each key of the tenant. @throws TRPCError BAD_REQUEST, FORBIDDEN or CONFLICT.
 */
export async function endRights(context: Leaving, user: User, next: Role | null, choice: FateChoice) {
  const { tx, tenant, audit } = context
  // Every change of theirs and of their keys holds their lock: none is under way from here on, and none can make a key.
  await lockPrincipals(tx, ...new Set([user.id, choice.transferTo ?? user.id]))
  const others = await tenantsElsewhere(tx, tenant.id, user.id)
  const keys = await affectedKeys(tx, tenant.id, user.id, next)
  if (choice.digest !== undefined && choice.digest !== digestOf(keys)) {
    const message =
      'The keys are others than in the preview, so nothing was changed. Look at them again, and send the new digest.'
    throw new TRPCError({ code: 'CONFLICT', message })
  }
  const settled = await settleKeys(context, keys, next, choice)
  await endRules(context, tenant.id, user, next)
  // What stands in another tenant is a SuperAdmin's alone.
  if (next !== 'SuperAdmin')
    for (const other of others) await endElsewhere(context, user, other, next, choice.reason || noSuperAdmin(user))
  await tx.delete(sessions).where(eq(sessions.userId, user.id))
  const above = roles.filter((role) => next === null || !isRoleAtLeast(next, role))
  const gone = await tx
    .delete(invitations)
    .where(and(eq(invitations.tenantId, tenant.id), eq(invitations.ownerId, user.id), inArray(invitations.role, above)))
    .returning({ id: invitations.id, email: invitations.email, role: invitations.role })
  for (const { id, email, role } of gone) {
    audit.record({ action: 'invitation.revoked', entity: { type: 'invitation', id, name: email }, before: { email, role } })
  }
  return settled
}

async function tenantsElsewhere(tx: Tx, homeId: string, userId: string): Promise<string[]> {
  const rows = await tx.select({ id: sql<string>`id` }).from(sql`mate_tenants_of_owner(${userId}::uuid) as id`)
  return rows.map(({ id }) => id).filter((id) => id !== homeId)
}

async function settleKeys(
  { tx, by, requireMayChange, tenant, audit }: Leaving,
  keys: ApiKey[],
  next: Role | null,
  choice: FateChoice,
) {
  const single = new Map(choice.choices?.map(({ id, fate }) => [id, fate]))
  for (const id of single.keys()) {
    if (!keys.some((key) => key.id === id)) throw badField('choices', `${id} is none of the keys that this ends.`)
  }
  const general = choice.keys ?? (next === null ? 'revoke' : 'lower')
  const settled = keys.map((key) => ({ key, fate: single.get(key.id) ?? general }))
  const heir = settled.some(({ fate }) => fate === 'transfer') ? await findHeir(tx, tenant.id, choice.transferTo) : undefined
  for (const { key, fate } of settled) {
    requireMayChange(key)
    const entity = entityOf(key)
    const why = choice.reason ? { reason: choice.reason } : {}
    const isKey = and(eq(apiKeys.tenantId, tenant.id), eq(apiKeys.id, key.id))
    if (fate === 'revoke') {
      await tx.update(apiKeys).set(revokedBy(by, choice.reason)).where(isKey)
      audit.record({ action: 'api_key.revoked', entity, before: { status: 'active' }, after: { status: 'revoked' }, ...why })
    } else if (fate === 'lower') {
      if (next === null) throw badField('keys', 'A person who leaves has no role to lower a key to: revoke, keep or transfer it.')
      await tx.select({ lowered: sql`mate_clamp_key_role(${key.id}::uuid, ${next})` }).from(sql`(select) as once`)
      audit.record({ action: 'api_key.role_lowered', entity, before: { role: key.role }, after: { role: next }, ...why })
    } else if (fate === 'keep') {
      await tx.update(apiKeys).set({ ownerId: null }).where(isKey)
      audit.record({ action: 'api_key.kept', entity, before: { owner: key.owner }, after: { owner: null }, ...why })
    } else if (heir) {
      if (!isRoleAtLeast(heir.role, key.role)) {
        throw badField('transferTo', `${heir.name} is ${heir.role}, below the key “${key.name}”, which has ${key.role}.`)
      }
      await tx.update(apiKeys).set({ ownerId: heir.id }).where(isKey)
      const owner = { id: heir.id, name: heir.name }
      audit.record({ action: 'api_key.transferred', entity, before: { owner: key.owner }, after: { owner }, ...why })
    }
  }
  return settled.map(({ key: { id, name }, fate }) => ({ id, name, fate }))
}

async function findHeir(tx: Tx, tenantId: string, id: string | undefined): Promise<User> {
  if (id === undefined) throw badField('transferTo', 'Is required: who gets the keys?')
  const heir = await getUser(tx, tenantId, id).catch(() => undefined)
  if (heir?.isActive && isRoleAtLeast(heir.role, 'TenantAdmin')) return heir
  throw badField('transferTo', 'Must be an active admin of this tenant.')
}

/** Trust rules that they could not make any more, and the keys that these gave out. */
async function endRules({ tx, by, audit }: Leaving, tenantId: string, user: User, next: Role | null): Promise<void> {
  for (const change of await endRulesOf(tx, user.id, next, by)) audit.record({ ...change, tenantId })
}

const noSuperAdmin = ({ name }: User) => `${name} is no SuperAdmin any more.`

async function endElsewhere(context: Leaving, user: User, tenantId: string, next: Role | null, reason: string): Promise<void> {
  const { tx, by, tenant, audit } = context
  await actIn(tx, 'transaction', tenantId)
  await endRules(context, tenantId, user, next)
  const keys = await affectedKeys(tx, tenantId, user.id, null)
  if (keys.length > 0) {
    const ids = keys.map(({ id }) => id)
    await tx
      .update(apiKeys)
      .set(revokedBy(by, reason))
      .where(and(eq(apiKeys.tenantId, tenantId), inArray(apiKeys.id, ids)))
  }
  await actIn(tx, 'transaction', tenant.id)
  const change = { tenantId, action: 'api_key.revoked', before: { status: 'active' }, after: { status: 'revoked' }, reason }
  for (const key of keys) audit.record({ ...change, entity: entityOf(key) })
}
