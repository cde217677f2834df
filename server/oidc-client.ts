// OpenID Connect towards one provider: its metadata, where a sign-in begins, and the claims that one ends with.
// Authorization code with PKCE (RFC 7636), state and nonce; ID tokens by OpenID Connect Core 1.0, section 3.1.3.7.
import * as oidc from 'openid-client'
import { faultOfProviderUrl, providerFetch } from './oidc-fetch.ts'
import { OutboundFailure, type OutboundRules } from './outbound.ts'
import { getRuntime } from './runtime.ts'

/** What is needed of a provider; `version` changes with anything of it. */
export interface OidcProvider {
  id: string
  version: string
  issuer: string
  clientId: string
  clientSecret: string
  scopes: string[]
}

/** What a browser keeps between the beginning of a sign-in and its end. */
export interface OidcChecks {
  state: string
  nonce: string
  verifier: string
}

export type Claims = Record<string, unknown> & { iss: string; sub: string }

/** The provider can't be used, or what it answered is not to be believed. The message has no secret and nothing of a token. */
export class OidcFailure extends Error {}

const keptMs = 600_000
const kept = new Map<string, { version: string; until: number; config: Promise<oidc.Configuration> }>()

/** The provider's metadata, kept for ten minutes; a failure is not kept. @throws OidcFailure */
export async function openProvider(provider: OidcProvider): Promise<oidc.Configuration> {
  const known = kept.get(provider.id)
  if (known && known.version === provider.version && known.until > Date.now()) return known.config
  const config = discover(provider)
  kept.set(provider.id, { version: provider.version, until: Date.now() + keptMs, config })
  config.catch(() => kept.delete(provider.id))
  return config
}

/**
 * Fetches and checks the provider's metadata (OpenID Connect Discovery 1.0, section 4).
 * @throws OidcFailure that says what is wrong with it.
 */
export async function discover({
  issuer,
  clientId,
  clientSecret,
}: Omit<OidcProvider, 'id' | 'version'>): Promise<oidc.Configuration> {
  const rules = providerRules()
  const fault = faultOfProviderUrl(issuer, rules)
  if (fault) throw new OidcFailure(fault)
  const server = new URL(issuer)
  const config = await told(
    oidc.discovery(server, clientId, clientSecret, authenticate(clientSecret), {
      [oidc.customFetch]: providerFetch(rules),
      timeout: 10,
      // Of http only loopback passes providerFetch.
      execute: [...(server.protocol === 'http:' ? [oidc.allowInsecureRequests] : []), oidc.enableNonRepudiationChecks],
    }),
  )
  const { authorization_endpoint, token_endpoint, jwks_uri, userinfo_endpoint } = config.serverMetadata()
  const needed = { authorization_endpoint, token_endpoint, jwks_uri }
  for (const [name, url] of Object.entries({ ...needed, ...(userinfo_endpoint ? { userinfo_endpoint } : {}) })) {
    if (!url) throw new OidcFailure(`The provider’s metadata has no ${name}.`)
    const wrong = faultOfProviderUrl(url, rules)
    if (wrong) throw new OidcFailure(`The ${name} in the provider’s metadata can’t be used. ${wrong}`)
  }
  return config
}

/**
 * A setting of its own: a Keycloak in the company's own network is the rule, and is no reason to let tenants' agents be
 * there too. What is never called, link-local and metadata services, is not called here either.
 */
export function providerRules(): OutboundRules {
  return { allowPrivate: getRuntime().env.MATE_ALLOW_PRIVATE_PROVIDERS }
}

/**
 * OpenID Connect Core 1.0, section 9. By POST where the provider takes that: in Basic, id and secret have to be
 * form-encoded first (RFC 6749, section 2.3.1), which not every provider undoes.
 */
function authenticate(secret: string): oidc.ClientAuth {
  return (server, client, body, headers) => {
    const isPost = server.token_endpoint_auth_methods_supported?.includes('client_secret_post') ?? false
    return (isPost ? oidc.ClientSecretPost(secret) : oidc.ClientSecretBasic(secret))(server, client, body, headers)
  }
}

