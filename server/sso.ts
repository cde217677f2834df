// Single sign-on for the pages: which providers there are, the way to one, and what came back from it.
import { TRPCError } from '@trpc/server'
import { and, asc, eq } from 'drizzle-orm'
import { RateLimiterMemory } from 'rate-limiter-flexible'
import { z } from 'zod'
import { identityProviders } from '#db/schema.ts'
import { writeFoldedAudit } from './audit.ts'
import type { Auth } from './auth.ts'
import { networkOf } from './client-address.ts'
import { beginAtProvider, claimsOf, OidcFailure, type OidcProvider } from './oidc-client.ts'
import { getRuntime } from './runtime.ts'
import { seal, unseal } from './secret-box.ts'
import { type MappedPerson, mapClaims, NotMapped, wantedClaims } from './sso-claims.ts'
import { admit, type SignInOrigin, SsoRefusal } from './sso-people.ts'

export const callbackPath = '/sso/callback'
const cookieName = 'mate.sso'
const lifeSeconds = 600

type Provider = typeof identityProviders.$inferSelect

/** The providers that a person may choose from. */
export async function listSignInProviders(): Promise<{ id: string; name: string }[]> {
  const { db } = getRuntime().database
  return db
    .select({ id: identityProviders.id, name: identityProviders.name })
    .from(identityProviders)
    .where(eq(identityProviders.isActive, true))
    .orderBy(asc(identityProviders.name), asc(identityProviders.id))
}

/** What the browser keeps meanwhile: encrypted, for this path alone, for ten minutes. */
const Pending = z.object({
  providerId: z.uuid(),
  state: z.string(),
  nonce: z.string(),
  verifier: z.string(),
  redirectTo: z.string(),
  until: z.number(),
})

interface Site {
  /** Of the pages, without a slash at the end. */
  origin: string
}

/**
 * Begins a sign-in: where the browser goes now, and the cookie that it has to come back with.
 * @throws TRPCError NOT_FOUND, BAD_REQUEST when the provider can't be used, TOO_MANY_REQUESTS.
 */
export async function beginSso(
  { providerId, redirectTo }: { providerId: string; redirectTo: string },
  { origin }: Site,
  from: SignInOrigin,
): Promise<{ name: string; url: string; headers: Headers }> {
  await requireWithinLimit(from)
  const provider = await findProvider(providerId)
  if (!provider) throw new TRPCError({ code: 'NOT_FOUND', message: 'There is no such identity provider any more.' })
  try {
    const { url, checks } = await beginAtProvider(openedOf(provider), origin + callbackPath)
    const pending: z.infer<typeof Pending> = { providerId, ...checks, redirectTo, until: Date.now() + lifeSeconds * 1_000 }
    const sealed = seal(getRuntime().secret, cookieName, JSON.stringify(pending))
    return { name: provider.name, url, headers: cookie(origin, Buffer.from(sealed).toString('base64url'), lifeSeconds) }
  } catch (error) {
    if (!(error instanceof OidcFailure)) throw error
    await recordRefusal(provider, error.message, from)
    throw new TRPCError({
      code: 'BAD_REQUEST',
      message: `${provider.name} can’t be used at the moment. Tell your admin if it stays so.`,
    })
  }
}

/**
 * Ends a sign-in with what the provider sent the browser back with.
 * @returns headers with the session's cookie, and where the person wanted to go. @throws TRPCError FORBIDDEN and its like.
 */
export async function finishSso(
  auth: Auth,
  search: URLSearchParams,
  cookies: string | undefined,
  { origin }: Site,
  from: SignInOrigin,
): Promise<{ headers: Headers; redirectTo: string }> {
  await requireWithinLimit(from)
  const pending = readPending(cookies)
  if (!pending) {
    throw new SsoRefusal('This sign-in was not begun in this browser, or more than ten minutes ago. Begin it again.')
  }
  const provider = await findProvider(pending.providerId)
  if (!provider) throw new SsoRefusal('The identity provider is not in use any more. Sign in in another way.')
  try {
    const { accountId, person } = await identify(provider, search, pending, origin)
    const userId = await admit(getRuntime().database, { provider, accountId, person }, from)
    const headers = await auth.startSession(userId, provider.name, from)
    headers.append('set-cookie', clearSsoCookie(origin))
    return { headers, redirectTo: pending.redirectTo }
  } catch (error) {
    const refusal = error instanceof NotMapped ? new SsoRefusal(error.message) : error
    if (refusal instanceof SsoRefusal || refusal instanceof OidcFailure)
      await recordRefusal(provider, refusal.message, from, refusal)
    if (!(refusal instanceof OidcFailure)) throw refusal
    throw new SsoRefusal(
      `What ${provider.name} answered can’t be accepted, so you are not signed in. Begin again, and tell your admin if it stays so.`,
    )
  }
}

