// Of a person who lost their second factor: an admin takes it away, and they sign in by password and set up another one.
import { eq } from 'drizzle-orm'
import { z } from 'zod'
import { sessions } from '#db/schema.ts'
import { procedure } from '../gate.ts'
import { Id, line } from '../input.ts'
import { removeFactors } from '../second-factor.ts'
import { t } from '../trpc.ts'
import { lockPrincipals } from './api-key-records.ts'
import { entityOf, getUser, requireMayManage, User } from './user-records.ts'

export const userFactorsRouter = t.router({
  resetSecondFactor: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'user.factors_reset',
      openapi: {
        tags: ['users'],
        method: 'POST',
        path: '/admin/users/{id}/reset-second-factor',
        summary: 'Reset a user’s second factor',
        description:
          'Takes their passkeys, authenticator app and recovery codes, and ends their sessions: they sign in by password again. Make sure that it is they who ask. Nobody resets their own: they remove it in their account.',
      },
    })
    .input(z.strictObject({ id: Id, reason: line(500, 0).optional().describe('Why, for the audit log.') }))
    .output(User)
    .mutation(async ({ ctx: { tx, principal, tenant, audit }, input: { id, reason } }) => {
      const user = await getUser(tx, tenant.id, id)
      requireMayManage(principal, user)
      await lockPrincipals(tx, id)
      await removeFactors(tx, id)
      await tx.delete(sessions).where(eq(sessions.userId, id))
      audit.record({ entity: entityOf(user), ...(reason ? { reason } : {}) })
      return getUser(tx, tenant.id, id)
    }),
})
