// The records of people: their shape outside, their columns inside, and who may change whom.
import { TRPCError } from '@trpc/server'
import { and, eq, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { apiKeys, sessions, users } from '#db/schema.ts'
import { Id, Instant } from '../input.ts'
import { holdsRole, type Principal } from '../principal.ts'
import { isRoleAtLeast, Role } from '../roles.ts'
import { statusIs } from './api-key-records.ts'

export const User = z
  .object({
    id: Id,
    name: z.string(),
    email: z.string(),
    role: Role,
    isActive: z.boolean().describe('False once deactivated: they can’t sign in, and have no session.'),
    createdAt: Instant,
    lastSignedInAt: Instant.nullable(),
    sessionCount: z.number().int().describe('Browsers that they are signed in with.'),
    keyCount: z.number().int().describe('Active API keys of the tenant that are theirs: that they, or a key of theirs, made.'),
  })
  .meta({ id: 'User' })
export type User = z.infer<typeof User>

export const columns = {
  id: users.id,
  name: users.name,
  email: users.email,
  role: users.role,
  isActive: users.isActive,
  createdAt: users.createdAt,
  lastSignedInAt: users.lastSignedInAt,
  sessionCount: sql<number>`(select count(*)::int from ${sessions} s where s.user_id = ${users}.id and s.expires_at > clock_timestamp() and not s.is_pending)`,
  keyCount: sql<number>`(select count(*)::int from ${apiKeys} where ${apiKeys.ownerId} = ${users}.id and ${statusIs.active})`,
}

type Row = Pick<typeof users.$inferSelect, Exclude<keyof typeof columns, 'sessionCount' | 'keyCount'>> & {
  sessionCount: number
  keyCount: number
}

export function toUser({ createdAt, lastSignedInAt, ...row }: Row): User {
  return { ...row, createdAt: createdAt.toISOString(), lastSignedInAt: lastSignedInAt?.toISOString() ?? null }
}

export const entityOf = ({ id, name }: Pick<User, 'id' | 'name'>) => ({ type: 'user', id, name }) as const

export const isUser = (tenantId: string, id: string) => and(eq(users.tenantId, tenantId), eq(users.id, id))

/** @throws TRPCError NOT_FOUND, for another tenant's person too. */
export async function getUser(tx: Tx, tenantId: string, id: string): Promise<User> {
  const [row] = await tx.select(columns).from(users).where(isUser(tenantId, id))
  if (!row) throw new TRPCError({ code: 'NOT_FOUND', message: 'There is no user with this id.' })
  return toUser(row)
}

/** @throws TRPCError FORBIDDEN: for oneself, by one's own keys too, and for whoever stands above. */
export function requireMayManage(principal: Principal, user: User): void {
  if (principal.ownerId === user.id) {
    const message = 'Nobody changes their own role or access, nor does a key of theirs. Ask another admin.'
    throw new TRPCError({ code: 'FORBIDDEN', message })
  }
  if (holdsRole(principal, user.role)) return
  const message = `${user.name} is ${user.role}, above this ${principal.kind}’s own role, ${principal.role}. Ask a ${user.role}.`
  throw new TRPCError({ code: 'FORBIDDEN', message })
}

/**
 * Makes sure that somebody is left who can do what this person can, before they lose it: with the role `next`, or at all.
 * Of two that would each be the last to leave, the second waits, and sees the first gone.
 * @throws TRPCError CONFLICT.
 */
export async function requireAnotherAdmin(tx: Tx, { id, name, role, isActive }: User, next: Role | null): Promise<void> {
  const loses = (held: Role) => isActive && isRoleAtLeast(role, held) && !(next && isRoleAtLeast(next, held))
  if (!loses('TenantAdmin') && !loses('SuperAdmin')) return
  const [left] = await tx
    .select({ inTenant: sql<number>`in_tenant::int`, superAdmins: sql<number>`super_admins::int` })
    .from(sql`mate_hold_other_admins(${id}::uuid)`)
  const refuse = (what: string) => {
    const message = `${name} is the last active ${what}. Make somebody else one first.`
    throw new TRPCError({ code: 'CONFLICT', message })
  }
  if (loses('SuperAdmin') && !left?.superAdmins) refuse('SuperAdmin of this deployment')
  if (loses('TenantAdmin') && !left?.inTenant) refuse('admin of this tenant')
}
