// The least role that would have done for what a key did: a recommendation, made from its usage.
import { and, eq, gt, gte, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { apiKeyUsage } from '#db/schema.ts'
import { listOperations } from '../operations.ts'
import type { Holder } from '../permissions.ts'
import { isRoleAtLeast, Role, roles } from '../roles.ts'

/** Fewer calls, or calls of fewer days, say too little of what a key is for. */
export const enough = { calls: 20, days: 7, withinDays: 30 }

export const Recommendation = z
  .object({
    role: Role.describe('Lower than the key’s own, and enough for every call it made.'),
    since: z.iso.date().describe('The first day of the calls that this rests on, at most 30 days ago.'),
    calls: z.number().int(),
  })
  .meta({ id: 'Recommendation' })

/** Null when the key needs the role that it has, or too little is known of it. */
export async function findRecommendation(
  tx: Tx,
  tenantId: string,
  key: Holder & { id: string },
): Promise<z.infer<typeof Recommendation> | null> {
  if (key.status !== 'active') return null
  const rows = await tx
    .select({
      operation: apiKeyUsage.operation,
      neededRole: apiKeyUsage.neededRole,
      calls: sql<number>`sum(${apiKeyUsage.calls})`.mapWith(Number),
      since: sql<string>`min(${apiKeyUsage.day})::text`,
      isLongAgo: sql<boolean>`min(${apiKeyUsage.day}) <= (now() at time zone 'utc')::date - ${enough.days}::int`,
    })
    .from(apiKeyUsage)
    .where(
      and(
        eq(apiKeyUsage.tenantId, tenantId),
        eq(apiKeyUsage.keyId, key.id),
        gt(apiKeyUsage.calls, 0),
        gte(apiKeyUsage.day, sql`(now() at time zone 'utc')::date - ${enough.withinDays - 1}::int`),
      ),
    )
    .groupBy(apiKeyUsage.operation, apiKeyUsage.neededRole)
  const calls = rows.reduce((sum, row) => sum + row.calls, 0)
  const [since] = rows.map((row) => row.since).sort()
  if (since === undefined || calls < enough.calls || !rows.some(({ isLongAgo }) => isLongAgo)) return null
  const role = leastRole(rows)
  return isRoleAtLeast(role, key.role) ? null : { role, since, calls }
}

/** The lowest role that passes every one of these calls, by what they needed then and by what their operations declare now. */
function leastRole(rows: { operation: string; neededRole: Role }[]): Role {
  const declared = new Map(listOperations().map(({ name, meta }) => [name, meta.role]))
  const isEnough = (role: Role) =>
    rows.every(
      ({ operation, neededRole }) => isRoleAtLeast(role, neededRole) && isRoleAtLeast(role, declared.get(operation) ?? 'Public'),
    )
  return roles.find(isEnough) ?? 'SuperAdmin'
}
