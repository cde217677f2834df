// Keys that nobody has belong to no tenant, so no audit log has them: they are counted, and the log says so once a second.
import type { Call } from './call.ts'
import { log } from './log.ts'

let total = 0
let unlogged = 0
let loggedAt = 0

/** How many there were since the process began. */
export function unknownKeyTotal(): number {
  return total
}

/** Never logs the key, nor a part of it. */
export function noteUnknownKey({ ip, requestId, door }: Call): void {
  total++
  unlogged++
  const now = Date.now()
  if (now - loggedAt < 1_000) return
  log('warn', 'unknown API key', { ip, requestId, door, sinceLast: unlogged, total })
  loggedAt = now
  unlogged = 0
}
