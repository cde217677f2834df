// The gate of what needs no credential: limited, in one transaction as the restricted role, recorded as the system's.
import { setTimeout as sleep } from 'node:timers/promises'
import { TRPCError } from '@trpc/server'
import { getHTTPStatusCodeFromError } from '@trpc/server/http'
import { sql } from 'drizzle-orm'
import { RateLimiterMemory } from 'rate-limiter-flexible'
import type { Tx } from '#db/client.ts'
import { type Actor, type Change, writeAudit } from './audit.ts'
import type { Call } from './call.ts'
import { networkOf } from './client-address.ts'
import { requireCleanInput, withRetries } from './gate.ts'
import { observeCall } from './metrics.ts'
import { asTrpcError } from './problem.ts'
import { getRuntime } from './runtime.ts'
import { type Meta, t } from './trpc.ts'

/** What a public procedure is given. */
export interface PublicContext {
  /** As the restricted role, in no tenant: what finds the row it is about sets the tenant. */
  tx: Tx
  /** Says what was changed, in which tenant. Not to call it means that nothing was. */
  record(tenantId: string, change: Change): void
}

const system: Actor = { kind: 'system', id: 'system', name: 'system', role: null }

/** Every answer takes this long, so that the time tells nothing of what was found. */
const answerAfterMs = 200

const limited = t.middleware(async ({ ctx: call, meta, path, next, getRawInput }) => {
  if (meta?.role !== 'Public') throw new Error(`${path} needs a credential, and has to be a procedure.`)
  const answerAt = sleep(answerAfterMs)
  const from = performance.now()
  const observe = (status: number) => observeCall(path, call.door, status, (performance.now() - from) / 1_000)
  try {
    await requireWithinLimit(call, meta, path)
    requireCleanInput(await getRawInput())
    const result = await next()
    if (!result.ok) {
      await answerAt
      throw result.error
    }
    observe(meta.openapi.status ?? 200)
    await answerAt
    return result
  } catch (error) {
    const known = asTrpcError(error)
    observe(getHTTPStatusCodeFromError(known))
    throw known
  }
})

const inTransaction = t.middleware(async ({ ctx: call, meta, path, next }) => {
  const { database } = getRuntime()
  const work = async (tx: Tx) => {
    await tx.execute(sql`select set_config('role', 'mate_app', true)`)
    const changes: { tenantId: string; change: Change }[] = []
    const context: PublicContext = { tx, record: (tenantId, change) => changes.push({ tenantId, change }) }
    const result = await next({ ctx: { ...call, ...context } })
    if (!result.ok) throw result.error
    for (const { tenantId, change } of changes) {
      if (!meta?.audit) throw new Error(`${path} changed something and declares no audit event.`)
      await writeAudit(tx, { ...change, tenantId, actor: system, action: meta.audit, outcome: 'success', origin: call })
    }
    return result
  }
  return withRetries(() => database.transaction(work))
})

/** Of an operation that has others to ask before it changes anything: limited, and in no transaction. */
export const limitedProcedure = t.procedure.use(limited)

/** The base of every other procedure that needs no credential. Its metadata says `role: 'Public'`. */
export const publicProcedure = limitedProcedure.use(inTransaction)

interface Limits {
  address: RateLimiterMemory
  all: RateLimiterMemory
}
const limits = new Map<string, Limits>()

function limitsOf({ limit }: Meta, path: string): Limits {
  if (!limit) throw new Error(`${path} needs no credential, and declares no limit.`)
  const points = getRuntime().env[limit]
  const found = limits.get(path) ?? {
    address: new RateLimiterMemory({ points, duration: 60 }),
    all: new RateLimiterMemory({ points: 20 * points, duration: 60 }),
  }
  limits.set(path, found)
  return found
}

/**
 * Each operation for itself, in this node's memory, so that a flood costs the database nothing. One address can't use up what
 * all have together.
 * @throws TRPCError TOO_MANY_REQUESTS
 */
async function requireWithinLimit({ ip, setHeader }: Call, meta: Meta, path: string): Promise<void> {
  const { address, all } = limitsOf(meta, path)
  try {
    await address.consume(networkOf(ip ?? 'unknown'))
    await all.consume('all')
  } catch {
    // At most so long: both count by the minute.
    setHeader?.('Retry-After', '60')
    throw new TRPCError({
      code: 'TOO_MANY_REQUESTS',
      message: 'Too many requests without a credential. Wait a minute, then try again.',
    })
  }
}