/** A sign-in is finished once, whatever came of it. */
export function clearSsoCookie(origin: string): string {
  return cookie(origin, '', 0).get('set-cookie') ?? ''
}

async function identify(
  provider: Provider,
  search: URLSearchParams,
  pending: z.infer<typeof Pending>,
  origin: string,
): Promise<{ accountId: string; person: MappedPerson }> {
  const claims = await claimsOf(openedOf(provider), origin + callbackPath, search, pending, wantedClaims(provider))
  // Of an issuer with many tenants (Entra ID's /common and /organizations), `sub` means something only in its own.
  const accountId = claims.iss === provider.issuer ? claims.sub : `${claims.iss}#${claims.sub}`
  return { accountId, person: mapClaims(claims, provider) }
}

async function findProvider(id: string): Promise<Provider | undefined> {
  if (!z.uuid().safeParse(id).success) return undefined
  const { db } = getRuntime().database
  const [provider] = await db
    .select()
    .from(identityProviders)
    .where(and(eq(identityProviders.id, id), identityProviders.isActive))
  return provider
}

function openedOf({ id, issuer, clientId, clientSecret, scopes, updatedAt }: Provider): OidcProvider {
  const secret = unseal(getRuntime().secret, id, clientSecret)
  return { id, version: updatedAt.toISOString(), issuer, clientId, clientSecret: secret, scopes }
}

function readPending(cookies = ''): z.infer<typeof Pending> | undefined {
  const value = new RegExp(`(?:^|; ?)${cookieName}=([\\w-]+)`).exec(cookies)?.[1]
  if (!value) return undefined
  try {
    const text = unseal(getRuntime().secret, cookieName, Buffer.from(value, 'base64url'))
    const pending = Pending.parse(JSON.parse(text))
    return pending.until > Date.now() ? pending : undefined
  } catch {
    return undefined // of another deployment, or changed
  }
}

function cookie(origin: string, value: string, maxAge: number): Headers {
  const secure = origin.startsWith('https:') ? '; Secure' : ''
  return new Headers({ 'set-cookie': `${cookieName}=${value}; Path=/sso; HttpOnly; SameSite=Lax; Max-Age=${maxAge}${secure}` })
}

/**
 * One entry a minute and reason: of a known person in their tenant, else where the provider's own entries are, since of a
 * token that is not to be believed no tenant follows.
 */
async function recordRefusal(provider: Provider, reason: string, origin: SignInOrigin, error?: unknown): Promise<void> {
  const user = error instanceof SsoRefusal ? error.user : undefined
  const minute = Math.floor(Date.now() / 60_000)
  const by = `${provider.name}: ${reason}`
  await getRuntime().database.transaction(async (tx) => {
    if (user) {
      const { id, name, role, tenantId } = user
      const entity = { type: 'user', id, name } as const
      const actor = { kind: 'user', id, name, role } as const
      const entry = { tenantId, actor, action: 'user.sign_in_failed', entity, outcome: 'refused', origin, reason: by } as const
      return writeFoldedAudit(tx, entry, `user:${id}:sso:${reason}:${minute}`, 1)
    }
    const { id, name, auditTenantId: tenantId } = provider
    const entity = { type: 'identity_provider', id, name } as const
    const actor = { kind: 'system', id, name, role: null } as const
    const action = 'identity_provider.sign_in_refused'
    const entry = { tenantId, actor, action, entity, outcome: 'refused', origin, reason } as const
    return writeFoldedAudit(tx, entry, `identity_provider:${id}:${reason}:${minute}`, 1)
  })
}

let attempts: RateLimiterMemory | undefined

/** In this node's memory: each attempt may ask the provider something, and needs no account. */
async function requireWithinLimit({ ip }: SignInOrigin): Promise<void> {
  // Two requests a sign-in.
  attempts ??= new RateLimiterMemory({ points: 2 * getRuntime().env.MATE_SIGN_IN_ATTEMPTS, duration: 60 })
  try {
    await attempts.consume(networkOf(ip ?? 'unknown'))
  } catch {
    throw new TRPCError({ code: 'TOO_MANY_REQUESTS', message: 'Too many attempts to sign in. Wait a minute, then try again.' })
  }
}
