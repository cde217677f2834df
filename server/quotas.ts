// What a tenant may have at most: counted exactly, and only where a quota is set.
import { TRPCError } from '@trpc/server'
import { eq, type SQL, sql } from 'drizzle-orm'
import type { Tx } from '#db/client.ts'
import { agents, apiKeys, deletedRuns, runs, tenants, testSuites, users } from '#db/schema.ts'
import { QuotaExceeded } from './problem.ts'

/** As the columns of `tenants` and the fields of the API are called, in the order of the pages. */
const quotaNames = ['maxUsers', 'maxApiKeys', 'maxAgents', 'maxTestSuites', 'maxRunsPerMonth'] as const
export type Quota = (typeof quotaNames)[number]

/** Null is none. */
export type Quotas = Record<Quota, number | null>
type Usage = Record<Quota, number>

export const quotaColumns = {
  maxUsers: tenants.maxUsers,
  maxApiKeys: tenants.maxApiKeys,
  maxAgents: tenants.maxAgents,
  maxTestSuites: tenants.maxTestSuites,
  maxRunsPerMonth: tenants.maxRunsPerMonth,
}

/** The first instant of the calendar month, in UTC. */
const month = sql`(date_trunc('month', clock_timestamp() at time zone 'UTC') at time zone 'UTC')`

/** What counts, each as one subquery: so that what is deleted meanwhile is counted once. */
const counts: Record<Quota, (tenantId: string) => SQL<number>> = {
  maxUsers: (id) => sql`(select count(*)::int from ${users} where ${users.tenantId} = ${id} and ${users.isActive})`,
  // A key on its way out has left its place to its successor.
  maxApiKeys: (id) => sql`(select count(*)::int from ${apiKeys} where ${apiKeys.tenantId} = ${id} and ${apiKeys.revokedAt} is null
    and ${apiKeys.rotatesOutAt} is null and (${apiKeys.expiresAt} is null or ${apiKeys.expiresAt} > clock_timestamp()))`,
  maxAgents: (id) => sql`(select count(*)::int from ${agents} where ${agents.tenantId} = ${id})`,
  maxTestSuites: (id) => sql`(select count(*)::int from ${testSuites} where ${testSuites.tenantId} = ${id})`,
  // A run that was deleted was one.
  maxRunsPerMonth: (
    id,
  ) => sql`((select count(*)::int from ${runs} where ${runs.tenantId} = ${id} and ${runs.createdAt} >= ${month})
    + coalesce((select ${deletedRuns.runs} from ${deletedRuns} where ${deletedRuns.tenantId} = ${id}
        and ${deletedRuns.month} = (${month} at time zone 'UTC')::date), 0))`,
}

const words: Record<Quota, { what: string; remedy: string }> = {
  maxUsers: { what: 'active users', remedy: 'Deactivate or remove one' },
  maxApiKeys: { what: 'active API keys', remedy: 'Revoke one' },
  maxAgents: { what: 'agents', remedy: 'Delete one' },
  maxTestSuites: { what: 'test suites', remedy: 'Delete one' },
  maxRunsPerMonth: { what: 'runs this month', remedy: 'Wait for the next month, which begins at midnight UTC' },
}

/** How much of each quota is used, whether it is set or not. `tx` is in the tenant. */
export async function readUsage(tx: Tx, tenantId: string): Promise<Usage> {
  const asked = quotaNames.map((quota) => [quota, counts[quota](tenantId)] as const)
  const [row] = await tx.select(Object.fromEntries(asked)).from(sql`(select) as once`)
  return row as Usage // one column each
}

/**
 * Makes sure that there is room for one more, and keeps it until the transaction ends: of two that would take the last
 * place at once, the second waits for the first. Without a quota it costs the look at one column. `tx` is in the tenant.
 * @throws TRPCError TOO_MANY_REQUESTS whose cause is QuotaExceeded: 429 `quota_exceeded`.
 */
export async function requireQuota(tx: Tx, tenantId: string, quota: Quota): Promise<void> {
  const [row] = await tx.select({ most: quotaColumns[quota] }).from(tenants).where(eq(tenants.id, tenantId))
  const most = row?.most ?? null
  if (most === null) return
  const lock = JSON.stringify(['mate.quota', tenantId, quota])
  await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended(${lock}::text, 0))`)
  // Behind the lock, in a statement of its own: it sees what was committed meanwhile.
  const [found] = await tx.select({ used: counts[quota](tenantId) }).from(sql`(select) as once`)
  const used = found?.used ?? 0
  if (used < most) return
  const { what, remedy } = words[quota]
  const message = `The tenant has ${used} of ${most} ${what} (quota ${quota}). ${remedy}, or ask a SuperAdmin to raise the quota.`
  throw new TRPCError({ code: 'TOO_MANY_REQUESTS', message, cause: new QuotaExceeded(quota) })
}
