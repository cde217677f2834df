// Runs: a suite executed against an agent, asked for here and executed by server/execution/.
import { TRPCError } from '@trpc/server'
import { and, desc, eq, sql } from 'drizzle-orm'
import { z } from 'zod'
import { runs } from '#db/schema.ts'
import { endRun } from '../execution/run-end.ts'
import { lockTurns, requestTurn } from '../execution/run-turns.ts'
import { procedure } from '../gate.ts'
import { Id } from '../input.ts'
import { olderThan, PageInput, pageOf, toPage } from '../paging.ts'
import { requireQuota } from '../quotas.ts'
import { t } from '../trpc.ts'
import {
  chooseCases,
  entityOf,
  getRun,
  insertResults,
  isEnded,
  Run,
  RunFilter,
  requireAgent,
  requireRoom,
  requireSuite,
  toRun,
} from './run-records.ts'

const openapi = { tags: ['runs'] }
const longestWaitSeconds = 30
const mostCases = 1_000

export const runsRouter = t.router({
  list: procedure
    .meta({
      role: 'Viewer',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/runs',
        summary: 'List runs',
        description: 'The runs of the tenant, newest first, of one suite, one agent or one status if that is asked for.',
      },
    })
    .input(z.strictObject({ ...RunFilter, ...PageInput }))
    .output(pageOf(Run))
    .query(async ({ ctx: { tx, tenant }, input: { suiteId, agentId, status, limit, cursor } }) => {
      const rows = await tx
        .select({ run: runs, position: sql<string>`${runs.createdAt}::text` })
        .from(runs)
        .where(
          and(
            eq(runs.tenantId, tenant.id),
            suiteId ? eq(runs.suiteId, suiteId) : undefined,
            agentId ? eq(runs.agentId, agentId) : undefined,
            status ? eq(runs.status, status) : undefined,
            olderThan(runs.createdAt, runs.id, cursor),
          ),
        )
        .orderBy(desc(runs.createdAt), desc(runs.id))
        .limit(limit + 1)
      return toPage(
        rows,
        limit,
        ({ run }) => toRun(run),
        ({ run, position }) => [position, run.id],
      )
    }),

  get: procedure
    .meta({
      role: 'Viewer',
      repeatUntil: (output) => isEnded(output as Run), // as the output's schema says
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/runs/{id}',
        summary: 'Get a run',
        description:
          'One run. With `wait`, the answer comes once the run has ended, or after so many seconds with the run as it is then: ask again while `completedAt` is null.',
      },
    })
    .input(
      z.strictObject({
        id: Id,
        wait: z
          .number()
          .int()
          .min(0)
          .max(longestWaitSeconds)
          .default(0)
          .describe('Seconds to wait at most for the end of the run.'),
      }),
    )
    .output(Run)
    .query(({ ctx: { tx, tenant }, input }) => getRun(tx, tenant.id, input.id)),

  create: procedure
    .meta({
      role: 'Tester',
      audit: 'run.created',
      scope: 'runs:execute',
      openapi: {
        ...openapi,
        method: 'POST',
        path: '/runs',
        conflicts: true,
        summary: 'Start a run',
        description:
          'Executes the active test cases of a suite against an agent, or those that are named, active or not. The cases are taken as they are now. See `GET /runs/{id}?wait=30` for its end.',
        status: 202,
        location: '/runs/{id}',
      },
    })
    .input(
      z.strictObject({
        suiteId: Id,
        agentId: Id,
        testCaseIds: z.array(Id).min(1, 'Must name at least one, or be left out for all.').max(mostCases).optional(),
      }),
    )
    .output(Run)
    .mutation(async ({ ctx: { tx, tenant, principal, audit }, input: { suiteId, agentId, testCaseIds } }) => {
      const suite = await requireSuite(tx, tenant.id, suiteId)
      const agent = await requireAgent(tx, tenant.id, agentId)
      const caseIds = await chooseCases(tx, tenant.id, suiteId, testCaseIds)
      await lockTurns(tx, tenant.id)
      await requireRoom(tx, tenant.id)
      await requireQuota(tx, tenant.id, 'maxRunsPerMonth')
      const [row] = await tx
        .insert(runs)
        .values({
          tenantId: tenant.id,
          suiteId,
          suiteName: suite.name,
          agentId,
          agentName: agent.name,
          passThreshold: suite.passThreshold,
          delayBetweenTestsMs: suite.delayBetweenTestsMs,
          total: caseIds.length,
          requestedByKind: principal.kind,
          requestedById: principal.id,
          requestedByName: principal.name,
        })
        .returning()
      if (!row) throw new Error('the insert returned no row')
      await insertResults(tx, tenant.id, row.id, caseIds)
      await requestTurn(tx, { tenantId: tenant.id, runId: row.id })
      const run = toRun(row)
      const { suiteName, agentName, counts } = run
      audit.record({ entity: entityOf(run), after: { suiteId, suiteName, agentId, agentName, total: counts.total } })
      return run
    }),

  cancel: procedure
    .meta({
      role: 'Tester',
      audit: 'run.cancelled',
      scope: 'runs:execute',
      openapi: {
        ...openapi,
        method: 'POST',
        path: '/runs/{id}/cancel',
        conflicts: true,
        summary: 'Cancel a run',
        description: 'Ends it at once: a case that is under way is not stored, and no other is begun. What was judged stays.',
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(Run)
    .mutation(async ({ ctx: { tx, tenant, audit }, input: { id } }) => {
      const before = await getRun(tx, tenant.id, id, true)
      const row = await endRun(tx, { tenantId: tenant.id, runId: id }, 'cancelled')
      if (!row) throw new TRPCError({ code: 'CONFLICT', message: `The run has ended already: it is ${before.status}.` })
      const after = toRun(row)
      audit.record({ entity: entityOf(after), before: fieldsOf(before), after: fieldsOf(after) })
      return after
    }),

  delete: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'run.deleted',
      openapi: {
        ...openapi,
        method: 'DELETE',
        path: '/runs/{id}',
        conflicts: true,
        summary: 'Delete a run',
        description: 'Removes a run that has ended, with its results and transcripts; its audit trail stays.',
        status: 204,
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(z.void())
    .mutation(async ({ ctx: { tx, tenant, audit }, input: { id } }) => {
      const before = await getRun(tx, tenant.id, id, true)
      if (!isEnded(before)) throw new TRPCError({ code: 'CONFLICT', message: 'The run has not ended. Cancel it first.' })
      await tx.delete(runs).where(and(eq(runs.tenantId, tenant.id), eq(runs.id, id)))
      audit.record({ entity: entityOf(before), before: fieldsOf(before) })
    }),
})

/** What a run came to, for the audit log. */
const fieldsOf = ({ status, counts, agentName, passRate }: Run) => ({ status, ...counts, agentName, passRate })
