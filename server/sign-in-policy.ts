// Tenants whose people sign in by their identity provider alone: where a password is refused, and in which words.
import { APIError } from 'better-auth/api'
import { eq, sql } from 'drizzle-orm'
import type { Database, Tx } from '#db/client.ts'
import { identityProviders, tenants, users } from '#db/schema.ts'
import { writeFoldedAudit } from './audit.ts'
import type { SignInOrigin } from './sso-people.ts'

const code = 'SSO_ONLY'

/** Changes of a policy and of what it relies on take turns. */
export async function lockSignInPolicies(tx: Tx): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended('mate.sign_in_policy', 0))`)
}

/** The names of the active providers that let people into this tenant, sorted. */
export async function providersOf(tx: Pick<Tx, 'select'>, tenantId: string): Promise<string[]> {
  const rows = await tx
    .select({ name: identityProviders.name })
    .from(identityProviders)
    .where(sql`${identityProviders.isActive} and ${identityProviders.mappings} @> ${JSON.stringify([{ tenantId }])}::jsonb`)
    .orderBy(identityProviders.name)
  return rows.map(({ name }) => name)
}

/**
 * Refuses a right password where a provider has to vouch: after it was checked, so that only its owner learns of it. A
 * SuperAdmin's opens all the same, or a provider that is down would lock everybody out.
 * @throws APIError FORBIDDEN, from which `ssoOnlyMessage` takes the words.
 */
export async function refusePassword(database: Database, userId: string, origin: SignInOrigin): Promise<void> {
  const refused = await database.transaction(async (tx) => {
    const [user] = await tx
      .select({ id: users.id, name: users.name, role: users.role, tenantId: users.tenantId, isSsoOnly: tenants.isSsoOnly })
      .from(users)
      .innerJoin(tenants, eq(tenants.id, users.tenantId))
      .where(eq(users.id, userId))
    if (!user?.isSsoOnly || user.role === 'SuperAdmin') return undefined
    const { id, name, role, tenantId } = user
    const reason = 'The password was right, but the tenant signs in by its identity provider alone.'
    const entity = { type: 'user', id, name } as const
    const actor = { kind: 'user', id, name, role } as const
    const entry = { tenantId, actor, action: 'user.sign_in_failed', entity, outcome: 'refused', origin, reason } as const
    await writeFoldedAudit(tx, entry, `user:${id}:sso-only:${Math.floor(Date.now() / 60_000)}`, 1)
    return providersOf(tx, tenantId)
  })
  if (!refused) return
  const buttons = refused.map((name) => `“Sign in with ${name}”`).join(' or ')
  throw new APIError('FORBIDDEN', {
    code,
    message: `Your company does not sign in by password. Use ${buttons || 'your provider'} instead.`,
  })
}

/** The words of `refusePassword` in an answer of better-auth; undefined when it was refused for something else. */
export async function ssoOnlyMessage(response: Response): Promise<string | undefined> {
  const body: unknown = await response.json().catch(() => null)
  if (typeof body !== 'object' || body === null || !('code' in body) || body.code !== code) return undefined
  return 'message' in body ? String(body.message) : undefined
}
