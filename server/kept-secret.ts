// A secret that is written and never read back, beside the address that it is sent to: what a replacement does with it.
import { badField } from './problem.ts'
import { getRuntime } from './runtime.ts'
import { seal } from './secret-box.ts'

/** As a field of an input. */
export type GivenSecret = string | null | undefined

/** What a column of a sealed secret becomes; undefined: it stays as it is. `id` is of the row that it stands in. */
export function sealGiven(id: string, secret: GivenSecret): Uint8Array | null | undefined {
  return typeof secret === 'string' ? seal(getRuntime().secret, id, secret) : secret
}

/**
 * A secret stays with the origin that it was given for, as a browser's cookies do: whoever may replace an address could
 * otherwise have the secret sent to a server of theirs, and read it there.
 * @throws TRPCError BAD_REQUEST about the field at `path`.
 */
export function requireSameOrigin(
  before: { url: string; hasSecret: boolean } | null,
  url: string | undefined,
  secret: GivenSecret,
  path: string,
): void {
  if (secret !== undefined || url === undefined || !before?.hasSecret) return
  if (new URL(before.url).origin === new URL(url).origin) return
  throw badField(path, 'The secret that is kept was given for another scheme, host or port. Give it again, or null to remove it.')
}
