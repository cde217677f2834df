// Encrypts what the server must be able to read again, such as an agent's credential: AES-256-GCM, key by HKDF-SHA-256.
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

const nonceLength = 12
const tagLength = 16

function keyFor(secret: string, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, '', purpose, 32))
}

/** 12 bytes of nonce, the ciphertext, 16 bytes of tag. `context` (such as the row's id) is authenticated with it. */
export function seal(secret: string, context: string, plaintext: string): Uint8Array {
  const nonce = randomBytes(nonceLength)
  const cipher = createCipheriv('aes-256-gcm', keyFor(secret, 'mate connector secret'), nonce).setAAD(Buffer.from(context))
  return Buffer.concat([nonce, cipher.update(plaintext, 'utf8'), cipher.final(), cipher.getAuthTag()])
}

/** @throws Error when the bytes were sealed with another secret or context, or were changed. */
export function unseal(secret: string, context: string, sealed: Uint8Array): string {
  const bytes = Buffer.from(sealed)
  const decipher = createDecipheriv('aes-256-gcm', keyFor(secret, 'mate connector secret'), bytes.subarray(0, nonceLength))
    .setAAD(Buffer.from(context))
    .setAuthTag(bytes.subarray(-tagLength))
  return decipher.update(bytes.subarray(nonceLength, -tagLength), undefined, 'utf8') + decipher.final('utf8')
}
