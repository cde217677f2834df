// The records of test cases: their shape outside and their columns inside.
import { TRPCError } from '@trpc/server'
import { and, eq } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { testCases, testSuites } from '#db/schema.ts'
import { Id, Instant, line } from '../input.ts'
import { badField } from '../problem.ts'

const maxText = 8_000
const text = z.string().max(maxText, `Must have at most ${maxText} characters.`)
export const maxSortOrder = 1_000_000

export const CaseInput = {
  name: line(100),
  description: z.string().trim().max(2000, 'Must have at most 2000 characters.').default(''),
  userInput: z
    .array(text.refine((turn) => turn.trim() !== '', 'Must not be empty.'))
    .min(1, 'Must have at least one turn.')
    .max(20, 'Must have at most 20 turns.')
    .describe('What is said to the agent, one text a turn.'),
  acceptanceCriteria: text.default('').describe('What an answer must do, in words: for a judge that is a model.'),
  expectedIntent: line(200).nullable().default(null),
  expectedEntities: z.array(line(200)).max(50, 'Must have at most 50 entities.').default([]),
  referenceAnswer: text.nullable().default(null),
  tags: z.array(line(50)).max(20, 'Must have at most 20 tags.').default([]),
  isActive: z.boolean().default(true).describe('Whether a run of the whole suite executes it.'),
  sortOrder: z
    .number()
    .int()
    .min(0)
    .max(maxSortOrder)
    .optional()
    .describe(
      'Its place in the suite, lowest first. Left out: a new case comes last, and one that is replaced stays where it is.',
    ),
}

export const TestCase = z
  .object({
    id: Id,
    suiteId: Id,
    name: z.string(),
    description: z.string(),
    userInput: z.array(z.string()),
    acceptanceCriteria: z.string(),
    expectedIntent: z.string().nullable(),
    expectedEntities: z.array(z.string()),
    referenceAnswer: z.string().nullable(),
    tags: z.array(z.string()),
    isActive: z.boolean(),
    sortOrder: z.number().int(),
    createdAt: Instant,
    updatedAt: Instant,
  })
  .meta({ id: 'TestCase' })
export type TestCase = z.infer<typeof TestCase>

export const columns = {
  id: testCases.id,
  suiteId: testCases.suiteId,
  name: testCases.name,
  description: testCases.description,
  userInput: testCases.userInput,
  acceptanceCriteria: testCases.acceptanceCriteria,
  expectedIntent: testCases.expectedIntent,
  expectedEntities: testCases.expectedEntities,
  referenceAnswer: testCases.referenceAnswer,
  tags: testCases.tags,
  isActive: testCases.isActive,
  sortOrder: testCases.sortOrder,
  createdAt: testCases.createdAt,
  updatedAt: testCases.updatedAt,
}

export const toCase = ({
  createdAt,
  updatedAt,
  ...rest
}: Pick<typeof testCases.$inferSelect, keyof typeof columns>): TestCase => ({
  ...rest,
  createdAt: createdAt.toISOString(),
  updatedAt: updatedAt.toISOString(),
})

export const fieldsOf = ({ id: _, createdAt: __, updatedAt: ___, ...fields }: TestCase) => fields
export const entityOf = ({ id, name }: TestCase) => ({ type: 'test_case', id, name }) as const
export const isCase = (tenantId: string, id: string) => and(eq(testCases.tenantId, tenantId), eq(testCases.id, id))
export const isOfSuite = (tenantId: string, suiteId: string) =>
  and(eq(testCases.tenantId, tenantId), eq(testCases.suiteId, suiteId))

/** @throws TRPCError NOT_FOUND, for another tenant's case too. */
export async function getCase(tx: Tx, tenantId: string, id: string, forUpdate = false): Promise<TestCase> {
  const query = tx.select(columns).from(testCases).where(isCase(tenantId, id))
  const [row] = await (forUpdate ? query.for('update') : query)
  if (!row) throw new TRPCError({ code: 'NOT_FOUND', message: 'There is no test case with this id.' })
  return toCase(row)
}

/**
 * @param forChange cases of one suite are made one after the other, so that each knows of those before it.
 * @throws TRPCError NOT_FOUND, for another tenant's suite too.
 */
export async function requireSuite(tx: Tx, tenantId: string, id: string, forChange = false): Promise<void> {
  const query = tx
    .select({ id: testSuites.id })
    .from(testSuites)
    .where(and(eq(testSuites.tenantId, tenantId), eq(testSuites.id, id)))
  const found = await (forChange ? query.for('no key update') : query)
  if (found.length === 0) throw new TRPCError({ code: 'NOT_FOUND', message: 'There is no test suite with this id.' })
}

const most = 1_000

/** Under the lock of requireSuite. @throws TRPCError BAD_REQUEST when the suite is full. */
export async function requireRoom(tx: Tx, tenantId: string, suiteId: string): Promise<void> {
  if ((await tx.$count(testCases, isOfSuite(tenantId, suiteId))) < most) return
  throw badField('suiteId', `The suite has ${most} cases already, the most that it may have. Make another suite.`)
}
