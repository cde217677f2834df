// A CI provider's token for a key of a few minutes, by a trust rule: nothing that a pipeline would have to store.
import { TRPCError } from '@trpc/server'
import { sql } from 'drizzle-orm'
import { z } from 'zod'
import type { TrustConditions } from '#db/schema.ts'
import type { Call } from '../call.ts'
import { type IdToken, readIdToken, TokenFault, verifyIdToken } from '../id-token.ts'
import { Id, Instant } from '../input.ts'
import { NoIssuerKeys } from '../issuer-keys.ts'
import { log } from '../log.ts'
import { FieldErrors } from '../problem.ts'
import { limitedProcedure } from '../public-gate.ts'
import { Role } from '../roles.ts'
import { getRuntime } from '../runtime.ts'
import { t } from '../trpc.ts'
import { type Claims, isKnownPipeline, mismatchesOf, textOfClaim } from '../trust-conditions.ts'
import { type CiKey, MintRefusal, mintKey, plainText, recordTokenRefusal } from './token-minting.ts'

const NewCiKey = z
  .object({
    id: Id,
    key: z.string().describe('The whole key. It is not shown again.'),
    expiresAt: Instant,
    role: Role,
    ruleId: Id,
    tenant: z.object({ id: Id, name: z.string() }),
  })
  .meta({ id: 'NewCiKey' })

export const tokensRouter = t.router({
  exchange: limitedProcedure
    .meta({
      role: 'Public',
      limit: 'MATE_TOKEN_EXCHANGES',
      audit: 'api_key.created',
      openapi: {
        method: 'POST',
        path: '/token',
        conflicts: true,
        summary: 'Exchange a CI token for a key',
        description:
          'For a pipeline, with the ID token (OpenID Connect) that its CI provider gave it; no credential is needed. Answers a key with the role and the limits of the trust rule that takes the token, for at most 15 minutes. A token is good once. 409 says that several rules take it: name one.',
        tags: ['tokens'],
        status: 201,
        location: '/admin/api-keys/{id}',
      },
    })
    .input(
      z.strictObject({
        token: z.string().max(16_000).describe('The JSON Web Token, as the CI provider issued it.'),
        ruleId: Id.optional().describe(
          'The trust rule that is meant. Best always named: then no other tenant’s rule can take it.',
        ),
      }),
    )
    .output(NewCiKey)
    .mutation(({ ctx: call, input }) => exchange(call, input.token.trim(), input.ruleId)),
})

/** RFC 8693, section 2.2.2: whatever is wrong with the token is a 400. */
function refused(message: string): TRPCError {
  return new TRPCError({ code: 'BAD_REQUEST', message, cause: new FieldErrors([{ path: 'token', message }]) })
}

async function exchange(call: Call, text: string, ruleId: string | undefined): Promise<CiKey> {
  const token = read(text)
  const rules = await findRules(token, ruleId)
  // Only the issuer of a rule is ever asked for its keys, and the answer is the same for any other.
  const claims = rules.length > 0 ? await verify(token) : undefined
  if (!claims) throw refused(notTaken(token))
  const [rule, another] = rules.filter(({ conditions }) => mismatchesOf(conditions, claims).length === 0)
  if (another) {
    const message = 'More than one trust rule takes this token. Name the one that is meant as ruleId: its page shows its id.'
    throw new TRPCError({ code: 'CONFLICT', message, cause: new FieldErrors([{ path: 'ruleId', message }]) })
  }
  if (!rule) {
    // Not in the log of every tenant that trusts the issuer: only where the pipeline is known, or the rule was named.
    const concerned = rules.filter(({ id, conditions }) => id === ruleId || isKnownPipeline(conditions, claims))
    for (const each of concerned) await recordTokenRefusal(each, 'claims', whatDiffers(each.conditions, claims), call)
    throw refused(notTaken(token))
  }
  try {
    return await mintKey(rule.id, token, claims, call)
  } catch (error) {
    if (!(error instanceof MintRefusal)) throw error
    if (error.reason) await recordTokenRefusal(rule, 'use', error.reason, call)
    throw refused(error.answer ?? notTaken(token))
  }
}

function read(text: string): IdToken {
  try {
    return readIdToken(text)
  } catch (error) {
    throw error instanceof TokenFault ? refused(error.message) : error
  }
}

async function verify(token: IdToken): Promise<Claims | undefined> {
  try {
    return await verifyIdToken(token)
  } catch (cause) {
    if (!(cause instanceof NoIssuerKeys)) throw cause
    log('warn', 'the keys of a token issuer can’t be fetched', { reason: cause.message })
    const message = 'The public keys of the token’s issuer can’t be fetched at this moment. Try again in a moment.'
    // Without its cause: a refused connection would be taken for the database's.
    throw new TRPCError({ code: 'SERVICE_UNAVAILABLE', message })
  }
}

interface CandidateRule {
  id: string
  tenantId: string
  name: string
  conditions: TrustConditions
}

/** The active rules of this issuer and one of these audiences, of all tenants. */
function findRules({ issuer, audiences }: IdToken, ruleId: string | undefined): Promise<CandidateRule[]> {
  const wanted = sql`array(select jsonb_array_elements_text(${JSON.stringify(audiences)}::text::jsonb))`
  return getRuntime().database.transaction(async (tx) => {
    await tx.execute(sql`select set_config('role', 'mate_app', true)`)
    return tx
      .select({
        id: sql<string>`id`,
        tenantId: sql<string>`tenant_id`,
        name: sql<string>`name`,
        conditions: sql<TrustConditions>`conditions`,
      })
      .from(sql`mate_find_trust_rules(${issuer}, ${wanted}, ${ruleId ?? null}::uuid)`)
  })
}

const saidClaims = ['repository', 'project_path', 'ref', 'environment']

/**
 * The same for an issuer that nobody trusts, a signature that is wrong, conditions that are not met and a rule that is not
 * there: nobody learns which rules there are. What the token says is what its sender knows.
 */
function notTaken({ issuer, audiences, claims }: IdToken): string {
  const said = saidClaims.flatMap((name) => {
    const value = textOfClaim(claims, name)
    return value === undefined ? [] : [`${name} “${plainText(value, 100)}”`]
  })
  const all = [`iss “${plainText(issuer, 100)}”`, `aud “${plainText(audiences.join(' '), 100)}”`, ...said].join(', ')
  return `No trust rule takes this token, or its issuer did not sign it. It says ${all}. Compare that with the rule, and name the rule as ruleId: then the audit log of its tenant says what did not fit (token.refused).`
}

function whatDiffers(conditions: TrustConditions, claims: Claims): string {
  return mismatchesOf(conditions, claims)
    .map((name) => {
      const value = textOfClaim(claims, name)
      const wanted = conditions[name]?.join('” or “')
      return `${name} is ${value === undefined ? 'missing' : `“${plainText(value, 200)}”`}, and has to be “${wanted}”.`
    })
    .join(' ')
}
