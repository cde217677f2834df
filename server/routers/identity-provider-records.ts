// The records of identity providers: their shape outside, their columns inside, and what the tenants' logs hold of them.
import { TRPCError } from '@trpc/server'
import { eq, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { identityProviders, type TenantMapping } from '#db/schema.ts'
import { writeAudit } from '../audit.ts'
import type { Call } from '../call.ts'
import { Id, Instant, line } from '../input.ts'
import { providerRules } from '../oidc-client.ts'
import { faultOfProviderUrl } from '../oidc-fetch.ts'
import { actIn, type Principal } from '../principal.ts'
import { badField } from '../problem.ts'
import { Role } from '../roles.ts'
import { emailDomain } from '../sso-claims.ts'

const Mapping = z.strictObject({
  claimValue: line(200).describe(`Of the tenant claim: a tenant’s id at the provider, or with \`${emailDomain}\` a domain.`),
  tenantId: Id,
  defaultRole: z
    .enum(['Viewer', 'Tester', 'TenantAdmin'])
    .nullable()
    .default(null)
    .describe('Of those whom none of the roles fits; null refuses them.'),
  roles: z
    .array(z.strictObject({ claimValue: line(200), role: Role }))
    .max(100)
    .default([])
    .describe('By values of the role claim; of several that fit, the highest role. Only here can somebody become SuperAdmin.'),
})

const claimName = (what: string) => line(200).describe(what)

const Fields = {
  name: line(60).describe('As it stands on the button: “Sign in with …”.'),
  clientId: line(200),
  scopes: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,100}$/, 'Must be a scope: RFC 6749, section 3.3.'))
    .min(1)
    .max(20)
    .refine((scopes) => scopes.includes('openid'), 'Must contain `openid`.')
    .default(['openid', 'profile', 'email']),
  tenantClaim: claimName(
    `The claim that says whose tenant it is, such as \`tid\`; \`${emailDomain}\` is what stands behind the @ of the verified address. Dots lead into objects.`,
  ),
  roleClaim: claimName('The claim with roles or groups, such as `roles`, `groups` or `realm_access.roles`.')
    .nullable()
    .default(null),
  isEmailTrusted: z
    .boolean()
    .default(false)
    .describe('Takes its addresses for verified when it does not say so: only for a provider whose admins alone give them out.'),
  mappings: z.array(Mapping).max(200).default([]).refine(areDistinct, 'Must have each value of the claim once.'),
  isActive: z.boolean().default(true),
}

function areDistinct(mappings: { claimValue: string }[]): boolean {
  return new Set(mappings.map(({ claimValue }) => claimValue.toLowerCase())).size === mappings.length
}

const clientSecret = z.string().min(1).max(500)

