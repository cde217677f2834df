// A SuperAdmin's pages act in another tenant: kept with the session, and written in that tenant's log. No key can: it sends X-Tenant-Id.
import { TRPCError } from '@trpc/server'
import { eq, sql } from 'drizzle-orm'
import type { Db, Tx } from '#db/client.ts'
import { sessions, tenants } from '#db/schema.ts'
import { writeAudit } from './audit.ts'
import type { Call } from './call.ts'
import { Id } from './input.ts'
import { actIn, findPrincipal, holdsRole, type Principal, requireCredential } from './principal.ts'
import { Refusal, recordRefusal } from './refusal.ts'
import { getRuntime } from './runtime.ts'

export interface ActingTenant {
  id: string
  name: string
  isActive: boolean
}

/** Of a SuperAdmin's session; null while it acts in their own tenant. */
export async function findActingTenant(db: Db, sessionId: string): Promise<ActingTenant | null> {
  const [found] = await db
    .select({ id: tenants.id, name: tenants.name, isActive: tenants.isActive })
    .from(sessions)
    .innerJoin(tenants, eq(tenants.id, sessions.actingTenantId))
    .where(eq(sessions.id, sessionId))
  return found ?? null
}

/**
 * Deactivated tenants can be entered too, to look at.
 * @returns the tenant's name.
 * @throws TRPCError NOT_FOUND, BAD_REQUEST for one's own tenant, and what the gate throws for a credential and a role.
 */
export function enterTenant(call: Call, tenantId: string): Promise<string> {
  return asSuperAdmin(call, 'enter a tenant', async (tx, principal, sessionId) => {
    if (!Id.safeParse(tenantId).success) throw notFound()
    const [tenant] = await actIn(tx, 'transaction', tenantId.toLowerCase())
    if (!tenant) throw notFound()
    if (tenant.id === principal.tenantId) throw new TRPCError({ code: 'BAD_REQUEST', message: 'This is your own tenant.' })
    const previous = await moveTo(tx, sessionId, tenant.id)
    if (previous === tenant.id) return tenant.name
    if (previous) await record(tx, principal, call, previous, 'user.left_tenant')
    await record(tx, principal, call, tenant.id, 'user.entered_tenant')
    return tenant.name
  })
}

/** Back to one's own tenant. Who is there already stays. */
export function leaveTenant(call: Call): Promise<void> {
  return asSuperAdmin(call, 'leave a tenant', async (tx, principal, sessionId) => {
    const previous = await moveTo(tx, sessionId, null)
    if (previous) await record(tx, principal, call, previous, 'user.left_tenant')
  })
}

const notFound = () => new TRPCError({ code: 'NOT_FOUND', message: 'There is no tenant with this id.' })

type Work<T> = (tx: Tx, principal: Principal, sessionId: string) => Promise<T>

/** As the gate does: under the person's lock, as the restricted role; a refusal is recorded. */
async function asSuperAdmin<T>(call: Call, operation: string, work: Work<T>): Promise<T> {
  const credential = requireCredential(call)
  if (credential.kind !== 'session') throw new Error(`Only a session can ${operation}.`)
  try {
    return await getRuntime().database.transaction(async (tx) => {
      const principal = await findPrincipal(tx, 'transaction', credential, call, true)
      if (!holdsRole(principal, 'SuperAdmin')) {
        throw new Refusal(`Only a SuperAdmin may ${operation}; this user is ${principal.role}.`, principal)
      }
      return work(tx, principal, credential.sessionId)
    })
  } catch (error) {
    await recordRefusal(error, call, operation)
    throw error
  }
}

/** @returns where the session acted before. */
async function moveTo(tx: Tx, sessionId: string, tenantId: string | null): Promise<string | null> {
  const [moved] = await tx
    .select({ previous: sql<string | null>`previous` })
    .from(sql`mate_act_in(${sessionId}::uuid, ${tenantId}::uuid)`)
  return moved?.previous ?? null
}

async function record(tx: Tx, principal: Principal, call: Call, tenantId: string, action: string): Promise<void> {
  await actIn(tx, 'transaction', tenantId)
  const entity = { type: 'user', id: principal.id, name: principal.name } as const
  await writeAudit(tx, { tenantId, actor: principal, action, entity, outcome: 'success', origin: call })
}
