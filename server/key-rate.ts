// How many requests a minute a limited key makes, counted in the database for all nodes together.
import { RateLimiterPostgres, RateLimiterRes } from 'rate-limiter-flexible'
import type { Database } from '#db/client.ts'

const windowSeconds = 60

export interface KeyRate {
  isExceeded: boolean
  /** Draft-ietf-httpapi-ratelimit-headers-10: `RateLimit-Policy`, `RateLimit`; and `Retry-After` when it is exceeded. */
  headers: Record<string, string>
}

const limiters = new WeakMap<Database, Map<number, RateLimiterPostgres>>()

/** One limiter for each limit that there is: it keeps in memory which keys are over it, and asks no database for those. */
function limiterOf(database: Database, limit: number): RateLimiterPostgres {
  const known = limiters.get(database) ?? new Map<number, RateLimiterPostgres>()
  limiters.set(database, known)
  const found = known.get(limit)
  if (found) return found
  const made = new RateLimiterPostgres({
    storeClient: { query: ({ text, values }: { text: string; values: unknown[] }) => database.query(text, values) },
    storeType: 'client',
    tableName: 'key_rates',
    tableCreated: true,
    clearExpiredByTimeout: false,
    keyPrefix: '',
    points: limit,
    duration: windowSeconds,
    inMemoryBlockOnConsumed: limit,
  })
  known.set(limit, made)
  return made
}

/** Counts one request of a key; outside the transaction of its work, so that no rollback takes it back. */
export async function countRequest(database: Database, keyId: string, limit: number): Promise<KeyRate> {
  try {
    const { remainingPoints, msBeforeNext } = await database.whileAlive(() => limiterOf(database, limit).consume(keyId))
    return { isExceeded: false, headers: headersOf(limit, remainingPoints, msBeforeNext) }
  } catch (thrown) {
    if (!(thrown instanceof RateLimiterRes)) throw thrown
    const headers = headersOf(limit, 0, thrown.msBeforeNext)
    return { isExceeded: true, headers: { ...headers, 'Retry-After': String(secondsOf(thrown.msBeforeNext)) } }
  }
}

const secondsOf = (ms: number) => Math.max(1, Math.ceil(ms / 1_000))

function headersOf(limit: number, remaining: number, msBeforeNext: number): Record<string, string> {
  return {
    'RateLimit-Policy': `"minute";q=${limit};w=${windowSeconds}`,
    RateLimit: `"minute";r=${remaining};t=${secondsOf(msBeforeNext)}`,
  }
}
