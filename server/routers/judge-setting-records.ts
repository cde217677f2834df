// The records of judge settings: their shape outside, their columns inside, and what makes sense together.
import { TRPCError } from '@trpc/server'
import { and, eq, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { judgeSettings, scoreNames } from '#db/schema.ts'
import { MaxTokens, OpenaiUrl, SecretInput, Temperature, TimeoutSeconds } from '../connector-input.ts'
import { Id, Instant, line } from '../input.ts'
import { badField } from '../problem.ts'
import { compilePattern, PatternFault } from '../rubric-pattern.ts'

const Provider = z.enum(['rubrics', 'model', 'hybrid'])

const share = z.number().min(0).max(1)
const weightFields = { taskSuccess: share, intentMatch: share, factuality: share, helpfulness: share, safety: share }
const equalWeights = { taskSuccess: 0.2, intentMatch: 0.2, factuality: 0.2, helpfulness: 0.2, safety: 0.2 }

const Weights = z
  .strictObject(weightFields)
  .refine((weights) => Math.abs(scoreNames.reduce((sum, name) => sum + weights[name], 0) - 1) <= 1e-6, 'Must sum to 1.')
  .default(equalWeights)
  .describe('How much each score counts in the overall one; together 1.')

const CriterionType = z.enum(['contains', 'notContains', 'regex'])

const CriterionInput = z
  .strictObject({
    name: line(100),
    type: CriterionType,
    pattern: z.string().min(1, 'Must not be empty.').max(1000, 'Must have at most 1000 characters.'),
    weight: z.number().positive('Must be more than 0.').max(100).default(1),
    isMandatory: z.boolean().default(false).describe('Whether failing it alone fails the case.'),
  })
  .superRefine(({ type, pattern }, { addIssue }) => {
    if (type !== 'regex') return
    try {
      compilePattern(pattern)
    } catch (error) {
      if (!(error instanceof PatternFault)) throw error
      addIssue({ code: 'custom', path: ['pattern'], message: error.message })
    }
  })

const ModelInput = z.strictObject({
  url: OpenaiUrl,
  name: line(200).describe('As its server names it.'),
  temperature: Temperature.default(0),
  maxTokens: MaxTokens.default(1000),
  timeoutSeconds: TimeoutSeconds,
  secret: SecretInput,
})

export const JudgeSettingInput = {
  name: line(100),
  provider: Provider.describe(
    '`rubrics`: by the criteria alone; `model`: by the model alone; `hybrid`: the model judges what meets the criteria.',
  ),
  weights: Weights,
  passThreshold: share.default(0.7).describe('The least overall score with which a case passes.'),
  criteria: z.array(CriterionInput).max(50, 'Must have at most 50 criteria.').default([]),
  model: ModelInput.nullable().default(null).describe('An OpenAI-compatible server.'),
  isDefault: z
    .boolean()
    .default(false)
    .describe('Judges where neither suite nor agent names a setting; the former default is none any more.'),
}

type Given = { provider: z.infer<typeof Provider>; criteria: unknown[]; model: unknown }

/** What a provider can't do without. */
export function checkProvider({ provider, criteria, model }: Given, context: z.RefinementCtx): void {
  const fault = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
  if (provider !== 'model' && criteria.length === 0) fault('criteria', `Must have at least one criterion for ${provider}.`)
  if (provider === 'rubrics' && model !== null) fault('model', 'Must be null for rubrics: use hybrid to have both.')
  if (provider !== 'rubrics' && model === null) fault('model', `Must not be null for ${provider}.`)
}

export const JudgeSetting = z
  .object({
    id: Id,
    name: z.string(),
    provider: Provider,
    weights: z.object(weightFields),
    passThreshold: z.number(),
    criteria: z.array(
      z.object({
        name: z.string(),
        type: CriterionType,
        pattern: z.string(),
        weight: z.number(),
        isMandatory: z.boolean(),
      }),
    ),
    model: z
      .object({
        url: z.string(),
        name: z.string(),
        temperature: z.number(),
        maxTokens: z.number().int(),
        timeoutSeconds: z.number().int(),
        hasSecret: z.boolean().describe('Whether a secret is kept; the secret itself is never answered.'),
      })
      .nullable(),
    isDefault: z.boolean(),
    createdAt: Instant,
    updatedAt: Instant,
  })
  .meta({ id: 'JudgeSetting' })
export type JudgeSetting = z.infer<typeof JudgeSetting>

export const columns = {
  id: judgeSettings.id,
  name: judgeSettings.name,
  provider: judgeSettings.provider,
  weights: judgeSettings.weights,
  passThreshold: judgeSettings.passThreshold,
  criteria: judgeSettings.criteria,
  model: judgeSettings.model,
  hasSecret: sql<boolean>`${judgeSettings.modelSecret} is not null`,
  isDefault: judgeSettings.isDefault,
  createdAt: judgeSettings.createdAt,
  updatedAt: judgeSettings.updatedAt,
}

type Row = Pick<typeof judgeSettings.$inferSelect, Exclude<keyof typeof columns, 'hasSecret'>> & { hasSecret: boolean }

export function toJudgeSetting({ model, hasSecret, createdAt, updatedAt, ...rest }: Row): JudgeSetting {
  return {
    ...rest,
    model: model && { ...model, hasSecret },
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  }
}

export const fieldsOf = ({ id: _, createdAt: __, updatedAt: ___, ...fields }: JudgeSetting) => fields
export const entityOf = ({ id, name }: { id: string; name: string }) => ({ type: 'judge_setting', id, name }) as const
export const isJudgeSetting = (tenantId: string, id: string) =>
  and(eq(judgeSettings.tenantId, tenantId), eq(judgeSettings.id, id))

/** @throws TRPCError NOT_FOUND, for another tenant's setting too. */
export async function getJudgeSetting(tx: Tx, tenantId: string, id: string, forUpdate = false): Promise<JudgeSetting> {
  const query = tx.select(columns).from(judgeSettings).where(isJudgeSetting(tenantId, id))
  const [row] = await (forUpdate ? query.for('update') : query)
  if (!row) throw new TRPCError({ code: 'NOT_FOUND', message: 'There is no judge setting with this id.' })
  return toJudgeSetting(row)
}

/**
 * For what refers to a setting: it stays until the end of the transaction. Asked before what refers to it is locked, as
 * the deletion of a setting locks it before them.
 * @throws TRPCError BAD_REQUEST when the tenant has none with this id.
 */
export async function requireJudgeSetting(tx: Tx, tenantId: string, id: string | null): Promise<void> {
  if (id === null) return
  const found = await tx.select({ id: judgeSettings.id }).from(judgeSettings).where(isJudgeSetting(tenantId, id)).for('key share')
  if (found.length === 0) throw badField('judgeSettingId', 'There is no judge setting with this id.')
}
