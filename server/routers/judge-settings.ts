// Judge settings: how the answers of agents are judged. A suite's goes before its agent's, and that before the default.
import { and, eq, ne, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { agents, type JudgeModel, judgeSettings, testSuites } from '#db/schema.ts'
import { requireCallable } from '../callable-url.ts'
import { procedure } from '../gate.ts'
import { Id } from '../input.ts'
import { type GivenSecret, requireSameOrigin, sealGiven } from '../kept-secret.ts'
import { listNewest, PageInput, pageOf } from '../paging.ts'
import { t } from '../trpc.ts'
import {
  checkProvider,
  columns,
  entityOf,
  fieldsOf,
  getJudgeSetting,
  isJudgeSetting,
  JudgeSetting,
  JudgeSettingInput,
  toJudgeSetting,
} from './judge-setting-records.ts'

const openapi = { tags: ['judgesettings'] }

/**
 * As it is stored, and its secret beside it.
 * @throws TRPCError BAD_REQUEST when its address is not one that mate may call, or not one for the secret that is kept.
 */
function readModel(
  given: (JudgeModel & { secret?: string | null | undefined }) | null,
  before: JudgeSetting['model'] = null,
): { model: JudgeModel | null; secret: GivenSecret } {
  if (!given) return { model: null, secret: null }
  const { secret, ...model } = given
  requireCallable(model.url, 'model.url')
  requireSameOrigin(before, model.url, secret, 'model.secret')
  return { model, secret }
}

/** The tenant has one default at most: its former one is none any more. @returns that one, for the audit log. */
async function replaceDefault(tx: Tx, tenantId: string, id: string): Promise<{ id: string; name: string } | undefined> {
  // Two that become it at once, where there was none: the index would refuse one of them, for no fault of its caller.
  await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended('mate.judge_default.' || ${tenantId}::uuid::text, 0))`)
  const [former] = await tx
    .update(judgeSettings)
    .set({ isDefault: false, updatedAt: sql`clock_timestamp()` })
    .where(and(eq(judgeSettings.tenantId, tenantId), eq(judgeSettings.isDefault, true), ne(judgeSettings.id, id)))
    .returning({ id: judgeSettings.id, name: judgeSettings.name })
  return former
}

const asNote = (formerDefault: { id: string; name: string } | undefined) => (formerDefault ? { formerDefault } : {})

export const judgeSettingsRouter = t.router({
  list: procedure
    .meta({
      role: 'Viewer',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/judgesettings',
        summary: 'List judge settings',
        description: 'The judge settings of the tenant, newest first, without the secrets of their models.',
      },
    })
    .input(z.strictObject(PageInput))
    .output(pageOf(JudgeSetting))
    .query(({ ctx: { tx, tenant }, input }) => listNewest(tx, tenant.id, judgeSettings, columns, input, toJudgeSetting)),

  get: procedure
    .meta({
      role: 'Viewer',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/judgesettings/{id}',
        summary: 'Get a judge setting',
        description: 'One judge setting, without the secret of its model.',
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(JudgeSetting)
    .query(({ ctx: { tx, tenant }, input }) => getJudgeSetting(tx, tenant.id, input.id)),

  create: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'judge_setting.created',
      openapi: {
        ...openapi,
        method: 'POST',
        path: '/judgesettings',
        conflicts: true,
        summary: 'Make a judge setting',
        description:
          'How answers are judged: by criteria (`rubrics`), by a model, or both (`hybrid`). A suite’s setting goes before its agent’s, and that before the default. Names are unique in a tenant, whatever their case.',
        status: 201,
        location: '/judgesettings/{id}',
      },
    })
    .input(z.strictObject(JudgeSettingInput).superRefine(checkProvider))
    .output(JudgeSetting)
    .mutation(async ({ ctx: { tx, tenant, audit }, input: { model: given, ...fields } }) => {
      const { model, secret } = readModel(given)
      const id = crypto.randomUUID()
      const former = fields.isDefault ? await replaceDefault(tx, tenant.id, id) : undefined
      const [row] = await tx
        .insert(judgeSettings)
        .values({ id, tenantId: tenant.id, ...fields, model, modelSecret: sealGiven(id, secret) ?? null })
        .returning(columns)
      if (!row) throw new Error('the insert returned no row')
      const setting = toJudgeSetting(row)
      audit.record({ entity: entityOf(setting), after: { ...fieldsOf(setting), ...asNote(former) } })
      return setting
    }),

  update: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'judge_setting.updated',
      openapi: {
        ...openapi,
        method: 'PUT',
        path: '/judgesettings/{id}',
        conflicts: true,
        summary: 'Replace a judge setting',
        description:
          'Replaces all fields; those left out take their defaults. It holds from the next case on, in runs under way too. A secret that is left out stays as it is, unless scheme, host or port of the address change: then it has to be given again.',
      },
    })
    .input(z.strictObject({ id: Id, ...JudgeSettingInput }).superRefine(checkProvider))
    .output(JudgeSetting)
    .mutation(async ({ ctx: { tx, tenant, audit }, input: { id, model: given, ...fields } }) => {
      // Before its own row is locked: two that take turns as the default would otherwise wait for each other.
      const former = fields.isDefault ? await replaceDefault(tx, tenant.id, id) : undefined
      const before = await getJudgeSetting(tx, tenant.id, id, true)
      const { model, secret } = readModel(given, before.model)
      const modelSecret = sealGiven(id, secret)
      const [row] = await tx
        .update(judgeSettings)
        .set({ ...fields, model, ...(modelSecret === undefined ? {} : { modelSecret }), updatedAt: sql`clock_timestamp()` })
        .where(isJudgeSetting(tenant.id, id))
        .returning(columns)
      if (!row) throw new Error('the update returned no row')
      const after = toJudgeSetting(row)
      const isReplaced = model !== null && secret !== undefined
      const notes = { ...(isReplaced ? { isSecretReplaced: true } : {}), ...asNote(former) }
      audit.record({ entity: entityOf(after), before: fieldsOf(before), after: { ...fieldsOf(after), ...notes } })
      return after
    }),

  delete: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'judge_setting.deleted',
      openapi: {
        ...openapi,
        method: 'DELETE',
        path: '/judgesettings/{id}',
        summary: 'Delete a judge setting',
        description: 'Suites and agents that named it name none from now on; its audit trail stays.',
        status: 204,
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(z.void())
    .mutation(async ({ ctx: { tx, tenant, audit }, input: { id } }) => {
      const before = await getJudgeSetting(tx, tenant.id, id, true)
      const named = {
        suites: await tx.$count(testSuites, and(eq(testSuites.tenantId, tenant.id), eq(testSuites.judgeSettingId, id))),
        agents: await tx.$count(agents, and(eq(agents.tenantId, tenant.id), eq(agents.judgeSettingId, id))),
      }
      await tx.delete(judgeSettings).where(isJudgeSetting(tenant.id, id))
      audit.record({ entity: entityOf(before), before: { ...fieldsOf(before), namedBy: named } })
    }),
})
