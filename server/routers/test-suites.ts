// Test suites: what a run executes against an agent, and when it has passed.
import { TRPCError } from '@trpc/server'
import { and, eq, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { testSuites } from '#db/schema.ts'
import { procedure } from '../gate.ts'
import { Id, Instant, line } from '../input.ts'
import { listNewest, PageInput, pageOf } from '../paging.ts'
import { requireQuota } from '../quotas.ts'
import { t } from '../trpc.ts'
import { requireJudgeSetting } from './judge-setting-records.ts'

const SuiteInput = {
  name: line(100),
  description: z.string().trim().max(2000, 'Must have at most 2000 characters.').default(''),
  passThreshold: z.number().min(0).max(1).default(0.8).describe('The share of cases that must pass for a run to have passed.'),
  delayBetweenTestsMs: z.number().int().min(0).max(60_000).default(0).describe('How long a run pauses between two cases.'),
  tags: z.array(line(50)).max(20, 'Must have at most 20 tags.').default([]),
  judgeSettingId: Id.nullable().default(null).describe('Judges its runs; null: the agent’s, or else the tenant’s default.'),
}

const TestSuite = z
  .object({
    id: Id,
    name: z.string(),
    description: z.string(),
    passThreshold: z.number(),
    delayBetweenTestsMs: z.number().int(),
    tags: z.array(z.string()),
    judgeSettingId: Id.nullable(),
    caseCount: z.number().int().describe('Of its test cases, inactive ones too.'),
    createdAt: Instant,
    updatedAt: Instant,
  })
  .meta({ id: 'TestSuite' })
type TestSuite = z.infer<typeof TestSuite>

const columns = {
  id: testSuites.id,
  name: testSuites.name,
  description: testSuites.description,
  passThreshold: testSuites.passThreshold,
  delayBetweenTestsMs: testSuites.delayBetweenTestsMs,
  tags: testSuites.tags,
  judgeSettingId: testSuites.judgeSettingId,
  caseCount: sql<number>`(select count(*)::int from test_cases c where c.tenant_id = ${testSuites}.tenant_id and c.suite_id = ${testSuites}.id)`,
  createdAt: testSuites.createdAt,
  updatedAt: testSuites.updatedAt,
}

type Row = Omit<TestSuite, 'createdAt' | 'updatedAt'> & { createdAt: Date; updatedAt: Date }

const toSuite = ({ createdAt, updatedAt, ...rest }: Row): TestSuite => ({
  ...rest,
  createdAt: createdAt.toISOString(),
  updatedAt: updatedAt.toISOString(),
})

const fieldsOf = ({ id: _, caseCount: __, createdAt: ___, updatedAt: ____, ...fields }: TestSuite) => fields
const entityOf = ({ id, name }: TestSuite) => ({ type: 'test_suite', id, name }) as const
const isSuite = (tenantId: string, id: string) => and(eq(testSuites.tenantId, tenantId), eq(testSuites.id, id))

/** @throws TRPCError NOT_FOUND, for another tenant's suite too. */
async function getSuite(tx: Tx, tenantId: string, id: string, forUpdate = false): Promise<TestSuite> {
  const query = tx.select(columns).from(testSuites).where(isSuite(tenantId, id))
  const [row] = await (forUpdate ? query.for('update') : query)
  if (!row) throw new TRPCError({ code: 'NOT_FOUND', message: 'There is no test suite with this id.' })
  return toSuite(row)
}

const openapi = { tags: ['testsuites'] }

export const testSuitesRouter = t.router({
  list: procedure
    .meta({
      role: 'Viewer',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/testsuites',
        summary: 'List test suites',
        description: 'The test suites of the tenant, newest first.',
      },
    })
    .input(z.strictObject(PageInput))
    .output(pageOf(TestSuite))
    .query(({ ctx: { tx, tenant }, input }) => listNewest(tx, tenant.id, testSuites, columns, input, toSuite)),

  get: procedure
    .meta({
      role: 'Viewer',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/testsuites/{id}',
        summary: 'Get a test suite',
        description: 'One test suite; its cases are listed by themselves.',
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(TestSuite)
    .query(({ ctx: { tx, tenant }, input }) => getSuite(tx, tenant.id, input.id)),

  create: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'test_suite.created',
      openapi: {
        ...openapi,
        method: 'POST',
        path: '/testsuites',
        conflicts: true,
        summary: 'Make a test suite',
        description: 'Makes a suite without cases. Names are unique in a tenant, whatever their case.',
        status: 201,
        location: '/testsuites/{id}',
      },
    })
    .input(z.strictObject(SuiteInput))
    .output(TestSuite)
    .mutation(async ({ ctx: { tx, tenant, audit }, input }) => {
      await requireJudgeSetting(tx, tenant.id, input.judgeSettingId)
      await requireQuota(tx, tenant.id, 'maxTestSuites')
      const [row] = await tx
        .insert(testSuites)
        .values({ tenantId: tenant.id, ...input })
        .returning({ id: testSuites.id })
      if (!row) throw new Error('the insert returned no row')
      const suite = await getSuite(tx, tenant.id, row.id)
      audit.record({ entity: entityOf(suite), after: fieldsOf(suite) })
      return suite
    }),

  update: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'test_suite.updated',
      openapi: {
        ...openapi,
        method: 'PUT',
        path: '/testsuites/{id}',
        conflicts: true,
        summary: 'Replace a test suite',
        description:
          'Replaces all fields; those left out take their defaults. Its cases stay. Runs under way keep the name, threshold and delay that they were asked for with.',
      },
    })
    .input(z.strictObject({ id: Id, ...SuiteInput }))
    .output(TestSuite)
    .mutation(async ({ ctx: { tx, tenant, audit }, input: { id, ...fields } }) => {
      await requireJudgeSetting(tx, tenant.id, fields.judgeSettingId)
      const before = await getSuite(tx, tenant.id, id, true)
      await tx
        .update(testSuites)
        .set({ ...fields, updatedAt: sql`clock_timestamp()` })
        .where(isSuite(tenant.id, id))
      const after = await getSuite(tx, tenant.id, id)
      audit.record({ entity: entityOf(after), before: fieldsOf(before), after: fieldsOf(after) })
      return after
    }),

  delete: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'test_suite.deleted',
      openapi: {
        ...openapi,
        method: 'DELETE',
        path: '/testsuites/{id}',
        summary: 'Delete a test suite',
        description: 'Removes the suite with its cases; its runs, those under way too, and its audit trail stay.',
        status: 204,
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(z.void())
    .mutation(async ({ ctx: { tx, tenant, audit }, input: { id } }) => {
      const before = await getSuite(tx, tenant.id, id, true)
      await tx.delete(testSuites).where(isSuite(tenant.id, id))
      audit.record({ entity: entityOf(before), before: { ...fieldsOf(before), caseCount: before.caseCount } })
    }),
})