export const NewProviderInput = {
  ...Fields,
  issuer: z
    .url({ protocol: /^https?$/, error: 'Must be an https URL.' })
    .max(500)
    .refine((url) => !/[?#]|\/\.well-known\//.test(url), 'Must be the issuer itself: no query, and no /.well-known/ in it.')
    .describe('As the provider’s metadata has it. It can’t be changed: another issuer is another provider.'),
  clientSecret: clientSecret.describe('Kept encrypted, and never shown.'),
}

export const ProviderInput = {
  ...Fields,
  clientSecret: clientSecret.optional().describe('Left out, it stays as it is.'),
}

export const IdentityProvider = z
  .object({
    id: Id,
    name: z.string(),
    issuer: z.string(),
    clientId: z.string(),
    scopes: z.array(z.string()),
    tenantClaim: z.string(),
    roleClaim: z.string().nullable(),
    isEmailTrusted: z.boolean(),
    mappings: z.array(
      z.object({
        claimValue: z.string(),
        tenantId: Id,
        tenantName: z.string(),
        defaultRole: Role.nullable(),
        roles: z.array(z.object({ claimValue: z.string(), role: Role })),
      }),
    ),
    isActive: z.boolean(),
    createdAt: Instant,
    updatedAt: Instant,
  })
  .meta({ id: 'IdentityProvider' })
export type IdentityProvider = z.infer<typeof IdentityProvider>

/** All but the secret, which this role may not read. */
export const columns = {
  id: identityProviders.id,
  name: identityProviders.name,
  issuer: identityProviders.issuer,
  clientId: identityProviders.clientId,
  scopes: identityProviders.scopes,
  tenantClaim: identityProviders.tenantClaim,
  roleClaim: identityProviders.roleClaim,
  isEmailTrusted: identityProviders.isEmailTrusted,
  mappings: identityProviders.mappings,
  isActive: identityProviders.isActive,
  createdAt: identityProviders.createdAt,
  updatedAt: identityProviders.updatedAt,
}

type Row = Pick<typeof identityProviders.$inferSelect, keyof typeof columns>

export interface MappableTenant {
  id: string
  name: string
  isSsoOnly: boolean
}

/** By name, the deactivated ones too. */
export async function findMappableTenants(tx: Tx, ids: string[]): Promise<MappableTenant[]> {
  return tx
    .select({ id: sql<string>`id`, name: sql<string>`name`, isSsoOnly: sql<boolean>`is_sso_only` })
    .from(sql`mate_mappable_tenants(${sql.param(`{${[...new Set(ids)].join(',')}}`)}::uuid[])`)
    .orderBy(sql`name, id`)
}

export async function toProviders(tx: Tx, rows: Row[]): Promise<IdentityProvider[]> {
  const tenants = await findMappableTenants(
    tx,
    rows.flatMap(({ mappings }) => tenantsOf(mappings)),
  )
  const names = new Map(tenants.map(({ id, name }) => [id, name]))
  return rows.map(({ mappings, createdAt, updatedAt, ...rest }) => ({
    ...rest,
    mappings: mappings.map((mapping) => ({ ...mapping, tenantName: names.get(mapping.tenantId) ?? '' })),
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  }))
}

/** @throws TRPCError NOT_FOUND */
export async function getProvider(tx: Tx, id: string, forUpdate = false): Promise<IdentityProvider> {
  const query = tx.select(columns).from(identityProviders).where(eq(identityProviders.id, id))
  const rows = await (forUpdate ? query.for('update') : query)
  const [provider] = await toProviders(tx, rows)
  if (!provider) throw new TRPCError({ code: 'NOT_FOUND', message: 'There is no identity provider with this id.' })
  return provider
}

export const entityOf = ({ id, name }: Pick<IdentityProvider, 'id' | 'name'>) =>
  ({ type: 'identity_provider', id, name }) as const

/** For the audit log: everything but the secret. */
export function fieldsOf({ id: _, createdAt: __, updatedAt: ___, ...fields }: IdentityProvider) {
  return fields
}

export const tenantsOf = (mappings: Pick<TenantMapping, 'tenantId'>[]) => [...new Set(mappings.map(({ tenantId }) => tenantId))]

/** @throws TRPCError BAD_REQUEST about the issuer, or about a mapping's tenant. */
export async function requireUsable(tx: Tx, issuer: string | undefined, mappings: TenantMapping[]): Promise<void> {
  const fault = issuer === undefined ? undefined : faultOfProviderUrl(issuer, providerRules())
  if (fault) throw badField('issuer', fault)
  const known = new Set((await findMappableTenants(tx, tenantsOf(mappings))).map(({ id }) => id))
  const missing = mappings.findIndex(({ tenantId }) => !known.has(tenantId))
  if (missing >= 0) throw badField(`mappings.${missing}.tenantId`, 'There is no such tenant.')
}

/** Mapping for mapping, as it is written: what a zod output has beyond it is left out. */
export function storedMappings(mappings: z.infer<typeof Mapping>[]): TenantMapping[] {
  return mappings.map(({ claimValue, tenantId, defaultRole, roles }) => ({
    claimValue,
    tenantId: tenantId.toLowerCase(),
    defaultRole,
    roles,
  }))
}

interface Told {
  tx: Tx
  principal: Principal
  tenant: { id: string }
  call: Pick<Call, 'ip' | 'userAgent' | 'requestId'>
}

/**
 * Tells each tenant's own log what a provider's mapping says of it, when that is another than before: who may come in is
 * its admins' to know. The caller's own tenant has the entry of the change itself.
 */
export async function tellTenants({ tx, principal, tenant, call }: Told, before?: IdentityProvider, after?: IdentityProvider) {
  const of = (provider: IdentityProvider | undefined, tenantId: string) =>
    provider?.isActive ? provider.mappings.filter((mapping) => mapping.tenantId === tenantId).map(factsOf) : []
  const provider = after ?? before
  const concerned = tenantsOf([...(before?.mappings ?? []), ...(after?.mappings ?? [])]).filter((id) => id !== tenant.id)
  if (!provider) return
  // In one order: each entry holds its tenant's log until the commit.
  for (const tenantId of concerned.sort()) {
    const [was, is] = [of(before, tenantId), of(after, tenantId)]
    if (JSON.stringify(was) === JSON.stringify(is)) continue
    const [entered] = await actIn(tx, 'transaction', tenantId)
    if (!entered) continue
    const action = is.length > 0 ? 'tenant.sign_in_mapped' : 'tenant.sign_in_unmapped'
    const facts = { before: { provider: provider.name, mappings: was }, after: { provider: provider.name, mappings: is } }
    const entity = { type: 'tenant', ...entered } as const
    await writeAudit(tx, { tenantId, actor: principal, action, entity, outcome: 'success', origin: call, ...facts })
  }
  await actIn(tx, 'transaction', tenant.id)
}

const factsOf = ({ claimValue, defaultRole, roles }: IdentityProvider['mappings'][number]) => ({ claimValue, defaultRole, roles })
