// Test cases: what is said to an agent in a suite's run, and what is expected of its answers.
import { and, sql } from 'drizzle-orm'
import { z } from 'zod'
import { testCases } from '#db/schema.ts'
import { procedure } from '../gate.ts'
import { Id } from '../input.ts'
import { decodeCursor, PageInput, pageOf, toPage } from '../paging.ts'
import { t } from '../trpc.ts'
import {
  CaseInput,
  columns,
  entityOf,
  fieldsOf,
  getCase,
  isCase,
  isOfSuite,
  maxSortOrder,
  requireRoom,
  requireSuite,
  TestCase,
  toCase,
} from './test-case-records.ts'

const openapi = { tags: ['testsuites'] }
const Position = z.tuple([z.number().int(), Id])

/** What is behind the cursor in the order of a suite. @throws TRPCError BAD_REQUEST, as decodeCursor. */
function behind(cursor: string | undefined) {
  if (cursor === undefined) return undefined
  const [sortOrder, id] = decodeCursor(cursor, Position)
  return sql`(${testCases.sortOrder}, ${testCases.id}) > (${sortOrder}::int, ${id}::uuid)`
}

export const testCasesRouter = t.router({
  list: procedure
    .meta({
      role: 'Viewer',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/testsuites/{suiteId}/testcases',
        summary: 'List the cases of a test suite',
        description: 'In the order in which a run executes them: by `sortOrder`, then by id.',
      },
    })
    .input(z.strictObject({ suiteId: Id, ...PageInput }))
    .output(pageOf(TestCase))
    .query(async ({ ctx: { tx, tenant }, input: { suiteId, limit, cursor } }) => {
      const position = behind(cursor)
      await requireSuite(tx, tenant.id, suiteId)
      const rows = await tx
        .select(columns)
        .from(testCases)
        .where(and(isOfSuite(tenant.id, suiteId), position))
        .orderBy(testCases.sortOrder, testCases.id)
        .limit(limit + 1)
      return toPage(rows, limit, toCase, ({ sortOrder, id }) => [sortOrder, id])
    }),

  get: procedure
    .meta({
      role: 'Viewer',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/testcases/{id}',
        summary: 'Get a test case',
        description: 'One test case, as it is now; a run keeps it as it was.',
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(TestCase)
    .query(({ ctx: { tx, tenant }, input }) => getCase(tx, tenant.id, input.id)),

  create: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'test_case.created',
      openapi: {
        ...openapi,
        method: 'POST',
        path: '/testsuites/{suiteId}/testcases',
        conflicts: true,
        summary: 'Add a case to a test suite',
        description: 'Names are unique in a suite, whatever their case.',
        status: 201,
        location: '/testcases/{id}',
      },
    })
    .input(z.strictObject({ suiteId: Id, ...CaseInput }))
    .output(TestCase)
    .mutation(async ({ ctx: { tx, tenant, audit }, input: { suiteId, sortOrder, ...fields } }) => {
      await requireSuite(tx, tenant.id, suiteId, true)
      await requireRoom(tx, tenant.id, suiteId)
      const last = sql<number>`(select least(coalesce(max(sort_order) + 1, 0), ${maxSortOrder}::int) from test_cases where tenant_id = ${tenant.id} and suite_id = ${suiteId})`
      const [row] = await tx
        .insert(testCases)
        .values({ tenantId: tenant.id, suiteId, ...fields, sortOrder: sortOrder ?? last })
        .returning(columns)
      if (!row) throw new Error('the insert returned no row')
      const testCase = toCase(row)
      audit.record({ entity: entityOf(testCase), after: fieldsOf(testCase) })
      return testCase
    }),

  update: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'test_case.updated',
      openapi: {
        ...openapi,
        method: 'PUT',
        path: '/testcases/{id}',
        conflicts: true,
        summary: 'Replace a test case',
        description:
          'Replaces all fields but its suite; those left out take their defaults. Runs keep the case as it was when they were asked for.',
      },
    })
    .input(z.strictObject({ id: Id, ...CaseInput }))
    .output(TestCase)
    .mutation(async ({ ctx: { tx, tenant, audit }, input: { id, sortOrder, ...fields } }) => {
      const before = await getCase(tx, tenant.id, id, true)
      const [row] = await tx
        .update(testCases)
        .set({ ...fields, sortOrder: sortOrder ?? before.sortOrder, updatedAt: sql`clock_timestamp()` })
        .where(isCase(tenant.id, id))
        .returning(columns)
      if (!row) throw new Error('the update returned no row')
      const after = toCase(row)
      audit.record({ entity: entityOf(after), before: fieldsOf(before), after: fieldsOf(after) })
      return after
    }),

  delete: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'test_case.deleted',
      openapi: {
        ...openapi,
        method: 'DELETE',
        path: '/testcases/{id}',
        summary: 'Delete a test case',
        description: 'Removes the case; its results in runs, and its audit trail, stay.',
        status: 204,
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(z.void())
    .mutation(async ({ ctx: { tx, tenant, audit }, input: { id } }) => {
      const before = await getCase(tx, tenant.id, id, true)
      await tx.delete(testCases).where(isCase(tenant.id, id))
      audit.record({ entity: entityOf(before), before: fieldsOf(before) })
    }),
})
