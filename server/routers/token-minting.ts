// The key that a trust rule gives out for a token: made in one transaction, under the locks of what may end it.
import { sql } from 'drizzle-orm'
import type { Tx } from '#db/client.ts'
import { apiKeys, trustRules } from '#db/schema.ts'
import { generateApiKey } from '../api-key.ts'
import { writeAudit, writeFoldedAudit } from '../audit.ts'
import type { Call } from '../call.ts'
import { withRetries } from '../gate.ts'
import type { IdToken } from '../id-token.ts'
import { actIn } from '../principal.ts'
import { requireQuota } from '../quotas.ts'
import type { Role } from '../roles.ts'
import { getRuntime } from '../runtime.ts'
import { type Claims, mismatchesOf, textOfClaim } from '../trust-conditions.ts'
import { columns, entityOf as entityOfKey, limitsSet, now, requireFreeName, toApiKey } from './api-key-records.ts'
import { entityOf, getTrustRule, isTrustRule } from './trust-rule-records.ts'

export interface CiKey {
  id: string
  key: string
  /** RFC 3339, UTC. */
  expiresAt: string
  role: Role
  ruleId: string
  tenant: { id: string; name: string }
}

/** A token that a rule took a moment before, and for which there is no key all the same. */
export class MintRefusal extends Error {
  /** For the audit log of the tenant; without it there is nothing to say there. */
  readonly reason: string | undefined
  /** For whoever sent the token; without it the answer is that no rule takes it. */
  readonly answer: string | undefined

  constructor({ reason, answer }: { reason?: string; answer?: string } = {}) {
    super('no key is made')
    this.reason = reason
    this.answer = answer
  }
}

const usedBefore = 'This token was used before, and each is good once. Ask the CI provider for a new one.'
const isFrozen = 'The API keys of this tenant are frozen. An admin can unfreeze them in mate, on the API Keys page.'

/**
 * Makes the key and its audit entry, and uses the token up, or does nothing of it.
 * @throws MintRefusal
 */
export async function mintKey(ruleId: string, token: IdToken, claims: Claims, call: Call): Promise<CiKey> {
  return withRetries(() =>
    getRuntime().database.transaction(async (tx) => {
      await tx.execute(sql`select set_config('role', 'mate_app', true)`)
      const { tenant, role } = await holdRule(tx, ruleId)
      // As it is now: it may have been changed since the token was held against it.
      const rule = await getTrustRule(tx, tenant.id, ruleId)
      const isMeant = rule.issuer === token.issuer && token.audiences.includes(rule.audience)
      if (!rule.isActive || !isMeant || mismatchesOf(rule.conditions, claims).length > 0) throw new MintRefusal()
      await useUp(tx, token)
      const name = nameFor(claims, token)
      await requireFreeName(tx, name)
      await requireQuota(tx, tenant.id, 'maxApiKeys')
      const { key, hash, prefix } = generateApiKey()
      const { allowedIps, requestsPerMinute, scopes } = rule
      const limits = { allowedIps, requestsPerMinute, scopes }
      const [row] = await tx
        .insert(apiKeys)
        .values({
          tenantId: tenant.id,
          name,
          prefix,
          keyHash: hash,
          role,
          expiresAt: sql`${now} + make_interval(mins => ${rule.lifetimeMinutes})`,
          ...limits,
          trustRuleId: rule.id,
          createdByKind: 'trust_rule',
          createdById: rule.id,
          createdByName: rule.name,
          // What it makes in its minutes is its owner's too, and ends with them.
          ownerId: rule.ownerId,
        })
        .returning(columns)
      if (!row) throw new Error('the insert returned no row')
      const made = toApiKey(row)
      const expiresAt = made.expiresAt ?? ''
      await tx.update(trustRules).set({ lastUsedAt: now }).where(isTrustRule(tenant.id, rule.id))
      const after = { name, prefix, role, expiresAt, ...limitsSet(limits), claims: recordOf(claims) }
      const actor = { kind: 'trust_rule', id: rule.id, name: rule.name, role } as const
      const entry = { tenantId: tenant.id, actor, action: 'api_key.created', outcome: 'success', origin: call } as const
      await writeAudit(tx, { ...entry, entity: entityOfKey(made), after })
      return { id: made.id, key, expiresAt, role, ruleId: rule.id, tenant }
    }),
  )
}

