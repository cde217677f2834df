// Secrets of agents and of judges' models, opened for one use.
import { unseal } from '../secret-box.ts'

/** What can't be used any more, and why, in words for the tenant. */
export class Unreadable extends Error {}

/**
 * @param serverSecret what secrets are sealed with.
 * @param id of the row that the sealed one stands in.
 * @throws Unreadable when it was sealed with another.
 */
export function openSecret(serverSecret: string, id: string, sealed: Uint8Array | null, owner: string): string | undefined {
  if (!sealed) return undefined
  try {
    return unseal(serverSecret, id, sealed)
  } catch (cause) {
    const message = `The secret of the ${owner} can’t be read any more, since the server’s own has changed. Give the ${owner} its secret again.`
    throw new Unreadable(message, { cause })
  }
}

/** What `open` makes of an opened secret; or why there is none. */
export function orUnreadable<T>(open: () => T): T | Unreadable {
  try {
    return open()
  } catch (error) {
    if (error instanceof Unreadable) return error
    throw error
  }
}
