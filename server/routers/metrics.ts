// What a tenant's runs came to, for an overview: how many, how they ended, how fast the agents answered, day by day.
import { and, eq, gte, isNotNull, type SQL, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { results, runs } from '#db/schema.ts'
import { procedure } from '../gate.ts'
import { t } from '../trpc.ts'

const whole = z.number().int()

const Summary = z
  .object({
    days: whole,
    runs: z.object({ total: whole, completed: whole, failed: whole, cancelled: whole }),
    cases: z.object({ total: whole, passed: whole, failed: whole, skipped: whole, errors: whole }),
    passRate: z.number().nullable().describe('Passed of those that passed, failed or were errors; null when there are none.'),
    medianLatencyMs: z.number().nullable().describe('Of the cases that an agent answered.'),
    byDay: z.array(
      z.object({
        day: z.iso.date().describe('In UTC.'),
        runs: whole,
        passed: whole.describe('Cases.'),
        judged: whole.describe('Cases that passed, failed or were errors.'),
      }),
    ),
  })
  .meta({ id: 'MetricsSummary' })

const sumOf = (name: 'total' | 'passed' | 'failed' | 'skipped' | 'errors') => sql<number>`sum(${runs[name]})`.mapWith(Number)
const countOf = (status: string) => sql<number>`count(*) filter (where ${runs.status} = ${status})`.mapWith(Number)

const counted = {
  runs: sql<number>`count(*)`.mapWith(Number),
  completed: countOf('completed'),
  failedRuns: countOf('failed'),
  cancelled: countOf('cancelled'),
  total: sumOf('total'),
  passed: sumOf('passed'),
  failed: sumOf('failed'),
  skipped: sumOf('skipped'),
  errors: sumOf('errors'),
}

type Counts = Record<keyof typeof counted, number>

const judgedOf = ({ passed, failed, errors }: Counts) => passed + failed + errors

/** One for each of the last `count` days in UTC, oldest first; `today` is the database's. */
function fillDays(found: (Counts & { day: string })[], count: number, today: string) {
  const byDay = new Map(found.map((row) => [row.day, row]))
  return Array.from({ length: count }, (_, i) => {
    const day = new Date(Date.parse(today) - (count - 1 - i) * 86_400_000).toISOString().slice(0, 10)
    const row = byDay.get(day)
    return { day, runs: row?.runs ?? 0, passed: row?.passed ?? 0, judged: row ? judgedOf(row) : 0 }
  })
}

async function findMedianLatency(tx: Tx, tenantId: string, isCounted: SQL | undefined): Promise<number | null> {
  const [row] = await tx
    .select({ median: sql<number | null>`percentile_cont(0.5) within group (order by ${results.latencyMs})` })
    .from(results)
    .innerJoin(runs, eq(runs.id, results.runId))
    .where(and(eq(results.tenantId, tenantId), isNotNull(results.latencyMs), isCounted))
  return row?.median ?? null
}

export const metricsRouter = t.router({
  getSummary: procedure
    .meta({
      role: 'Viewer',
      openapi: {
        tags: ['metrics'],
        method: 'GET',
        path: '/metrics/summary',
        summary: 'Summarise the runs',
        description: 'Of the runs that were asked for in the last days, today included, in UTC: how they ended, and their cases.',
      },
    })
    .input(z.strictObject({ days: whole.min(1).max(90).default(30).describe('How far back, today included.') }))
    .output(Summary)
    .query(async ({ ctx: { tx, tenant }, input: { days } }) => {
      const today = sql`(now() at time zone 'utc')::date`
      const since = sql`((${today} - ${days - 1}::int)::timestamp at time zone 'utc')`
      const isCounted = and(eq(runs.tenantId, tenant.id), gte(runs.createdAt, since))
      const day = sql<string>`((${runs.createdAt} at time zone 'utc')::date)::text`
      const found = await tx
        .select({ day, ...counted })
        .from(runs)
        .where(isCounted)
        .groupBy(sql`1`)
      const [now] = await tx.select({ today: sql<string>`${today}::text` }).from(sql`(select) as once`)
      const total = (name: keyof Counts) => found.reduce((all, row) => all + row[name], 0)
      const [passed, failed, errors] = [total('passed'), total('failed'), total('errors')]
      const judged = passed + failed + errors
      return {
        days,
        runs: { total: total('runs'), completed: total('completed'), failed: total('failedRuns'), cancelled: total('cancelled') },
        cases: { total: total('total'), passed, failed, skipped: total('skipped'), errors },
        passRate: judged === 0 ? null : passed / judged,
        medianLatencyMs: await findMedianLatency(tx, tenant.id, isCounted),
        byDay: fillDays(found, days, now?.today ?? ''),
      }
    }),
})
