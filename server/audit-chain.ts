// The lines that make the audit log provable: what is hashed, what is signed, and how either is checked. Needs no server.
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto'
import canonicalize from 'canonicalize'

/** The hash before the first entry. */
export const noHash = '0'.repeat(64)

/** An entry as its hash is over it: every field but the hash itself. Only what a verifier needs by name. */
export interface ChainedEntry {
  seq: number
  tenantId: string
  at: string
  prevHash: string
  hash: string
}

/** Said of a chain by the holder of the key. */
export interface Statement {
  /** How far the chain went; how far it was cut off; what an export holds. */
  type: 'checkpoint' | 'cut' | 'export'
  tenantId: string
  /** Of the newest entry that it covers; 0 before the first. */
  seq: number
  /** Hash of that entry. */
  hash: string
  /** RFC 3339, by the database's clock. */
  at: string
  /** JWK thumbprint of the public key. */
  keyId: string
  /** Ed25519 (RFC 8032) over the canonical form without this field, in base64url. */
  signature: string
}

/** The last statement of an export: it ends where it says, and nothing before it was touched. */
export interface ExportStatement extends Statement {
  type: 'export'
  entries: number
  /** Which entries were asked for; without filters every one up to `seq`. */
  filters: Record<string, string>
  /** SHA-256 of all lines before this one. */
  digest: string
}

export interface PublicJwk {
  kty: 'OKP'
  crv: 'Ed25519'
  x: string
  kid: string
}

/** RFC 8785. */
export function canonical(value: object): string {
  const text = canonicalize(value)
  if (text === undefined) throw new Error('This has no canonical form.')
  return text
}

export function hashEntry({ hash: _, ...entry }: ChainedEntry): string {
  return createHash('sha256').update(canonical(entry)).digest('hex')
}

export function signedBytes({ signature: _, ...statement }: Omit<Statement, 'signature'> & { signature?: string }): Buffer {
  return Buffer.from(canonical(statement))
}

/** A key as RFC 8037 writes it; its id is its thumbprint (RFC 7638). */
export function toJwk(publicKey: Uint8Array): PublicJwk {
  const x = Buffer.from(publicKey).toString('base64url')
  const kid = createHash('sha256').update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`).digest('base64url')
  return { kty: 'OKP', crv: 'Ed25519', x, kid }
}

/** @throws Error when it is no Ed25519 key. */
export function readJwk(x: string): { kid: string; key: KeyObject } {
  const { kid, ...jwk } = toJwk(Buffer.from(x, 'base64url'))
  return { kid, key: createPublicKey({ key: jwk, format: 'jwk' }) }
}

/** False also for a signature that decodes to the right bytes and is spelt differently. */
export function isSignedBy(key: KeyObject, statement: Statement): boolean {
  const signature = Buffer.from(String(statement.signature), 'base64url')
  return signature.toString('base64url') === statement.signature && verify(null, signedBytes(statement), key, signature)
}
