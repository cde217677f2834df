// Trust rules: which pipelines of a CI provider get a key for their token, and what that key may do.
import { isDeepStrictEqual } from 'node:util'
import { sql } from 'drizzle-orm'
import { z } from 'zod'
import { trustRules } from '#db/schema.ts'
import { requireFreshToMint } from '../fresh-sign-in.ts'
import { procedure } from '../gate.ts'
import { Id } from '../input.ts'
import { listNewest, PageInput, pageOf } from '../paging.ts'
import { t } from '../trpc.ts'
import { lockPrincipals, requireMayGrant, requireMayLimit } from './api-key-records.ts'
import {
  columns,
  endKeysOf,
  entityOf,
  fieldsOf,
  getTrustRule,
  isNarrowed,
  isTrustRule,
  requireMayChangeRule,
  requireRoom,
  requireTrustworthy,
  TrustRule,
  TrustRuleInput,
  toTrustRule,
} from './trust-rule-records.ts'

const openapi = { tags: ['trust-rules'] }

export const trustRulesRouter = t.router({
  list: procedure
    .meta({
      role: 'TenantAdmin',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/admin/trust-rules',
        summary: 'List trust rules',
        description: 'The rules of the tenant by which CI pipelines get keys, newest first.',
      },
    })
    .input(z.strictObject(PageInput))
    .output(pageOf(TrustRule))
    .query(({ ctx: { tx, tenant }, input }) => listNewest(tx, tenant.id, trustRules, columns, input, toTrustRule)),

  get: procedure
    .meta({
      role: 'TenantAdmin',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/admin/trust-rules/{id}',
        summary: 'Get a trust rule',
        description: 'One rule. The keys that it gave out are in the list of API keys: they have its id as `createdBy`.',
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(TrustRule)
    .query(({ ctx: { tx, tenant }, input }) => getTrustRule(tx, tenant.id, input.id)),

  create: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'trust_rule.created',
      openapi: {
        ...openapi,
        method: 'POST',
        path: '/admin/trust-rules',
        conflicts: true,
        summary: 'Add a trust rule',
        description:
          'From now on `POST /api/token` gives a key to whoever sends a token of this issuer and audience that meets the conditions. Nobody can grant a role or limits above their own. A rule that would trust strangers is refused.',
        status: 201,
        location: '/admin/trust-rules/{id}',
      },
    })
    .input(z.strictObject(TrustRuleInput))
    .output(TrustRule)
    .mutation(async ({ ctx: { tx, principal, tenant, audit }, input }) => {
      requireTrustworthy(input)
      requireMayGrant(principal, input.role)
      await requireFreshToMint(tx, principal, input.role)
      const limits = requireMayLimit(principal, input)
      await requireRoom(tx, tenant.id)
      const [row] = await tx
        .insert(trustRules)
        .values({
          tenantId: tenant.id,
          ...input,
          ...limits,
          createdByKind: principal.kind,
          createdById: principal.id,
          createdByName: principal.name,
          ownerId: principal.ownerId,
        })
        .returning(columns)
      if (!row) throw new Error('the insert returned no row')
      const rule = toTrustRule(row)
      audit.record({ entity: entityOf(rule), after: fieldsOf(rule) })
      return rule
    }),

  update: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'trust_rule.updated',
      openapi: {
        ...openapi,
        method: 'PUT',
        path: '/admin/trust-rules/{id}',
        conflicts: true,
        summary: 'Replace a trust rule',
        description:
          'Replaces all fields; whoever saves it answers for it from then on, and so can’t grant more than they have. Unless it only grants more than before, the keys that it gave out end: once this has answered, nothing that they asked for can commit.',
      },
    })
    .input(z.strictObject({ id: Id, ...TrustRuleInput }))
    .output(TrustRule)
    .mutation(async ({ ctx: { tx, principal, tenant, audit }, input: { id, ...fields } }) => {
      requireMayChangeRule(principal, await getTrustRule(tx, tenant.id, id))
      requireTrustworthy(fields)
      requireMayGrant(principal, fields.role)
      await requireFreshToMint(tx, principal, fields.role)
      const limits = requireMayLimit(principal, fields)
      // No key is given out by the old rule from here on.
      await lockPrincipals(tx, id)
      const before = await getTrustRule(tx, tenant.id, id, true)
      requireMayChangeRule(principal, before)
      if (isDeepStrictEqual({ ...before, ...fields, ...limits, ownerId: principal.ownerId }, before)) {
        audit.unchanged()
        return before
      }
      const [row] = await tx
        .update(trustRules)
        .set({ ...fields, ...limits, ownerId: principal.ownerId, updatedAt: sql`clock_timestamp()` })
        .where(isTrustRule(tenant.id, id))
        .returning(columns)
      if (!row) throw new Error('the update returned no row')
      const after = toTrustRule(row)
      audit.record({ entity: entityOf(after), before: fieldsOf(before), after: fieldsOf(after) })
      if (!isNarrowed(before, after)) return after
      const reason = `The trust rule “${after.name}” was ${after.isActive ? 'changed' : 'deactivated'}.`
      for (const change of await endKeysOf(tx, [id], principal, reason)) audit.record(change)
      return after
    }),

  delete: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'trust_rule.deleted',
      openapi: {
        ...openapi,
        method: 'DELETE',
        path: '/admin/trust-rules/{id}',
        summary: 'Delete a trust rule',
        description:
          'Removes it, and ends the keys that it gave out: once this has answered, nothing that they asked for can commit. Its audit trail stays.',
        status: 204,
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(z.void())
    .mutation(async ({ ctx: { tx, principal, tenant, audit }, input: { id } }) => {
      requireMayChangeRule(principal, await getTrustRule(tx, tenant.id, id))
      await lockPrincipals(tx, id)
      const before = await getTrustRule(tx, tenant.id, id, true)
      requireMayChangeRule(principal, before)
      audit.record({ entity: entityOf(before), before: fieldsOf(before) })
      const reason = `The trust rule “${before.name}” was deleted.`
      for (const change of await endKeysOf(tx, [id], principal, reason)) audit.record(change)
      await tx.delete(trustRules).where(isTrustRule(tenant.id, id))
    }),
})
