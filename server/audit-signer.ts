// The key that signs checkpoints of the audit log: given by MATE_AUDIT_KEY, else made once and kept in the database, sealed.
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { desc, eq } from 'drizzle-orm'
import type { Database, Db } from '#db/client.ts'
import { auditKeys, settings } from '#db/schema.ts'
import { type PublicJwk, type Statement, signedBytes, toJwk } from './audit-chain.ts'
import type { Env } from './env.ts'
import { log } from './log.ts'
import { seal, unseal } from './secret-box.ts'

export interface AuditSigner {
  keyId: string
  sign<T extends Omit<Statement, 'signature' | 'keyId'>>(statement: T): T & { keyId: string; signature: string }
}

const name = 'audit_key'

/**
 * The same on every node of a deployment; its public half is kept for ever, so that what it signed stays verifiable.
 * @throws Error when MATE_AUDIT_KEY is no Ed25519 key.
 */
export async function loadAuditSigner({ db }: Database, env: Env, secret: string): Promise<AuditSigner> {
  const privateKey = env.MATE_AUDIT_KEY ? readKey(env.MATE_AUDIT_KEY) : await loadOrMakeKey(db, secret)
  const publicKey = Buffer.from(createPublicKey(privateKey).export({ format: 'jwk' }).x ?? '', 'base64url')
  const { kid: keyId } = toJwk(publicKey)
  await db.insert(auditKeys).values({ id: keyId, publicKey }).onConflictDoNothing()
  return {
    keyId,
    sign: (statement) => {
      const unsigned = { ...statement, keyId }
      return { ...unsigned, signature: sign(null, signedBytes(unsigned), privateKey).toString('base64url') }
    },
  }
}

/** PKCS#8, as PEM (line breaks may be written as \n) or its base64 alone. */
function readKey(text: string): KeyObject {
  const der = Buffer.from(text.replace(/-----[^-]*-----|\\n|\s/g, ''), 'base64')
  try {
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    if (key.asymmetricKeyType === 'ed25519') return key
  } catch {
    // Said below, without the key.
  }
  throw new Error('MATE_AUDIT_KEY is no Ed25519 private key in PKCS#8. Make one: openssl genpkey -algorithm ed25519')
}

async function loadOrMakeKey(db: Db, secret: string): Promise<KeyObject> {
  const kept = await findKey(db, secret)
  if (kept) return kept
  const made = generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64')
  const value = Buffer.from(seal(secret, name, made)).toString('base64')
  await db.insert(settings).values({ name, value }).onConflictDoNothing()
  const key = await findKey(db, secret)
  if (!key) throw new Error('The key of the audit log could not be read back.')
  return key
}

async function findKey(db: Db, secret: string): Promise<KeyObject | undefined> {
  const [row] = await db.select({ value: settings.value }).from(settings).where(eq(settings.name, name))
  if (!row) return undefined
  try {
    return readKey(unseal(secret, name, Buffer.from(row.value, 'base64')))
  } catch (error) {
    // MATE_SECRET is another one now: a new key goes on from here, and the old one's public half stays.
    log('warn', 'the key of the audit log could not be unsealed; a new one is made', { error })
    await db.delete(settings).where(eq(settings.name, name))
    return undefined
  }
}

/** Every key that ever signed, the newest first, as a JWK set (RFC 7517). */
export async function listAuditKeys(db: Db): Promise<{ keys: (PublicJwk & { use: 'sig'; alg: 'EdDSA' })[] }> {
  const rows = await db.select({ publicKey: auditKeys.publicKey }).from(auditKeys).orderBy(desc(auditKeys.createdAt))
  return { keys: rows.map(({ publicKey }) => ({ ...toJwk(publicKey), use: 'sig', alg: 'EdDSA' })) }
}
