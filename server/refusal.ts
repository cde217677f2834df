// Refusals of principals that are known: audited beside the call, one entry a minute; a key that has ended sets off its tripwire.
import { TRPCError } from '@trpc/server'
import { and, eq, sql } from 'drizzle-orm'
import { apiKeys } from '#db/schema.ts'
import { writeFoldedAudit } from './audit.ts'
import type { Call } from './call.ts'
import { log } from './log.ts'
import { countTripwire } from './metrics.ts'
import { notify } from './notices.ts'
import { actIn, type Principal, RefusedPrincipal } from './principal.ts'
import { getRuntime } from './runtime.ts'
import { isFirstRefusal, noteRefusalWritten } from './usage.ts'

/** A call of a known principal that may not do this: audited after the transaction was rolled back. */
export class Refusal extends TRPCError {
  readonly principal: Principal
  readonly tenantId: string

  constructor(message: string, principal: Principal, tenantId = principal.tenantId, code: TRPCError['code'] = 'FORBIDDEN') {
    super({ code, message })
    this.principal = principal
    this.tenantId = tenantId
  }
}

interface Refused {
  principal: Principal
  tenantId: string
  reason: string
  /** Whether a key was used that somebody has ended: revoked, or rotated out. */
  isTripwire: boolean
}

function describeRefusal(error: unknown): Refused | undefined {
  if (error instanceof Refusal) {
    return { principal: error.principal, tenantId: error.tenantId, reason: error.message, isTripwire: false }
  }
  if (error instanceof TRPCError && error.cause instanceof RefusedPrincipal) {
    const { principal, reason } = error.cause
    const isTripwire = reason === 'revoked' || reason === 'rotated out'
    return { principal, tenantId: principal.tenantId, reason: `The ${principal.kind} is ${reason}.`, isTripwire }
  }
}

/** Whose refusal it is; undefined for any other error. */
export function refusedPrincipal(error: unknown): Principal | undefined {
  return describeRefusal(error)?.principal
}

/**
 * Audits a refusal: one entry a principal, operation and minute, with a count. A tripwire's is one a key and minute, and
 * stands on the key's row too.
 */
export async function recordRefusal(error: unknown, call: Call, operation: string): Promise<void> {
  const refused = describeRefusal(error)
  if (!refused) return
  const { principal, tenantId, reason, isTripwire } = refused
  const minute = Math.floor(Date.now() / 60_000)
  const foldKey = `${principal.kind}:${principal.id}:${isTripwire ? 'tripwire' : operation}:${minute}`
  if (isTripwire) countTripwire()
  if (!isFirstRefusal(tenantId, foldKey, minute)) return
  const entity = { type: principal.kind === 'key' ? 'api_key' : 'user', id: principal.id, name: principal.name } as const
  const action = isTripwire ? 'api_key.tripwire' : `${entity.type}.refused`
  await getRuntime().database.transaction(async (tx) => {
    await actIn(tx, 'transaction', tenantId)
    if (isTripwire) {
      // Before the count, as the batch of last uses has it: in the other order the two deadlock.
      await tx
        .update(apiKeys)
        .set({ trippedAt: sql`clock_timestamp()`, trippedIp: call.ip, trippedUserAgent: call.userAgent })
        .where(and(eq(apiKeys.tenantId, tenantId), eq(apiKeys.id, principal.id)))
      const about = { id: principal.id, name: principal.name }
      // Once a day: a client in a loop is one thing to know of.
      const onceKey = `tripwire.${principal.id}.${new Date().toISOString().slice(0, 10)}`
      const facts = { ip: call.ip, userAgent: call.userAgent }
      await notify(tx, { kind: 'api_key.tripwire', tenantId, about, facts, onceKey })
    }
    const entry = { tenantId, actor: principal, action, entity, outcome: 'refused', origin: call, reason, operation } as const
    await writeFoldedAudit(tx, entry, foldKey, 1)
  })
  noteRefusalWritten(foldKey, minute)
  if (!isTripwire) return
  const { ip, userAgent, requestId } = call
  log('warn', 'tripwire: a key is used that has ended', { keyId: principal.id, tenantId, reason, ip, userAgent, requestId })
}
