// Identity providers of the deployment: who vouches for people, for which tenants, and in which roles.
import { TRPCError } from '@trpc/server'
import { and, desc, eq, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { identityProviders } from '#db/schema.ts'
import { procedure } from '../gate.ts'
import { Id } from '../input.ts'
import { sealGiven } from '../kept-secret.ts'
import { discover, OidcFailure } from '../oidc-client.ts'
import { olderThan, PageInput, pageOf, toTimePage } from '../paging.ts'
import { getRuntime } from '../runtime.ts'
import { seal, unseal } from '../secret-box.ts'
import { lockSignInPolicies } from '../sign-in-policy.ts'
import { t } from '../trpc.ts'
import {
  columns,
  entityOf,
  fieldsOf,
  findMappableTenants,
  getProvider,
  IdentityProvider,
  NewProviderInput,
  ProviderInput,
  requireUsable,
  storedMappings,
  tellTenants,
  tenantsOf,
  toProviders,
} from './identity-provider-records.ts'

const openapi = { tags: ['identity-providers'] }

const Check = z
  .object({
    ok: z.boolean().describe('Whether its metadata can be read and used.'),
    error: z.string().nullable().describe('What is wrong.'),
  })
  .meta({ id: 'IdentityProviderCheck' })

export const identityProvidersRouter = t.router({
  list: procedure
    .meta({
      role: 'SuperAdmin',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/admin/identity-providers',
        summary: 'List identity providers',
        description: 'Those of the whole deployment, newest first, without their secrets.',
      },
    })
    .input(z.strictObject(PageInput))
    .output(pageOf(IdentityProvider))
    .query(async ({ ctx: { tx }, input: { limit, cursor } }) => {
      const rows = await tx
        .select({ ...columns, position: sql<string>`${identityProviders.createdAt}::text` })
        .from(identityProviders)
        .where(olderThan(identityProviders.createdAt, identityProviders.id, cursor))
        .orderBy(desc(identityProviders.createdAt), desc(identityProviders.id))
        .limit(limit + 1)
      const { items, nextCursor } = toTimePage(rows, limit, (row) => row)
      return { items: await toProviders(tx, items), nextCursor }
    }),

  get: procedure
    .meta({
      role: 'SuperAdmin',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/admin/identity-providers/{id}',
        summary: 'Get an identity provider',
        description: 'One provider with its mappings, without its secret.',
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(IdentityProvider)
    .query(({ ctx: { tx }, input }) => getProvider(tx, input.id)),

  create: procedure
    .meta({
      role: 'SuperAdmin',
      audit: 'identity_provider.created',
      openapi: {
        ...openapi,
        method: 'POST',
        path: '/admin/identity-providers',
        summary: 'Add an identity provider',
        description:
          'From now on people can sign in with it whom one of its mappings lets into a tenant. Its redirect address is `/sso/callback` of the pages. Each tenant that is mapped has an entry in its own audit log.',
        status: 201,
        location: '/admin/identity-providers/{id}',
      },
    })
    .input(z.strictObject(NewProviderInput))
    .output(IdentityProvider)
    .mutation(async ({ ctx, input: { clientSecret, ...input } }) => {
      const { tx, tenant, audit } = ctx
      const mappings = storedMappings(input.mappings)
      await requireUsable(tx, input.issuer, mappings)
      const id = crypto.randomUUID()
      const sealed = seal(getRuntime().secret, id, clientSecret)
      await tx.insert(identityProviders).values({ id, ...input, mappings, clientSecret: sealed, auditTenantId: tenant.id })
      const provider = await getProvider(tx, id)
      await tellTenants({ ...ctx, call: ctx }, undefined, provider)
      audit.record({ entity: entityOf(provider), after: fieldsOf(provider) })
      return provider
    }),

  update: procedure
    .meta({
      role: 'SuperAdmin',
      audit: 'identity_provider.updated',
      openapi: {
        ...openapi,
        method: 'PUT',
        path: '/admin/identity-providers/{id}',
        summary: 'Replace an identity provider',
        description:
          'Replaces all fields but the issuer, and the secret when it is left out. People keep their sessions; roles change at the next sign-in.',
        conflicts: true,
      },
    })
    .input(z.strictObject({ id: Id, ...ProviderInput }))
    .output(IdentityProvider)
    .mutation(async ({ ctx, input: { id, clientSecret, ...input } }) => {
      const { tx, audit } = ctx
      await lockSignInPolicies(tx)
      const before = await getProvider(tx, id, true)
      const mappings = storedMappings(input.mappings)
      await requireUsable(tx, undefined, mappings)
      const sealed = sealGiven(id, clientSecret)
      await tx
        .update(identityProviders)
        .set({ ...input, mappings, ...(sealed ? { clientSecret: sealed } : {}), updatedAt: sql`clock_timestamp()` })
        .where(eq(identityProviders.id, id))
      const after = await getProvider(tx, id)
      await requireNobodyLockedOut(tx, before)
      await tellTenants({ ...ctx, call: ctx }, before, after)
      audit.record({
        entity: entityOf(after),
        before: fieldsOf(before),
        after: { ...fieldsOf(after), ...(sealed ? { clientSecret: 'replaced' } : {}) },
      })
      return after
    }),

  delete: procedure
    .meta({
      role: 'SuperAdmin',
      audit: 'identity_provider.deleted',
      openapi: {
        ...openapi,
        method: 'DELETE',
        path: '/admin/identity-providers/{id}',
        summary: 'Delete an identity provider',
        description:
          'Nobody signs in with it any more. Its people stay, with their sessions; a password lets them in, or another provider.',
        status: 204,
        conflicts: true,
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(z.void())
    .mutation(async ({ ctx, input: { id } }) => {
      const { tx, audit } = ctx
      await lockSignInPolicies(tx)
      const before = await getProvider(tx, id, true)
      await tx.delete(identityProviders).where(eq(identityProviders.id, id))
      await requireNobodyLockedOut(tx, before)
      await tellTenants({ ...ctx, call: ctx }, before)
      audit.record({ entity: entityOf(before), before: fieldsOf(before) })
    }),

  test: procedure
    .meta({
      role: 'SuperAdmin',
      audit: 'identity_provider.tested',
      openapi: {
        ...openapi,
        method: 'POST',
        path: '/admin/identity-providers/{id}/test',
        summary: 'Test an identity provider',
        description:
          'Fetches its metadata and says what is wrong with it. Whether the client and its secret are right only a sign-in can tell.',
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(Check)
    .mutation(async ({ ctx: { tx, audit, afterCommit }, input: { id } }) => {
      const provider = await getProvider(tx, id)
      audit.record({ entity: entityOf(provider), after: { issuer: provider.issuer } })
      return afterCommit(() => check(id), { ok: false, error: null })
    }),
})

/** With its secret, which only the login role may read: no transaction is open by now. */
async function check(id: string): Promise<z.infer<typeof Check>> {
  const { database, secret } = getRuntime()
  const [provider] = await database.db.select().from(identityProviders).where(eq(identityProviders.id, id))
  if (!provider) return { ok: false, error: 'It was deleted meanwhile.' }
  try {
    await discover({ ...provider, clientSecret: unseal(secret, id, provider.clientSecret) })
    return { ok: true, error: null }
  } catch (error) {
    if (error instanceof OidcFailure) return { ok: false, error: error.message }
    throw error
  }
}

/** @throws TRPCError CONFLICT when a tenant that signs in by its providers alone has none any more. */
async function requireNobodyLockedOut(tx: Tx, before: IdentityProvider): Promise<void> {
  for (const { id, name, isSsoOnly } of await findMappableTenants(tx, tenantsOf(before.mappings))) {
    if (!isSsoOnly) continue
    const isMapped = sql`${identityProviders.mappings} @> ${JSON.stringify([{ tenantId: id }])}::jsonb`
    if ((await tx.$count(identityProviders, and(identityProviders.isActive, isMapped))) > 0) continue
    const message = `The people of “${name}” sign in by this provider alone. Let their admin switch “single sign-on only” off first.`
    throw new TRPCError({ code: 'CONFLICT', message })
  }
}
