// From a provider's claims to a tenant and a role, by the mappings that a SuperAdmin wrote. Pure: it looks nothing up.
import type { TenantMapping } from '#db/schema.ts'
import { Email } from './first-run.ts'
import { type Role, roles } from './roles.ts'

/** As a tenant claim: what stands behind the @ of the verified address. */
export const emailDomain = 'email_domain'

export interface MappingRules {
  tenantClaim: string
  roleClaim: string | null
  isEmailTrusted: boolean
  mappings: TenantMapping[]
}

export interface MappedPerson {
  tenantId: string
  role: Role
  /** Verified by the provider, or null. */
  email: string | null
  name: string | null
}

/** A sentence for the person and the audit log: it names no other tenant and no claim's value. */
export class NotMapped extends Error {}

const unverified = 'Your provider does not say that your e-mail address is verified (email_verified), so it can’t be relied on.'

/** @throws NotMapped when no mapping lets them in. */
export function mapClaims(claims: Record<string, unknown>, rules: MappingRules): MappedPerson {
  const email = verifiedEmail(claims, rules.isEmailTrusted)
  const mapping = findMapping(claims, rules, email)
  return { tenantId: mapping.tenantId, role: roleOf(claims, rules.roleClaim, mapping), email, name: nameOf(claims) }
}

/** The claims that `mapClaims` looks at, for what else has to be fetched. */
export function wantedClaims({ tenantClaim, roleClaim }: MappingRules): string[] {
  const named = tenantClaim === emailDomain ? [] : [topOf(tenantClaim)]
  return ['email', ...named, ...(roleClaim ? [topOf(roleClaim)] : [])]
}

/** Of `realm_access.roles` as Keycloak has it; a claim whose whole name is a URL stays whole. */
const topOf = (claim: string) => (claim.includes('/') ? claim : (claim.split('.')[0] ?? claim))

/** `xms_edov` is Entra ID's: whether the owner of the address's domain was verified. */
function verifiedEmail(
  { email, email_verified: verified, xms_edov }: Record<string, unknown>,
  isTrusted: boolean,
): string | null {
  const parsed = Email.safeParse(email)
  if (!parsed.success) return null
  const isSaid = [verified, xms_edov].some((value) => value === true || value === 'true' || value === 1 || value === '1')
  // What the provider denies is not made true by trust.
  const isDenied = verified === false || verified === 'false'
  return isSaid || (isTrusted && !isDenied) ? parsed.data : null
}

function findMapping(claims: Record<string, unknown>, rules: MappingRules, email: string | null): TenantMapping {
  const isByDomain = rules.tenantClaim === emailDomain
  if (isByDomain && email === null) throw new NotMapped(unverified)
  const values = isByDomain ? [email?.slice(email.lastIndexOf('@') + 1) ?? ''] : valuesOf(claims, rules.tenantClaim)
  const found = rules.mappings.filter(({ claimValue }) => values.includes(isByDomain ? claimValue.toLowerCase() : claimValue))
  const [first, another] = found
  if (!first) throw new NotMapped('Your provider’s organisation is not mapped to a tenant. Ask your SuperAdmin to map it.')
  if (another)
    throw new NotMapped('Your provider puts you in several tenants at once. Ask your SuperAdmin to make the mapping clear.')
  return first
}

/** The highest of the roles that fit, else the default. */
function roleOf(claims: Record<string, unknown>, roleClaim: string | null, mapping: TenantMapping): Role {
  const values = roleClaim === null ? [] : valuesOf(claims, roleClaim)
  const fitting = mapping.roles.filter(({ claimValue }) => values.includes(claimValue)).map(({ role }) => role)
  const highest = roles.findLast((role) => fitting.includes(role)) ?? mapping.defaultRole
  if (highest) return highest
  throw new NotMapped(
    'None of your roles or groups at the provider is mapped to a role. Ask your admin for one of those that are.',
  )
}

/** A claim's texts: one, or a list of them; anything else counts for nothing. */
function valuesOf(claims: Record<string, unknown>, name: string): string[] {
  const value = Object.hasOwn(claims, name) ? claims[name] : atPath(claims, name)
  return (Array.isArray(value) ? value : [value]).filter((each) => typeof each === 'string')
}

function atPath(claims: Record<string, unknown>, path: string): unknown {
  let at: unknown = claims
  for (const part of path.split('.')) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, part)) return undefined
    at = Reflect.get(at, part)
  }
  return at
}

/** One line of at most 100 characters, as names of people are; null when there is none. */
function nameOf({ name, preferred_username: username }: Record<string, unknown>): string | null {
  const given = [name, username].find((each) => typeof each === 'string' && each.trim() !== '')
  if (typeof given !== 'string') return null
  return (
    given
      .toWellFormed()
      .replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' ')
      .trim()
      .slice(0, 100) || null
  )
}
