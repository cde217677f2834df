// Results of runs: the verdict on each case, what was said in it, and what a person makes of it.
import { TRPCError } from '@trpc/server'
import { and, asc, eq, gt, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { results, scoreNames, transcriptMessages } from '#db/schema.ts'
import { procedure } from '../gate.ts'
import { Id, Instant } from '../input.ts'
import { decodeCursor, PageInput, pageOf, toPage } from '../paging.ts'
import { t } from '../trpc.ts'
import { getRun } from './run-records.ts'

const Share = z.number().min(0).max(1)
const Scores = z.object(
  Object.fromEntries(scoreNames.map((name) => [name, Share])) as Record<(typeof scoreNames)[number], typeof Share>,
)
const HumanVerdict = z.enum(results.humanVerdict.enumValues)

const Result = z
  .object({
    id: Id,
    runId: Id,
    position: z.number().int().describe('Its place in the run, from 0.'),
    testCaseId: Id.nullable().describe('Null once the test case is deleted.'),
    name: z.string().describe('The test case’s, as it was when the run was asked for; so are the tags.'),
    tags: z.array(z.string()),
    verdict: z.enum(results.verdict.enumValues).nullable().describe('Null until the case was executed.'),
    scores: Scores.nullable().describe('Null where nothing was judged.'),
    overallScore: Share.nullable(),
    rationale: z.string().nullable(),
    latencyMs: z.number().nullable().describe('Of the agent’s answers, together.'),
    executedAt: Instant.nullable(),
    human: z
      .object({ verdict: HumanVerdict, note: z.string(), byName: z.string(), at: Instant })
      .nullable()
      .describe('A person’s verdict. It stands beside the judge’s, and does not change the run’s counts.'),
  })
  .meta({ id: 'Result' })
type Result = z.infer<typeof Result>

const Message = z
  .object({
    role: z.enum(transcriptMessages.role.enumValues),
    content: z.string(),
    raw: z.string().nullable().describe('The agent’s answer as it came, cut at 64 KiB.'),
    turnIndex: z.number().int().describe('The turn that it belongs to, from 0.'),
    latencyMs: z.number().nullable(),
    timestamp: Instant,
  })
  .meta({ id: 'TranscriptMessage' })

type Row = typeof results.$inferSelect

function toResult(row: Row): Result {
  const { id, runId, position, testCaseId, testCase, verdict, scores, overallScore, rationale, latencyMs } = row
  return {
    ...{ id, runId, position, testCaseId, name: testCase.name, tags: testCase.tags },
    ...{ verdict, scores, overallScore, rationale, latencyMs },
    executedAt: row.executedAt?.toISOString() ?? null,
    human: humanOf(row),
  }
}

function humanOf({ humanVerdict: verdict, humanNote, humanByName, humanAt }: Row): Result['human'] {
  if (!verdict || !humanAt) return null
  return { verdict, note: humanNote ?? '', byName: humanByName ?? '', at: humanAt.toISOString() }
}

const isResult = (tenantId: string, id: string) => and(eq(results.tenantId, tenantId), eq(results.id, id))

/** @throws TRPCError NOT_FOUND, for another tenant's result too. */
async function getResult(tx: Tx, tenantId: string, id: string, forUpdate = false): Promise<Result> {
  const query = tx.select().from(results).where(isResult(tenantId, id))
  const [row] = await (forUpdate ? query.for('update') : query)
  if (!row) throw new TRPCError({ code: 'NOT_FOUND', message: 'There is no result with this id.' })
  return toResult(row)
}

const Position = z.tuple([z.number().int()])
const openapi = { tags: ['runs'] }

export const resultsRouter = t.router({
  list: procedure
    .meta({
      role: 'Viewer',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/runs/{id}/results',
        summary: 'List a run’s results',
        description: 'One for each test case of the run, in their order, from its beginning on.',
      },
    })
    .input(z.strictObject({ id: Id, ...PageInput }))
    .output(pageOf(Result))
    .query(async ({ ctx: { tx, tenant }, input: { id, limit, cursor } }) => {
      await getRun(tx, tenant.id, id)
      const after = cursor === undefined ? undefined : gt(results.position, decodeCursor(cursor, Position)[0])
      const rows = await tx
        .select()
        .from(results)
        .where(and(eq(results.tenantId, tenant.id), eq(results.runId, id), after))
        .orderBy(asc(results.position))
        .limit(limit + 1)
      return toPage(rows, limit, toResult, ({ position }) => [position])
    }),

  get: procedure
    .meta({
      role: 'Viewer',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/results/{id}',
        summary: 'Get a result',
        description: 'The result of one test case of a run.',
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(Result)
    .query(({ ctx: { tx, tenant }, input }) => getResult(tx, tenant.id, input.id)),

  getTranscript: procedure
    .meta({
      role: 'Viewer',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/results/{id}/transcript',
        summary: 'Get a transcript',
        description: 'What was said to the agent and what it answered, in order; empty until the case was executed.',
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(z.object({ items: z.array(Message) }))
    .query(async ({ ctx: { tx, tenant }, input: { id } }) => {
      await getResult(tx, tenant.id, id)
      const said = transcriptMessages
      const rows = await tx
        .select()
        .from(said)
        .where(and(eq(said.tenantId, tenant.id), eq(said.resultId, id)))
        .orderBy(asc(said.position))
      const items = rows.map(({ role, content, raw, turnIndex, latencyMs, at }) => {
        return { role, content, raw, turnIndex, latencyMs, timestamp: at.toISOString() }
      })
      return { items }
    }),

  setHumanVerdict: procedure
    .meta({
      role: 'Tester',
      audit: 'result.judged',
      scope: 'runs:execute',
      openapi: {
        ...openapi,
        method: 'POST',
        path: '/results/{id}/human-verdict',
        conflicts: true,
        summary: 'Judge a result',
        description:
          'Puts a person’s verdict beside the judge’s, in place of an earlier one; null takes it back. The run’s counts stay as they are.',
      },
    })
    .input(
      z.strictObject({
        id: Id,
        verdict: HumanVerdict.nullable(),
        note: z.string().trim().max(2000, 'Must have at most 2000 characters.').default(''),
      }),
    )
    .output(Result)
    .mutation(async ({ ctx: { tx, tenant, principal, audit }, input: { id, verdict, note } }) => {
      const before = await getResult(tx, tenant.id, id, true)
      if (before.verdict === null) {
        throw new TRPCError({ code: 'CONFLICT', message: 'The case was not executed, so there is nothing to judge.' })
      }
      if (verdict === null && before.human === null) {
        audit.unchanged()
        return before
      }
      const human = { humanVerdict: verdict, humanNote: note, humanById: principal.id, humanByName: principal.name }
      const nobody = { humanVerdict: null, humanNote: null, humanById: null, humanByName: null, humanAt: null }
      const [row] = await tx
        .update(results)
        .set(verdict ? { ...human, humanAt: sql`clock_timestamp()` } : nobody)
        .where(isResult(tenant.id, id))
        .returning()
      if (!row) throw new Error('the update returned no row')
      const after = toResult(row)
      const entity = { type: 'result', id, name: after.name } as const
      audit.record({ entity, before: fieldsOf(before), after: fieldsOf(after) })
      return after
    }),
})

const fieldsOf = ({ human, verdict }: Result) => ({ verdict, humanVerdict: human?.verdict ?? null, note: human?.note ?? '' })
