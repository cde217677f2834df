// Tenants: who shares this deployment, how much each may have, and whether it is let in. For SuperAdmins, but for one's own.
import { isDeepStrictEqual } from 'node:util'
import { sql } from 'drizzle-orm'
import { z } from 'zod'
import { procedure } from '../gate.ts'
import { Id, line } from '../input.ts'
import { decodeCursor, PageInput, pageOf, TimePosition, toTimePage } from '../paging.ts'
import { readUsage } from '../quotas.ts'
import { t } from '../trpc.ts'
import {
  entityOf,
  fieldsOf,
  getTenant,
  lockWhole,
  QuotaInput,
  rawColumns,
  requireForeign,
  requireOtherAdmins,
  setTenant,
  Tenant,
  TenantName,
  TenantUsage,
  toTenant,
  wakeWebhooks,
} from './tenant-records.ts'

const openapi = { tags: ['tenants'] }
const reason = line(500, 0).optional().describe('Why, for the audit log.')

export const tenantsRouter = t.router({
  getCurrent: procedure
    .meta({
      role: 'TenantAdmin',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/tenant',
        summary: 'See the own tenant’s quotas',
        description: 'The tenant that the call acts in, its quotas, and how much of each is used.',
      },
    })
    .input(z.strictObject({}))
    .output(TenantUsage)
    .query(async ({ ctx: { tx, tenant } }) => ({ ...(await getTenant(tx, tenant.id)), used: await readUsage(tx, tenant.id) })),

  list: procedure
    .meta({
      role: 'SuperAdmin',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/admin/tenants',
        summary: 'List tenants',
        description: 'All tenants of the deployment, the deactivated ones too, newest first.',
      },
    })
    .input(z.strictObject(PageInput))
    .output(pageOf(Tenant))
    .query(async ({ ctx: { tx }, input: { limit, cursor } }) => {
      const [at, id] = cursor === undefined ? [null, null] : decodeCursor(cursor, TimePosition)
      const rows = await tx
        .select({ ...rawColumns, position: sql<string>`created_at::text` })
        .from(sql`mate_list_tenants(${at}::timestamptz, ${id}::uuid, ${limit + 1}::integer)`)
      return toTimePage(rows, limit, toTenant)
    }),

  get: procedure
    .meta({
      role: 'SuperAdmin',
      actsIn: 'id',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/admin/tenants/{id}',
        summary: 'Get a tenant',
        description: 'One tenant, its quotas, and how much of each is used.',
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(TenantUsage)
    .query(async ({ ctx: { tx, tenant } }) => ({ ...(await getTenant(tx, tenant.id)), used: await readUsage(tx, tenant.id) })),

  create: procedure
    .meta({
      role: 'SuperAdmin',
      audit: 'tenant.created',
      openapi: {
        ...openapi,
        method: 'POST',
        path: '/admin/tenants',
        conflicts: true,
        summary: 'Make a tenant',
        description:
          'Makes a tenant without users and keys; the first entry of its audit log says who did. Names are unique, whatever their case.',
        status: 201,
        location: '/admin/tenants/{id}',
      },
    })
    .input(z.strictObject({ name: TenantName, ...QuotaInput }))
    .output(Tenant)
    .mutation(async ({ ctx: { tx, audit }, input: { name, ...quotas } }) => {
      const { maxUsers = null, maxApiKeys = null, maxAgents = null, maxTestSuites = null, maxRunsPerMonth = null } = quotas
      const [row] = await tx
        .select(rawColumns)
        .from(
          sql`mate_add_tenant(${name}, ${maxUsers}::integer, ${maxApiKeys}::integer, ${maxAgents}::integer, ${maxTestSuites}::integer, ${maxRunsPerMonth}::integer)`,
        )
      if (!row) throw new Error('the insert returned no row')
      const made = toTenant(row)
      audit.record({ tenantId: made.id, entity: entityOf(made), after: fieldsOf(made) })
      return made
    }),

  update: procedure
    .meta({
      role: 'SuperAdmin',
      audit: 'tenant.updated',
      actsIn: 'id',
      openapi: {
        ...openapi,
        method: 'PATCH',
        path: '/admin/tenants/{id}',
        conflicts: true,
        summary: 'Rename a tenant or set its quotas',
        description:
          'What is left out stays; null removes a quota. A quota below what is used ends nothing: it only lets nothing more be made.',
      },
    })
    .input(
      z
        .strictObject({ id: Id, name: TenantName.optional(), ...QuotaInput })
        .refine(({ id: _, ...changes }) => Object.values(changes).some((value) => value !== undefined), 'Name what to change.'),
    )
    .output(Tenant)
    .mutation(async ({ ctx: { tx, tenant, audit }, input: { id: _, ...asked } }) => {
      const before = await getTenant(tx, tenant.id, true)
      const given = Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined))
      if (isDeepStrictEqual({ ...before, ...given }, before)) {
        audit.unchanged()
        return before
      }
      const after = await setTenant(tx, tenant.id, given)
      audit.record({ entity: entityOf(after), before: fieldsOf(before), after: fieldsOf(after) })
      return after
    }),

  deactivate: procedure
    .meta({
      role: 'SuperAdmin',
      audit: 'tenant.deactivated',
      actsIn: 'id',
      openapi: {
        ...openapi,
        method: 'POST',
        path: '/admin/tenants/{id}/deactivate',
        conflicts: true,
        summary: 'Deactivate a tenant',
        description:
          'Its keys and sessions are refused (401) from now on. Once this has answered, nothing that one of them asked for can commit, on any node; its runs end, and nothing is sent to its webhooks until it is active again. A SuperAdmin can look at it, and change nothing in it. The caller’s own tenant, and that of the only active SuperAdmins, can’t be. A second time is 200 and changes nothing.',
      },
    })
    .input(z.strictObject({ id: Id, reason }))
    .output(Tenant)
    .mutation(async ({ ctx: { tx, principal, tenant, audit }, input }) => {
      requireForeign(principal, tenant)
      await lockWhole(tx, tenant.id)
      const before = await getTenant(tx, tenant.id, true)
      if (!before.isActive) {
        audit.unchanged()
        return before
      }
      await requireOtherAdmins(tx, before)
      const after = await setTenant(tx, tenant.id, { isActive: false })
      const change = { before: { isActive: true }, after: { isActive: false } }
      audit.record({ entity: entityOf(after), ...change, ...(input.reason ? { reason: input.reason } : {}) })
      return after
    }),

  reactivate: procedure
    .meta({
      role: 'SuperAdmin',
      audit: 'tenant.reactivated',
      actsIn: 'id',
      openapi: {
        ...openapi,
        method: 'POST',
        path: '/admin/tenants/{id}/reactivate',
        summary: 'Reactivate a tenant',
        description:
          'Its keys and sessions work again, but for those that have ended by themselves, and what waited for its webhooks is sent. A second time is 200 and changes nothing.',
      },
    })
    .input(z.strictObject({ id: Id, reason }))
    .output(Tenant)
    .mutation(async ({ ctx: { tx, tenant, audit }, input }) => {
      const before = await getTenant(tx, tenant.id, true)
      if (before.isActive) {
        audit.unchanged()
        return before
      }
      const after = await setTenant(tx, tenant.id, { isActive: true })
      await wakeWebhooks(tx, tenant.id)
      const change = { before: { isActive: false }, after: { isActive: true } }
      audit.record({ entity: entityOf(after), ...change, ...(input.reason ? { reason: input.reason } : {}) })
      return after
    }),
})
