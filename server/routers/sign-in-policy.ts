// How the people of a tenant have to sign in: by their identity provider alone, and whether with a second factor.
import { eq } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { tenants } from '#db/schema.ts'
import { procedure } from '../gate.ts'
import { badField } from '../problem.ts'
import { lockSignInPolicies, providersOf } from '../sign-in-policy.ts'
import { t } from '../trpc.ts'

const openapi = { tags: ['sign-in-policy'], path: '/admin/sign-in-policy' as const }

const PolicyInput = {
  isSsoOnly: z
    .boolean()
    .describe('Whether passwords are refused. A SuperAdmin’s opens all the same, for the day on which the provider is down.'),
  requiresSecondFactor: z.boolean().describe('Whether admins need a second factor beside their password.'),
}

const SignInPolicy = z
  .object({ ...PolicyInput, providers: z.array(z.string()).describe('The identity providers that let people into the tenant.') })
  .meta({ id: 'SignInPolicy' })

export const signInPolicyRouter = t.router({
  get: procedure
    .meta({
      role: 'TenantAdmin',
      openapi: {
        ...openapi,
        method: 'GET',
        summary: 'Get the sign-in policy',
        description: 'How people of the tenant have to sign in, and through which identity providers they can.',
      },
    })
    .input(z.strictObject({}))
    .output(SignInPolicy)
    .query(({ ctx: { tx, tenant } }) => readPolicy(tx, tenant.id)),

  update: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'tenant.sign_in_policy_changed',
      openapi: {
        ...openapi,
        method: 'PUT',
        summary: 'Replace the sign-in policy',
        description:
          '`isSsoOnly` needs an active identity provider that is mapped to the tenant, which a SuperAdmin adds. Sessions stay; API keys are not concerned.',
      },
    })
    .input(z.strictObject(PolicyInput))
    .output(SignInPolicy)
    .mutation(async ({ ctx: { tx, tenant, audit }, input }) => {
      await lockSignInPolicies(tx)
      const { providers, ...before } = await readPolicy(tx, tenant.id)
      if (input.isSsoOnly && providers.length === 0) {
        throw badField(
          'isSsoOnly',
          'No active identity provider is mapped to this tenant: nobody could sign in. Ask a SuperAdmin to add one.',
        )
      }
      if (before.isSsoOnly === input.isSsoOnly && before.requiresSecondFactor === input.requiresSecondFactor) audit.unchanged()
      else audit.record({ entity: { type: 'tenant', ...tenant }, before, after: input })
      await tx.update(tenants).set(input).where(eq(tenants.id, tenant.id))
      return { ...input, providers }
    }),
})

async function readPolicy(tx: Tx, tenantId: string): Promise<z.infer<typeof SignInPolicy>> {
  const [row] = await tx
    .select({ isSsoOnly: tenants.isSsoOnly, requiresSecondFactor: tenants.requiresSecondFactor })
    .from(tenants)
    .where(eq(tenants.id, tenantId))
  if (!row) throw new Error('the tenant of the call is gone')
  return { ...row, providers: await providersOf(tx, tenantId) }
}
