// Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07): a repeat of a change gets the answer of the first time.
import { createHmac } from 'node:crypto'
import { TRPCError } from '@trpc/server'
import { and, eq, sql } from 'drizzle-orm'
import type { Tx } from '#db/client.ts'
import { idempotencyKeys } from '#db/schema.ts'
import { badField } from './problem.ts'
import { getRuntime } from './runtime.ts'

const header = 'Idempotency-Key'
const maxLength = 255

/** How long a repeat is recognised. */
export const keptFor = '24 hours'

/**
 * The key of a request's headers. A String of RFC 9651 (section 3.3.3), or the same without its quotes, as most clients
 * send it.
 * @throws TRPCError BAD_REQUEST.
 */
export function readIdempotencyKey(value: string | string[] | undefined): string | undefined {
  if (value === undefined) return undefined
  const text = String(value).trim()
  const quoted = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/.exec(text)?.[1]?.replaceAll(/\\(.)/g, '$1')
  const key = quoted ?? (/^[\x21\x23-\x2b\x2d-\x7e]+$/.test(text) ? text : '')
  if (key.length > 0 && key.length <= maxLength) return key
  throw badField(
    header,
    `Must be a text of 1 to ${maxLength} visible ASCII characters, such as "8e03978e-40d5-43dd-bc93-6894a57f9324".`,
  )
}

/** A change that may be asked for twice. */
export interface Repeatable {
  tenantId: string
  principalId: string
  key: string
  operation: string
  input: unknown
}

/**
 * The answer of the first time, once that has committed: whoever asks meanwhile waits here until it has, or has failed.
 * @throws TRPCError UNPROCESSABLE_CONTENT when the key stood for something else.
 */
export async function findAnswer(tx: Tx, request: Repeatable): Promise<{ output: unknown } | undefined> {
  const { tenantId, principalId, key } = request
  const name = JSON.stringify(['mate.idempotency', tenantId, principalId, key])
  await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended(${name}::text, 0))`)
  const [found] = await tx
    .select({ fingerprint: idempotencyKeys.fingerprint, output: idempotencyKeys.output })
    .from(idempotencyKeys)
    .where(
      and(
        eq(idempotencyKeys.tenantId, tenantId),
        eq(idempotencyKeys.principalId, principalId),
        eq(idempotencyKeys.key, key),
        sql`${idempotencyKeys.createdAt} > clock_timestamp() - ${keptFor}::interval`,
      ),
    )
  if (!found) return undefined
  if (!fingerprintOf(request).equals(found.fingerprint)) {
    const message = `This ${header} was sent before, with another request. Use a new one for each request, and the same one only to repeat it.`
    throw new TRPCError({ code: 'UNPROCESSABLE_CONTENT', message })
  }
  return { output: JSON.parse(found.output) }
}

/** Keeps an answer on the transaction of its change: neither is there without the other. */
export async function keepAnswer(tx: Tx, request: Repeatable, output: unknown, shownOnce: string | undefined): Promise<void> {
  const { tenantId, principalId, key } = request
  const shown = shownOnce === undefined ? output : { ...(output as object), [shownOnce]: null }
  const row = { fingerprint: fingerprintOf(request), output: JSON.stringify(shown), createdAt: sql`clock_timestamp()` }
  await tx
    .insert(idempotencyKeys)
    .values({ tenantId, principalId, key, ...row })
    .onConflictDoUpdate({ target: [idempotencyKeys.tenantId, idempotencyKeys.principalId, idempotencyKeys.key], set: row })
}

/** Of the operation and its input, whatever the order of its fields; keyed, since the input may hold a secret. */
function fingerprintOf({ operation, input }: Repeatable): Buffer {
  return createHmac('sha256', getRuntime().secret)
    .update(JSON.stringify([operation, input], sortFields))
    .digest()
}

function sortFields(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}
