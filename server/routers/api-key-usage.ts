// What a key does and may do: its calls by day and operation, its refusals, the least role that would do.
import { and, desc, eq, gte, inArray, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { apiKeyUsage, auditFolds, auditLog } from '#db/schema.ts'
import { keptDays } from '../call-counts.ts'
import { procedure } from '../gate.ts'
import { Id, Instant } from '../input.ts'
import { Permission, permissionsOf } from '../permissions.ts'
import { t } from '../trpc.ts'
import { getKey } from './api-key-records.ts'
import { findShadow, Shadow } from './api-key-shadow.ts'
import { findRecommendation, Recommendation } from './least-role.ts'

const Day = z.iso.date()

const KeyUsage = z
  .object({
    days: z.array(z.object({ date: Day, calls: z.number().int(), refusals: z.number().int() })).describe('In UTC, oldest first.'),
    operations: z
      .array(
        z.object({
          operation: z.string(),
          calls: z.number().int().describe('Those that were let in, whatever came of them.'),
          refusals: z.number().int(),
          lastAt: Instant,
          lastIp: z.string().nullable(),
        }),
      )
      .describe('Most used first.'),
    refusals: z
      .array(
        z.object({
          at: Instant,
          operation: z.string(),
          reason: z.string(),
          occurrences: z.number().int(),
          ip: z.string().nullable(),
        }),
      )
      .describe('The latest 10, from the audit log.'),
    recommendation: Recommendation.nullable(),
    shadow: Shadow.nullable(),
  })
  .meta({ id: 'KeyUsage' })

const openapi = { tags: ['api-keys'] }

export const apiKeyUsageRouter = t.router({
  getUsage: procedure
    .meta({
      role: 'TenantAdmin',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/admin/api-keys/{id}/usage',
        summary: 'Get what an API key is used for',
        description:
          'Calls and refusals by day and by operation, the latest refusals, and the least role that would have done. Collected in batches: seconds behind.',
      },
    })
    .input(
      z.strictObject({
        id: Id,
        days: z.number().int().min(1).max(keptDays).default(90).describe('How far back, today included.'),
        operation: z.string().max(100).optional().describe('`days` of this one alone, such as `agents.list`.'),
      }),
    )
    .output(KeyUsage)
    .query(async ({ ctx: { tx, tenant }, input: { id, days, operation } }) => {
      const key = await getKey(tx, tenant.id, id)
      const which = and(
        eq(apiKeyUsage.tenantId, tenant.id),
        eq(apiKeyUsage.keyId, id),
        gte(apiKeyUsage.day, sql`(now() at time zone 'utc')::date - ${days - 1}::int`),
      )
      const byDay = await tx
        .select({ date: apiKeyUsage.day, ...sums })
        .from(apiKeyUsage)
        .where(and(which, operation ? eq(apiKeyUsage.operation, operation) : undefined))
        .groupBy(apiKeyUsage.day)
      const operations = await tx
        .select({
          operation: apiKeyUsage.operation,
          ...sums,
          lastAt: sql<Date | string>`max(${apiKeyUsage.lastAt})`,
          lastIp: sql<string | null>`(array_agg(${apiKeyUsage.lastIp} order by ${apiKeyUsage.lastAt} desc))[1]`,
        })
        .from(apiKeyUsage)
        .where(which)
        .groupBy(apiKeyUsage.operation)
        .orderBy(desc(sql`sum(${apiKeyUsage.calls} + ${apiKeyUsage.refusals})`), apiKeyUsage.operation)
      return {
        days: fillDays(byDay, days),
        operations: operations.map((row) => ({ ...row, lastAt: new Date(row.lastAt).toISOString() })),
        refusals: operations.some(({ refusals }) => refusals > 0) ? await findRefusals(tx, tenant.id, id, days) : [],
        recommendation: await findRecommendation(tx, tenant.id, key),
        shadow: await findShadow(tx, tenant.id, id),
      }
    }),

  listPermissions: procedure
    .meta({
      role: 'TenantAdmin',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/admin/api-keys/{id}/permissions',
        summary: 'List what an API key may call',
        description: 'Every operation, whether the key may call it, and why not.',
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(z.object({ items: z.array(Permission) }))
    .query(async ({ ctx: { tx, tenant }, input }) => ({ items: permissionsOf(await getKey(tx, tenant.id, input.id)) })),
})

const sums = {
  calls: sql<number>`sum(${apiKeyUsage.calls})`.mapWith(Number),
  refusals: sql<number>`sum(${apiKeyUsage.refusals})`.mapWith(Number),
}

interface DayUsage {
  date: string
  calls: number
  refusals: number
}

/** One for each of the last `count` days in UTC, oldest first; a day without a call has zeros. */
function fillDays(found: DayUsage[], count: number): DayUsage[] {
  const byDate = new Map(found.map((day) => [day.date, day]))
  const today = Date.now()
  return Array.from({ length: count }, (_, i) => {
    const date = new Date(today - (count - 1 - i) * 86_400_000).toISOString().slice(0, 10)
    return byDate.get(date) ?? { date, calls: 0, refusals: 0 }
  })
}

async function findRefusals(tx: Tx, tenantId: string, id: string, days: number) {
  const rows = await tx
    .select({
      at: auditLog.at,
      details: auditLog.details,
      ip: auditLog.ip,
      occurrences: sql<number>`coalesce(${auditFolds.occurrences}, 1)`,
    })
    .from(auditLog)
    .leftJoin(auditFolds, and(eq(auditFolds.tenantId, auditLog.tenantId), eq(auditFolds.foldKey, auditLog.foldKey)))
    .where(
      and(
        eq(auditLog.tenantId, tenantId),
        inArray(auditLog.action, ['api_key.refused', 'api_key.tripwire']),
        eq(auditLog.entityId, id),
        gte(auditLog.at, sql`now() - make_interval(days => ${days}::int)`),
      ),
    )
    .orderBy(desc(auditLog.id))
    .limit(10)
  return rows.map(({ at, details, ip, occurrences }) => ({
    at: at.toISOString(),
    operation: details.operation ?? '',
    reason: details.reason ?? '',
    occurrences,
    ip,
  }))
}
