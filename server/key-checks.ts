// What the gate asks of a key beyond its role: that its tenant has not frozen it, its address, its rate, its scope.
import type { Call } from './call.ts'
import { isAllowedFrom } from './key-limits.ts'
import { countRequest } from './key-rate.ts'
import type { Principal } from './principal.ts'
import { Refusal } from './refusal.ts'
import { getRuntime } from './runtime.ts'

export function requireScope(principal: Principal, scope: string, path: string): void {
  const { scopes } = principal.limits
  if (scopes?.includes(scope) ?? true) return
  throw new Refusal(`${path} needs the scope ${scope}; this ${principal.kind} has ${scopes?.join(', ')}.`, principal)
}

const announceEndDays = 14

/** What stops a key that is good in itself; and word of its end, which goes with whatever the answer will be. */
export function requireUsable(principal: Principal, call: Call): void {
  const ends = [principal.expiresAt, principal.rotatesOutAt].flatMap((end) => end?.getTime() ?? [])
  const endsAt = Math.min(...ends)
  if (endsAt < Date.now() + announceEndDays * 86_400_000) call.setHeader?.('X-API-Key-Expires', new Date(endsAt).toISOString())
  if (principal.isFrozen) {
    const message = 'The API keys of this tenant are frozen. An admin can unfreeze them in mate, on the API Keys page.'
    throw new Refusal(message, principal)
  }
  if (isAllowedFrom(principal.limits.allowedIps, call.ip)) return
  throw new Refusal(
    `This key may not be used from ${call.ip ?? 'an unknown address'}. An admin can change its allowed IPs.`,
    principal,
  )
}

/** Says that the key is a limited one whose request has to be counted: once what has just begun is rolled back. */
export class Uncounted extends Error {
  readonly principal: Principal

  constructor(principal: Principal) {
    super('the request of a limited key is not counted yet')
    this.principal = principal
  }
}

/** Only a limited key pays for its limit: it is looked up once more after the count, which no rollback may undo. */
export async function countedFirst<T>(attempt: (isCounted: boolean) => Promise<T>, call: Call): Promise<T> {
  try {
    return await attempt(false)
  } catch (error) {
    if (!(error instanceof Uncounted)) throw error
    const { principal } = error
    const limit = principal.limits.requestsPerMinute ?? 0
    const { isExceeded, headers } = await countRequest(getRuntime().database, principal.id, limit)
    for (const [name, value] of Object.entries(headers)) call.setHeader?.(name, value)
    if (isExceeded) {
      const message = `This key may make ${limit} requests a minute. Wait as Retry-After says, or ask an admin for a higher limit.`
      throw new Refusal(message, principal, principal.tenantId, 'TOO_MANY_REQUESTS')
    }
    return attempt(true)
  }
}