/** Holds the rule and its tenant's keys until the transaction ends: what ends either waits for us, or we for them. */
async function holdRule(tx: Tx, ruleId: string): Promise<{ tenant: { id: string; name: string }; role: Role }> {
  const [held] = await tx
    .select({
      id: sql<string>`tenant_id`,
      name: sql<string>`tenant_name`,
      isTenantActive: sql<boolean>`is_tenant_active`,
      isFrozen: sql<boolean>`is_frozen`,
      role: sql<Role | null>`granted_role`,
    })
    .from(sql`mate_hold_trust_rule(${ruleId}::uuid)`)
  if (!held?.isTenantActive) throw new MintRefusal()
  if (held.isFrozen) throw new MintRefusal({ reason: 'The keys of the tenant are frozen.', answer: isFrozen })
  if (!held.role) throw new MintRefusal({ reason: 'The owner of the rule may make no keys any more. An admin can save it anew.' })
  return { tenant: { id: held.id, name: held.name }, role: held.role }
}

async function useUp(tx: Tx, { hash, goodUntil }: IdToken): Promise<void> {
  const [used] = await tx
    .select({ isFirst: sql<boolean>`mate_use_token(${hash}, ${goodUntil.toISOString()}::timestamptz)` })
    .from(sql`(select) as once`)
  if (!used?.isFirst) throw new MintRefusal({ reason: 'The token was used before.', answer: usedBefore })
}

/** `ci: acme/app@main #4711 (1f3a9c)`: which run of which pipeline. The hash tells the jobs of one run apart. */
function nameFor(claims: Claims, { hash }: IdToken): string {
  const claim = (...names: string[]) => names.map((name) => textOfClaim(claims, name)).find((value) => value !== undefined)
  const ref = claim('ref')?.replace(/^refs\/(heads|tags)\//, '')
  const run = claim('run_id', 'pipeline_id')
  const tail = `${run === undefined ? '' : ` #${plainText(run, 20)}`} (${Buffer.from(hash).toString('hex', 0, 3)})`
  const head = `ci: ${claim('repository', 'project_path', 'sub') ?? 'unknown'}${ref === undefined ? '' : `@${ref}`}`
  return `${plainText(head, 100 - tail.length)}${tail}`
}

const recordedClaims = [
  ...['repository', 'project_path', 'sub', 'ref', 'environment', 'sha', 'workflow', 'event_name', 'pipeline_source'],
  ...['run_id', 'run_attempt', 'pipeline_id', 'job_id', 'actor', 'user_login'],
]

function recordOf(claims: Claims): Record<string, string> {
  return Object.fromEntries(
    recordedClaims.flatMap((name) => {
      const value = textOfClaim(claims, name)
      return value === undefined ? [] : [[name, plainText(value, 200)]]
    }),
  )
}

/** What an issuer wrote, as one line of at most so many characters: the issuer is one that a tenant chose. */
export function plainText(text: string, max: number): string {
  const line = text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '').trim()
  return (line.length > max ? `${line.slice(0, max - 1)}…` : line).toWellFormed()
}

/** One entry a rule, kind of reason and minute, with a count: a token that is used twice is not lost among wrong branches. */
export async function recordTokenRefusal(
  rule: { id: string; tenantId: string; name: string },
  kind: 'claims' | 'use',
  reason: string,
  call: Call,
): Promise<void> {
  const { id, tenantId, name } = rule
  const foldKey = `trust_rule:${id}:${kind}:${Math.floor(Date.now() / 60_000)}`
  const actor = { kind: 'trust_rule', id, name, role: null } as const
  const entry = { tenantId, actor, action: 'token.refused', entity: entityOf(rule), outcome: 'refused', origin: call } as const
  await getRuntime().database.transaction(async (tx) => {
    await actIn(tx, 'transaction', tenantId)
    await writeFoldedAudit(tx, { ...entry, reason, operation: 'tokens.exchange' }, foldKey, 1)
  })
}
