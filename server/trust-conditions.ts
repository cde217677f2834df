// The conditions of a trust rule: which values the claims of a CI provider's token have to have, and which conditions are none.
import { z } from 'zod'
import type { TrustConditions } from '#db/schema.ts'
import { line } from './input.ts'
import { badField } from './problem.ts'

/** The issuers that the whole world shares: only these claims say whose pipeline it is. */
const sharedIssuers: { pattern: RegExp; name: string; claim: string }[] = [
  { pattern: /^https:\/\/token\.actions\.githubusercontent\.com(\/|$)/, name: 'GitHub', claim: 'repository' },
  { pattern: /^https:\/\/gitlab\.com(\/|$)/, name: 'GitLab', claim: 'project_path' },
]

/** Of other issuers, one of them. */
const identityClaims = ['repository', 'project_path', 'sub']

const ClaimName = z.string().regex(/^[\w.:/-]{1,100}$/)

export const Conditions = z
  .record(
    ClaimName,
    z.array(line(500)).min(1, 'Must name at least one value.').max(20, 'Must have at most 20 values.'),
    'Must be an object: claims (letters, digits and _ . : / -), each with a list of texts.',
  )
  .refine((conditions) => Object.keys(conditions).length <= 20, 'Must name at most 20 claims.')
  .describe(
    'For each claim the values that it may have; the token has to have one of them for every claim. `*` stands for any text. `repository` is required of GitHub, `project_path` of GitLab, one of them or `sub` of any other issuer, and there a `*` may stand only behind the first `/`.',
  )

/**
 * Refuses what would trust strangers: everybody who has a pipeline at the same issuer.
 * @throws TRPCError BAD_REQUEST that says which condition is missing or too wide.
 */
export function requireNarrow(issuer: string, conditions: TrustConditions): void {
  const shared = sharedIssuers.find(({ pattern }) => pattern.test(issuer))
  if (shared && !Object.hasOwn(conditions, shared.claim)) {
    const why = `${shared.name}’s issuer is shared by the whole world: without a condition on ${shared.claim}, every pipeline there could get a key.`
    throw badField('conditions', why)
  }
  const named = identityClaims.filter((claim) => Object.hasOwn(conditions, claim))
  if (named.length === 0) {
    const why = `Must have a condition on one of ${identityClaims.join(', ')}: without it, every pipeline of the issuer could get a key.`
    throw badField('conditions', why)
  }
  for (const claim of named) {
    for (const [i, pattern] of (conditions[claim] ?? []).entries()) {
      if (isBounded(pattern)) continue
      const why = `“${pattern}” takes pipelines of strangers. A * may stand only behind the first /, as in acme/*.`
      throw badField(`conditions.${claim}.${i}`, why)
    }
  }
}

/** What stands before the first `*` names an owner, with the slash that ends the name. */
function isBounded(pattern: string): boolean {
  const star = pattern.indexOf('*')
  return star === -1 || pattern.slice(0, star).includes('/')
}

export type Claims = Record<string, unknown>

/** What a claim says as text; undefined where it says nothing that can be compared. */
export function textOfClaim(claims: Claims, name: string): string | undefined {
  const value = Object.hasOwn(claims, name) ? claims[name] : undefined
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined
}

/** The claims that are not as the conditions have them; empty when all are. Case counts. */
export function mismatchesOf(conditions: TrustConditions, claims: Claims): string[] {
  return Object.entries(conditions).flatMap(([name, patterns]) => {
    const value = textOfClaim(claims, name)
    return value !== undefined && patterns.some((pattern) => matches(pattern, value)) ? [] : [name]
  })
}

/** Whether the token is of a pipeline that the rule is about, and only where or how it runs may not fit. */
export function isKnownPipeline(conditions: TrustConditions, claims: Claims): boolean {
  const mismatches = mismatchesOf(conditions, claims)
  return !identityClaims.some((claim) => mismatches.includes(claim))
}

/** Piece by piece, and no regular expression: whatever the pattern, it takes no longer than the text is. */
function matches(pattern: string, value: string): boolean {
  const [head = '', ...pieces] = pattern.split('*')
  const tail = pieces.pop()
  if (tail === undefined) return value === head
  if (!value.startsWith(head) || value.length < head.length + tail.length || !value.endsWith(tail)) return false
  let rest = value.slice(head.length, value.length - tail.length)
  for (const piece of pieces) {
    const at = rest.indexOf(piece)
    if (at === -1) return false
    rest = rest.slice(at + piece.length)
  }
  return true
}
