// A person's role follows their provider at each sign-in. A lower one is an off-boarding, as when an admin gives it.
import { TRPCError } from '@trpc/server'
import { sql } from 'drizzle-orm'
import type { Tx } from '#db/client.ts'
import { users } from '#db/schema.ts'
import { type Actor, AuditRecorder, writeAudit } from './audit.ts'
import { endRights } from './off-boarding.ts'
import { actIn } from './principal.ts'
import { isRoleAtLeast, type Role } from './roles.ts'
import { entityOf, getUser, isUser, requireAnotherAdmin, type User } from './routers/user-records.ts'
import type { SignInOrigin } from './sso-people.ts'
import { writeElsewhere } from './tenant-entry.ts'

/**
 * Gives the person this role; the rest of the transaction is the restricted role's, in their tenant. The last admin of a
 * tenant and the last SuperAdmin keep theirs, which is audited: a claim that is missing one morning must not leave nobody
 * who could mend it.
 */
export async function followRole(
  tx: Tx,
  { id, tenantId }: { id: string; tenantId: string },
  role: Role,
  actor: Actor,
  origin: SignInOrigin,
): Promise<void> {
  await actIn(tx, 'transaction', tenantId)
  const seen = await getUser(tx, tenantId, id)
  if (seen.role === role) return
  const entry = { tenantId, actor, action: 'user.role_mapped', outcome: 'success', origin } as const
  const audit = new AuditRecorder()
  if (!isRoleAtLeast(role, seen.role)) {
    const whyNot = await reasonToKeep(tx, seen, role)
    if (whyNot) {
      const reason = `The provider gives them ${role}, and they keep ${seen.role}. ${whyNot}`
      await writeAudit(tx, { ...entry, entity: entityOf(seen), outcome: 'refused', reason })
      return
    }
    await endRights({ tx, tenant: { id: tenantId }, audit, by: actor, requireMayChange: () => {} }, seen, role, {})
  }
  const { role: before } = await getUser(tx, tenantId, id)
  await tx.update(users).set({ role, updatedAt: sql`clock_timestamp()` }).where(isUser(tenantId, id))
  const mapped = { ...entry, entity: entityOf(seen), before: { role: before }, after: { role } }
  const ended = [audit.changes].flat().flatMap((change) => (change === 'unchanged' ? [] : { ...entry, ...change }))
  const entries = [mapped, ...ended]
  await writeElsewhere(tx, entries, tenantId)
  await writeAudit(tx, ...entries.filter((each) => each.tenantId === tenantId))
}

/** Why nobody else could do what they do, in words. */
function reasonToKeep(tx: Tx, user: User, role: Role): Promise<string | undefined> {
  return requireAnotherAdmin(tx, user, role).then(
    () => undefined,
    (error) => {
      if (error instanceof TRPCError && error.code === 'CONFLICT') return error.message
      throw error
    },
  )
}
