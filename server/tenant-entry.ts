// How a call enters a tenant that is not its principal's own.
import { TRPCError } from '@trpc/server'
import { eq, sql } from 'drizzle-orm'
import type { Span, Tx } from '#db/client.ts'
import { tenants } from '#db/schema.ts'
import { type Entry, writeAudit } from './audit.ts'
import { Id } from './input.ts'
import { actIn, type Principal } from './principal.ts'
import { Refusal } from './refusal.ts'

interface Tenant {
  id: string
  name: string
}

/**
 * Acts in the tenant that the input names, whose wall then shows it alone.
 * @returns undefined when the field is no id: the input's schema says so.
 * @throws TRPCError NOT_FOUND.
 */
export async function enterNamedTenant(tx: Tx, span: Span, input: unknown, field: string): Promise<Tenant | undefined> {
  const named = Id.safeParse(Reflect.get(Object(input), field))
  if (!named.success) return undefined
  const [tenant] = await actIn(tx, span, named.data.toLowerCase())
  if (!tenant) throw new TRPCError({ code: 'NOT_FOUND', message: 'There is no tenant with this id.' })
  return tenant
}

/** Writes the entries of other tenants, each acting in its own, and comes back to this one. */
export async function writeElsewhere(tx: Tx, entries: Entry[], tenantId: string): Promise<void> {
  for (const each of entries.filter((entry) => entry.tenantId !== tenantId)) {
    await actIn(tx, 'transaction', each.tenantId)
    await writeAudit(tx, each)
  }
  await actIn(tx, 'transaction', tenantId)
}

/** Until the transaction ends the tenant can't be deactivated, as its own people's changes keep it from being. */
export async function holdTenant(tx: Tx, tenantId: string): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock_shared(mate_people_lock(${tenantId}::uuid))`)
}

/** A deactivated tenant can be looked at, and nothing in it changes. @throws Refusal FORBIDDEN. */
export async function requireChangeable(tx: Tx, principal: Principal, { id, name }: Tenant): Promise<void> {
  const [row] = await tx.select({ isActive: tenants.isActive }).from(tenants).where(eq(tenants.id, id))
  if (row?.isActive) return
  const message = `The tenant “${name}” is deactivated: it can be looked at, and not changed. Reactivate it first.`
  throw new Refusal(message, principal, id)
}
