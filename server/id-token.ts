// The ID token of a CI provider: read first, believed only once it is verified. RFC 7519, OpenID Connect Core 1.0.
import { createHash } from 'node:crypto'
import { decodeJwt, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose'
import { getIssuerKeys } from './issuer-keys.ts'

/** What a token says, verified or not. */
export interface IdToken {
  text: string
  issuer: string
  audiences: string[]
  claims: JWTPayload
  /** SHA-256 of what the signature signs: a signature may have several spellings, what it signs has one. */
  hash: Uint8Array
  /** From then on it would be refused whatever it was used for. */
  goodUntil: Date
}

/** Why a token is not taken, in words for whoever sent it: only of the token itself. */
export class TokenFault extends Error {}

/** Clocks may differ by so much. */
const skewSeconds = 60
const maxAgeSeconds = 3_600

/** Never `none`, and no secret that both sides know: whoever has the public key could sign with it. RFC 8725, section 3.1. */
const algorithms = [...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'], ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']]

/**
 * Reads a token and checks what can be said of it by itself: its form, its algorithm, its times.
 * @throws TokenFault
 */
export function readIdToken(text: string): IdToken {
  const { claims, algorithm } = decode(text)
  if (!algorithm || !algorithms.includes(algorithm)) {
    throw new TokenFault('The token is not signed with a private key. Send the ID token (JWT) as the CI provider issued it.')
  }
  const { iss, aud, exp, nbf, iat } = claims
  const audiences = (Array.isArray(aud) ? aud : [aud]).filter((each) => typeof each === 'string')
  if (typeof iss !== 'string' || audiences.length === 0 || audiences.length > 20) {
    throw new TokenFault('The token has no issuer (iss) or no audience (aud).')
  }
  if (typeof exp !== 'number' || typeof iat !== 'number') {
    throw new TokenFault('The token does not say when it was issued (iat) and when it expires (exp).')
  }
  const now = Date.now() / 1_000
  if (exp <= now - skewSeconds)
    throw new TokenFault('The token has expired. Ask the CI provider for a new one, right before it is sent.')
  if (iat > now + skewSeconds || (typeof nbf === 'number' && nbf > now + skewSeconds)) {
    throw new TokenFault('The token is not valid yet: the clock of its issuer and ours differ by more than a minute.')
  }
  if (iat < now - maxAgeSeconds - skewSeconds) {
    throw new TokenFault('The token was issued more than an hour ago. Ask the CI provider for a new one.')
  }
  const signed = text.slice(0, text.lastIndexOf('.'))
  const hash = createHash('sha256').update(signed).digest()
  const goodUntil = new Date((Math.min(exp, iat + maxAgeSeconds) + skewSeconds) * 1_000)
  return { text, issuer: iss, audiences, claims, hash, goodUntil }
}

function decode(text: string): { claims: JWTPayload; algorithm: string | undefined } {
  try {
    return { claims: decodeJwt(text), algorithm: decodeProtectedHeader(text).alg }
  } catch {
    throw new TokenFault('The token is no JSON Web Token. Send the ID token as the CI provider issued it.')
  }
}

/**
 * Verifies a token against the keys of its issuer, which a trust rule must have named.
 * @returns its claims; undefined when it is not what it says it is.
 * @throws NoIssuerKeys
 */
export async function verifyIdToken({ text, issuer, audiences }: IdToken): Promise<JWTPayload | undefined> {
  const options = {
    issuer,
    audience: audiences,
    algorithms,
    clockTolerance: skewSeconds,
    maxTokenAge: maxAgeSeconds,
    requiredClaims: ['exp', 'iat'],
  }
  const verifyWith = async (isUnknownKey: boolean) => {
    const keys = await getIssuerKeys(issuer, isUnknownKey)
    return jwtVerify(text, keys, options).catch((error) => (error instanceof Error ? error : new Error(String(error))))
  }
  let verified = await verifyWith(false)
  if (verified instanceof errors.JWKSNoMatchingKey) verified = await verifyWith(true)
  // Whatever went wrong: the token and the keys are both another's, and nothing in them is an error of ours.
  return verified instanceof Error ? undefined : verified.payload
}
