// The records of tenants: their shape outside, their columns inside, and what ends or wakes with one.
import { TRPCError } from '@trpc/server'
import { and, eq, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { tenants, webhooks } from '#db/schema.ts'
import { Id, Instant, line } from '../input.ts'
import type { Principal } from '../principal.ts'
import { type Quotas, quotaColumns } from '../quotas.ts'
import { resumeDeliveries } from '../webhook-messages.ts'

const Most = z.number().int().min(0).max(1_000_000_000).nullable()

const quotaFields = {
  maxUsers: Most.describe('Active users at most; null for any number.'),
  maxApiKeys: Most.describe('Active API keys at most; of a key and its successor one counts. Null for any number.'),
  maxAgents: Most.describe('Agents at most; null for any number.'),
  maxTestSuites: Most.describe('Test suites at most; null for any number.'),
  maxRunsPerMonth: Most.describe('Runs at most in a calendar month in UTC, deleted ones too; null for any number.'),
}

/** A quota that is left out: none in a creation, the same as before in an update. */
export const QuotaInput = {
  maxUsers: quotaFields.maxUsers.optional(),
  maxApiKeys: quotaFields.maxApiKeys.optional(),
  maxAgents: quotaFields.maxAgents.optional(),
  maxTestSuites: quotaFields.maxTestSuites.optional(),
  maxRunsPerMonth: quotaFields.maxRunsPerMonth.optional(),
}

export const TenantName = line(100)

export const Tenant = z
  .object({
    id: Id,
    name: z.string(),
    isActive: z.boolean().describe('While it is false, its keys and sessions are refused.'),
    ...quotaFields,
    createdAt: Instant,
  })
  .meta({ id: 'Tenant' })
export type Tenant = z.infer<typeof Tenant>

const Count = z.number().int()

export const TenantUsage = Tenant.extend({
  used: z
    .object({
      maxUsers: Count,
      maxApiKeys: Count,
      maxAgents: Count,
      maxTestSuites: Count,
      maxRunsPerMonth: Count,
    })
    .describe('How much of each quota is used, whether it is set or not.'),
}).meta({ id: 'TenantUsage' })

const columns = {
  id: tenants.id,
  name: tenants.name,
  isActive: tenants.isActive,
  ...quotaColumns,
  createdAt: tenants.createdAt,
}

/** The same of what a function answers, which is no table to drizzle. */
export const rawColumns = {
  id: sql<string>`id`,
  name: sql<string>`name`,
  isActive: sql<boolean>`is_active`,
  maxUsers: sql<number | null>`max_users`,
  maxApiKeys: sql<number | null>`max_api_keys`,
  maxAgents: sql<number | null>`max_agents`,
  maxTestSuites: sql<number | null>`max_test_suites`,
  maxRunsPerMonth: sql<number | null>`max_runs_per_month`,
  createdAt: sql<Date | string>`created_at`,
}

type Row = Omit<Tenant, 'createdAt'> & { createdAt: Date | string }

export const toTenant = ({ createdAt, ...rest }: Row): Tenant => ({ ...rest, createdAt: new Date(createdAt).toISOString() })

export const entityOf = ({ id, name }: Tenant) => ({ type: 'tenant', id, name }) as const

export const fieldsOf = ({ name, maxUsers, maxApiKeys, maxAgents, maxTestSuites, maxRunsPerMonth }: Tenant) => {
  return { name, maxUsers, maxApiKeys, maxAgents, maxTestSuites, maxRunsPerMonth }
}

/** @param tx is in the tenant. */
export async function getTenant(tx: Tx, id: string, forUpdate = false): Promise<Tenant> {
  const query = tx.select(columns).from(tenants).where(eq(tenants.id, id))
  const [row] = await (forUpdate ? query.for('no key update') : query)
  if (!row) throw new TRPCError({ code: 'NOT_FOUND', message: 'There is no tenant with this id.' })
  return toTenant(row)
}

export async function setTenant(tx: Tx, id: string, fields: Partial<Quotas> & { name?: string; isActive?: boolean }) {
  await tx.update(tenants).set(fields).where(eq(tenants.id, id))
  return getTenant(tx, id)
}

/**
 * Waits for every change that the tenant's keys, its people, and SuperAdmins in it have under way, and keeps new ones out
 * until this transaction ends.
 */
export async function lockWhole(tx: Tx, id: string): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(mate_freeze_lock(${id}::uuid))`)
  await tx.execute(sql`select pg_advisory_xact_lock(mate_people_lock(${id}::uuid))`)
}

/** Nobody locks themselves out. @throws TRPCError CONFLICT. */
export function requireForeign(principal: Principal, { id, name }: Pick<Tenant, 'id' | 'name'>): void {
  if (principal.tenantId !== id) return
  const message = `“${name}” is the tenant of this ${principal.kind}, which would be locked out with it. Ask a SuperAdmin of another tenant.`
  throw new TRPCError({ code: 'CONFLICT', message })
}

/** Nobody locks everybody out, also not two at once. @throws TRPCError CONFLICT. */
export async function requireOtherAdmins(tx: Tx, { name }: Tenant): Promise<void> {
  const [admins] = await tx
    .select({ inside: sql<number>`inside::int`, outside: sql<number>`outside::int` })
    .from(sql`mate_hold_super_admins()`)
  if (!admins || admins.inside === 0 || admins.outside > 0) return
  const message = `“${name}” has the only active SuperAdmins. Make somebody of another tenant one first.`
  throw new TRPCError({ code: 'CONFLICT', message })
}

/** What waited for its webhooks is sent now; the time that it waited is no failure of theirs. */
export async function wakeWebhooks(tx: Tx, tenantId: string): Promise<void> {
  const woken = await tx
    .update(webhooks)
    .set({ failingSince: null })
    .where(and(eq(webhooks.tenantId, tenantId), webhooks.isActive))
    .returning({ id: webhooks.id })
  for (const { id } of woken) await resumeDeliveries(tx, tenantId, id)
}
