// The public keys of token issuers: found by OpenID Connect Discovery, fetched as guarded requests, kept for minutes.
import { createLocalJWKSet, type JSONWebKeySet, type LocalJWKSet } from 'jose'
import { z } from 'zod'
import { OutboundFailure, type OutboundRules, sendOutbound } from './outbound.ts'
import { addressKind } from './outbound-address.ts'
import { getRuntime } from './runtime.ts'

/** There are no keys to check a token with, for now: not the token's fault. */
export class NoIssuerKeys extends Error {}

interface Kept {
  keys: Promise<LocalJWKSet>
  /** When they were fetched, in milliseconds since 1970. */
  at: number
  /** When the issuer was last asked, which may have failed. */
  askedAt: number
}

const keepForMs = 600_000
/** A key that is not among those kept may be new: but nobody makes us ask more often than so. */
const askAgainAfterMs = 60_000
const failsForMs = 5_000
const maxIssuers = 200
const timeoutMs = 5_000
const maxBytes = 262_144

/** Oldest first, so that the oldest goes when there are too many. */
const kept = new Map<string, Kept>()

/**
 * The keys of an issuer that a trust rule names: never call it with one that only a token names.
 * @param isUnknownKey that none of those answered before fits: they are fetched anew, at most once a minute.
 * @throws NoIssuerKeys
 */
export async function getIssuerKeys(issuer: string, isUnknownKey = false): Promise<LocalJWKSet> {
  const now = Date.now()
  const before = kept.get(issuer)
  const isFresh = before !== undefined && now - before.at < keepForMs
  if (isFresh && !(isUnknownKey && now - before.askedAt >= askAgainAfterMs)) return before.keys
  const made: Kept = { keys: fetchKeys(issuer), at: now, askedAt: now }
  made.keys = made.keys.catch((error) => {
    // What was good is not lost for a key that may not be there at all; else the next one may ask in a moment.
    made.at = isFresh ? before.at : now - keepForMs + failsForMs
    if (isFresh) return before.keys
    throw error
  })
  kept.delete(issuer)
  kept.set(issuer, made)
  for (const oldest of kept.keys()) {
    if (kept.size <= maxIssuers) break
    kept.delete(oldest)
  }
  return made.keys
}

const Discovery = z.object({ issuer: z.string(), jwks_uri: z.string().max(2_000) })
const KeySet = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).max(100) })

/** OpenID Connect Discovery 1.0, section 4. */
async function fetchKeys(issuer: string): Promise<LocalJWKSet> {
  const rules: OutboundRules = { allowPrivate: getRuntime().env.MATE_ALLOW_PRIVATE_AGENTS }
  const found = Discovery.safeParse(await fetchJson(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, rules))
  if (!found.success) throw new NoIssuerKeys(`${issuer} has no discovery document of OpenID Connect.`)
  const { issuer: named, jwks_uri: address } = found.data
  // Section 4.3: else one issuer could speak for another.
  if (named !== issuer) throw new NoIssuerKeys(`The discovery document of ${issuer} is that of another issuer.`)
  const fault = faultOfAddress(address)
  if (fault) throw new NoIssuerKeys(`The discovery document of ${issuer} leads to keys at an address that can’t be. ${fault}`)
  const keys = KeySet.safeParse(await fetchJson(address, rules))
  if (!keys.success) throw new NoIssuerKeys(`${issuer} has no set of keys where its discovery document says.`)
  return createLocalJWKSet(keys.data as JSONWebKeySet)
}

async function fetchJson(url: string, rules: OutboundRules): Promise<unknown> {
  try {
    const headers = { Accept: 'application/json' }
    const { status, body, isCut } = await sendOutbound({ url, method: 'GET', headers, timeoutMs, maxBytes }, rules)
    if (status !== 200) throw new NoIssuerKeys(`${url} answered ${status}.`)
    if (isCut) throw new NoIssuerKeys(`${url} answered more than ${maxBytes} bytes.`)
    return JSON.parse(body.toString('utf8'))
  } catch (error) {
    if (error instanceof OutboundFailure) throw new NoIssuerKeys(`${url}: ${error.message}`, { cause: error })
    if (error instanceof SyntaxError) throw new NoIssuerKeys(`${url} answered no JSON.`, { cause: error })
    throw error
  }
}

/** What is wrong with an issuer's address; undefined when nothing is. OpenID Connect Discovery 1.0, section 2. */
export function faultOfIssuer(text: string): string | undefined {
  if (/[?#]/.test(text)) return 'Must have no query and no fragment.'
  return faultOfAddress(text)
}

/**
 * Without TLS anybody on the way could answer keys of their own: it is required, but at a private address of a deployment that
 * allows those.
 */
function faultOfAddress(text: string): string | undefined {
  if (!URL.canParse(text)) return 'Must be a URL such as https://gitlab.com.'
  const { protocol, hostname, username, password } = new URL(text)
  if (username || password) return 'Must have no user name and no password.'
  if (protocol === 'https:') return undefined
  const isPrivate = hostname === 'localhost' || addressKind(hostname.replace(/^\[|\]$/g, '')) === 'private'
  if (protocol === 'http:' && isPrivate && getRuntime().env.MATE_ALLOW_PRIVATE_AGENTS) return undefined
  return 'Must begin with https://.'
}