/** Where to send the browser, and what it has to bring back. @throws OidcFailure */
export async function beginAtProvider(provider: OidcProvider, redirectUri: string): Promise<{ url: string; checks: OidcChecks }> {
  const config = await openProvider(provider)
  const checks = { state: oidc.randomState(), nonce: oidc.randomNonce(), verifier: oidc.randomPKCECodeVerifier() }
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri,
    scope: provider.scopes.join(' '),
    state: checks.state,
    nonce: checks.nonce,
    code_challenge: await oidc.calculatePKCECodeChallenge(checks.verifier),
    code_challenge_method: 'S256',
  })
  return { url: url.href, checks }
}

/** What a provider sends back, RFC 6749, section 4.1.2, and RFC 9207: anything else would change the redirect address. */
const answerFields = ['code', 'state', 'iss', 'error', 'error_description', 'error_uri']

/**
 * Exchanges the code and checks the ID token: signature by an asymmetric algorithm and the provider's published keys,
 * issuer, audience, authorized party, nonce and time. Claims that `wanted` names and the ID token lacks come from UserInfo.
 * @throws OidcFailure
 */
export async function claimsOf(
  provider: OidcProvider,
  redirectUri: string,
  search: URLSearchParams,
  checks: OidcChecks,
  wanted: string[],
): Promise<Claims> {
  const config = await openProvider(provider)
  const url = new URL(redirectUri)
  for (const name of answerFields) for (const value of search.getAll(name)) url.searchParams.append(name, value)
  const tokens = await told(
    oidc.authorizationCodeGrant(config, url, {
      expectedState: checks.state,
      expectedNonce: checks.nonce,
      pkceCodeVerifier: checks.verifier,
      idTokenExpected: true,
    }),
  )
  const claims = tokens.claims()
  if (!claims) throw new OidcFailure('The provider sent no ID token.')
  // Whoever it was made for is who may use it, also when there is one audience only.
  if (claims.azp !== undefined && claims.azp !== provider.clientId) {
    throw new OidcFailure('The ID token was issued to another client (azp).')
  }
  const isComplete = wanted.every((name) => name in claims)
  if (isComplete || !config.serverMetadata().userinfo_endpoint) return claims
  // What is signed has the last word.
  return { ...(await told(oidc.fetchUserInfo(config, tokens.access_token, claims.sub))), ...claims }
}

async function told<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw new OidcFailure(wordsFor(error))
  }
}

/** RFC 6749, sections 4.1.2.1 and 5.2; OpenID Connect Core 1.0, section 3.1.2.6. */
const knownErrors = new Set([
  ...['invalid_request', 'unauthorized_client', 'access_denied', 'unsupported_response_type', 'invalid_scope', 'server_error'],
  ...['temporarily_unavailable', 'invalid_client', 'invalid_grant', 'unsupported_grant_type', 'interaction_required'],
  ...['login_required', 'account_selection_required', 'consent_required'],
])

/** Fixed words, and of a provider's own only known codes: all else may be anything, and come from anybody's browser. */
function wordsFor(error: unknown): string {
  const failure = causeOf(error, OutboundFailure)
  if (failure) return `The provider was not reached: ${failure.message}`
  if (error instanceof oidc.AuthorizationResponseError || error instanceof oidc.ResponseBodyError) {
    return `The provider refused: ${knownErrors.has(error.error) ? error.error : 'without a known error code'}.`
  }
  const claim = claimOf(error)
  if (claim) return `The ID token is not valid: ${claim}.`
  if (error instanceof oidc.ClientError || error instanceof TypeError)
    return `The provider’s answer is not valid: ${error.message}.`
  return 'The provider’s answer is not valid.'
}

/** What the library says of a claim or a header: which one, and not what it holds. */
function claimOf(error: unknown): string | undefined {
  const cause = error instanceof Error ? error.cause : undefined
  if (!(cause instanceof Error)) return undefined
  return /^(unexpected (JWT|ID Token)|JWT|unsupported JWS|missing JWT|ID Token)/i.test(cause.message) ? cause.message : undefined
}

function causeOf<T>(error: unknown, type: abstract new (...args: never[]) => T): T | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 6; at = at.cause, depth++) if (at instanceof type) return at
}
