// Just-in-time users: whom a provider vouches for is found, linked or made, in their tenant and with their role.
// As the login role, in one transaction: nothing of it comes from a request but what the provider has signed.
import { TRPCError } from '@trpc/server'
import { and, eq, sql } from 'drizzle-orm'
import type { Database, Tx } from '#db/client.ts'
import { accounts, tenants, users } from '#db/schema.ts'
import { type Actor, writeAudit } from './audit.ts'
import type { Call } from './call.ts'
import { requireQuota } from './quotas.ts'
import type { MappedPerson } from './sso-claims.ts'
import { followRole } from './sso-roles.ts'

export type SignInOrigin = Pick<Call, 'ip' | 'userAgent' | 'requestId'>
export type User = typeof users.$inferSelect

export interface Vouched {
  provider: { id: string; name: string }
  /** The person's id at the provider. */
  accountId: string
  person: MappedPerson
}

/** Not let in. The message is for the person and the audit log; `user` is whom it is about, when they are known here. */
export class SsoRefusal extends TRPCError {
  readonly user: User | undefined

  constructor(message: string, user?: User) {
    super({ code: 'FORBIDDEN', message })
    this.user = user
  }
}

/** @returns the id of the user who may sign in. @throws SsoRefusal; nothing is changed then. */
export async function admit({ transaction }: Database, vouched: Vouched, origin: SignInOrigin): Promise<string> {
  const { provider, accountId } = vouched
  const actor: Actor = { kind: 'system', id: provider.id, name: provider.name, role: null }
  return transaction(async (tx) => {
    await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended(${`mate.oidc.${provider.id}.${accountId}`}, 0))`)
    await requireActiveTenant(tx, vouched.person.tenantId)
    const known = await findByAccount(tx, vouched)
    if (known) {
      requireSameTenant(known, vouched.person.tenantId)
      requireActive(known)
      await followRole(tx, known, vouched.person.role, actor, origin)
      return known.id
    }
    const { email } = vouched.person
    if (email === null) throw new SsoRefusal(noEmail)
    const [holder] = await tx.select().from(users).where(eq(users.email, email))
    return holder ? link(tx, holder, vouched, actor, origin) : create(tx, { ...vouched, email }, actor, origin)
  })
}

const noEmail =
  'Your provider sends no e-mail address, or does not say that it is verified (email_verified). Without one no account can be made or found. Ask your admin.'

export const providerIdOf = (id: string) => `oidc:${id}`

async function requireActiveTenant(tx: Tx, id: string): Promise<void> {
  const [tenant] = await tx.select({ isActive: tenants.isActive }).from(tenants).where(eq(tenants.id, id))
  if (!tenant?.isActive) throw new SsoRefusal('Your tenant is deactivated. Ask your SuperAdmin.')
}

async function findByAccount(tx: Tx, { provider, accountId }: Vouched): Promise<User | undefined> {
  const [found] = await tx
    .select({ user: users })
    .from(accounts)
    .innerJoin(users, eq(users.id, accounts.userId))
    .where(and(eq(accounts.providerId, providerIdOf(provider.id)), eq(accounts.accountId, accountId)))
  return found?.user
}

/** Nobody moves between tenants by what a provider says: what is theirs would stay behind, or come along. */
function requireSameTenant(user: User, tenantId: string): void {
  if (user.tenantId === tenantId) return
  const message = 'Your provider puts you in another tenant than the one that your account belongs to. Ask your SuperAdmin.'
  throw new SsoRefusal(message, user)
}

function requireActive(user: User): void {
  if (!user.isActive) throw new SsoRefusal('Your account is deactivated. Ask your admin to reactivate it.', user)
}

async function link(tx: Tx, user: User, { provider, accountId, person }: Vouched, actor: Actor, origin: SignInOrigin) {
  if (user.tenantId !== person.tenantId) {
    throw new SsoRefusal('Your e-mail address belongs to an account of another tenant, which your provider does not speak for.')
  }
  requireActive(user)
  // Else whoever runs a tenant's provider could become a SuperAdmin who happens to live in that tenant.
  if (user.role === 'SuperAdmin' && person.role !== 'SuperAdmin') {
    const message =
      'The account with your e-mail address is a SuperAdmin’s, and the provider’s mapping makes you none. Use your password.'
    throw new SsoRefusal(message, user)
  }
  await tx.insert(accounts).values({ userId: user.id, accountId, providerId: providerIdOf(provider.id) })
  await writeAudit(tx, {
    tenantId: user.tenantId,
    actor,
    action: 'user.linked',
    entity: { type: 'user', id: user.id, name: user.name },
    outcome: 'success',
    origin,
    after: { provider: provider.name },
  })
  await followRole(tx, user, person.role, actor, origin)
  return user.id
}

async function create(
  tx: Tx,
  { provider, accountId, person, email }: Vouched & { email: string },
  actor: Actor,
  origin: SignInOrigin,
) {
  await requireQuota(tx, person.tenantId, 'maxUsers')
  const { tenantId, role } = person
  const name = person.name ?? email.slice(0, 100)
  const [made] = await tx.insert(users).values({ name, email, emailVerified: true, tenantId, role }).returning({ id: users.id })
  if (!made) throw new Error('the insert returned no row')
  await tx.insert(accounts).values({ userId: made.id, accountId, providerId: providerIdOf(provider.id) })
  await writeAudit(tx, {
    tenantId,
    actor,
    action: 'user.created',
    entity: { type: 'user', id: made.id, name },
    outcome: 'success',
    origin,
    after: { name, email, role, provider: provider.name },
  })
  return made.id
}
