// The form of an API key: `mate_`, 43 base62 characters of 32 random bytes, 6 base62 characters of a CRC-32.
import { hash, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const form = /^mate_[0-9A-Za-z]{49}$/
const secretLength = 43
const checksumLength = 6

/** How many characters of a key are kept readable, to tell keys apart. */
const displayLength = 12

export interface NewApiKey {
  /** The whole key, 54 characters; shown once and never stored. */
  key: string
  /** SHA-256 of the key, 32 bytes. */
  hash: Uint8Array
  prefix: string
}

/** A new key from the system's CSPRNG. 62^43 > 2^256, so every 32-byte value has one text and none is likelier. */
export function generateApiKey(): NewApiKey {
  let secret = ''
  for (let rest = BigInt(`0x${randomBytes(32).toString('hex')}`); rest > 0n; rest /= 62n)
    secret = alphabet[Number(rest % 62n)] + secret
  const body = `mate_${secret.padStart(secretLength, '0')}`
  const key = body + checksum(body)
  return { key, hash: hashApiKey(key), prefix: key.slice(0, displayLength) }
}

/** True when form and checksum fit: says nothing of whether such a key exists, and asks no database. */
export function isWellFormedApiKey(text: string): boolean {
  return form.test(text) && checksum(text.slice(0, -checksumLength)) === text.slice(-checksumLength)
}

/** SHA-256, 32 bytes. No salt and no slow hash: the key has 256 random bits of its own. */
export function hashApiKey(key: string): Uint8Array {
  return hash('sha256', key, 'buffer')
}

function checksum(body: string): string {
  let text = ''
  for (let rest = crc32(body); rest > 0; rest = Math.floor(rest / 62)) text = alphabet[rest % 62] + text
  return text.padStart(checksumLength, '0')
}
