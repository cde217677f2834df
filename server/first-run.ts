// The first tenant and its SuperAdmin: by one-time link, by environment or by console. There are no default credentials.
import { createHash, randomBytes } from 'node:crypto'
import { TRPCError } from '@trpc/server'
import { hashPassword } from 'better-auth/crypto'
import { and, eq, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Database, Tx } from '#db/client.ts'
import { accounts, sessions, setupLinks, tenants, users } from '#db/schema.ts'
import { type Actor, writeAudit } from './audit.ts'
import type { Call } from './call.ts'
import { line } from './input.ts'
import { holdsOwnWord, isKnownPassword } from './known-passwords.ts'
import type { Role } from './roles.ts'
import { removeFactors } from './second-factor.ts'

type Origin = Pick<Call, 'ip' | 'userAgent' | 'requestId'>

/** The one rule of passwords. It looks one up in a list, so it is parsed asynchronously: a synchronous parse throws. */
export const Password = z
  .string()
  .min(12, 'Must have at least 12 characters.')
  .max(128, 'Must have at most 128 characters.')
  .refine(
    async (password) => !(await isKnownPassword(password)),
    'Is in a list of passwords that everybody knows. Choose another.',
  )

export const ownWordMessage = 'Must not contain your e-mail address or your name.'

export const Email = z.email('Must be an e-mail address.').max(254).toLowerCase()

export const SetupInput = z
  .strictObject({
    token: z.string().max(100),
    tenantName: line(100),
    name: line(100),
    email: Email,
    password: Password,
  })
  .refine((setup) => !holdsOwnWord(setup.password, setup), { path: ['password'], message: ownWordMessage })

export const setupActor: Actor = { kind: 'system', id: 'setup', name: 'first run', role: null }
const noOrigin = (): Origin => ({ ip: null, userAgent: null, requestId: crypto.randomUUID() })

const lockNumber = 7235_002

/** Two first runs at once make one tenant. */
async function lockFirstRun(tx: Tx): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(${lockNumber})`)
}

export async function hasUser(db: Pick<Tx, 'select'>): Promise<boolean> {
  return (await db.select({ id: users.id }).from(users).limit(1)).length > 0
}

const hashToken = (token: string) => createHash('sha256').update(token).digest()

/** A new one-time link's token, 32 random bytes in base64url; undefined once there is a user. */
export async function createSetupToken({ transaction }: Database): Promise<string | undefined> {
  return transaction(async (tx) => {
    await lockFirstRun(tx)
    if (await hasUser(tx)) return undefined
    const token = randomBytes(32).toString('base64url')
    await tx.insert(setupLinks).values({ tokenHash: hashToken(token) })
    return token
  })
}

/** True while there is no user and this link was made by a start of a server. */
export async function isSetupOpen(db: Pick<Tx, 'select'>, token: string): Promise<boolean> {
  if (await hasUser(db)) return false
  const found = await db
    .select({ at: setupLinks.createdAt })
    .from(setupLinks)
    .where(eq(setupLinks.tokenHash, hashToken(token)))
  return found.length > 0
}

/** @throws TRPCError FORBIDDEN when the link is used up or was never made. */
export async function completeSetup({ transaction }: Database, input: z.infer<typeof SetupInput>, origin: Origin): Promise<void> {
  const password = await hashPassword(input.password)
  await transaction(async (tx) => {
    await lockFirstRun(tx)
    if (!(await isSetupOpen(tx, input.token))) {
      throw new TRPCError({
        code: 'FORBIDDEN',
        message: 'This set-up link is not open: it was used, or the server made another.',
      })
    }
    await tx.delete(setupLinks)
    const tenant = await createTenant(tx, input.tenantName, setupActor, origin)
    await createUser(tx, { ...input, password, role: 'SuperAdmin', tenantId: tenant.id }, setupActor, origin)
  })
}

/** MATE_ADMIN_EMAIL and MATE_ADMIN_PASSWORD: the same without a browser, and nothing once there is a user. */
export async function createAdminFromEnv({ db, transaction }: Database, email: string, givenPassword: string): Promise<void> {
  if (await hasUser(db)) return
  const parsed = await Password.safeParseAsync(givenPassword)
  const fault = parsed.error?.issues[0]?.message ?? (holdsOwnWord(givenPassword, { email }) ? ownWordMessage : undefined)
  if (fault) throw new Error(`MATE_ADMIN_PASSWORD: ${fault}`)
  const password = await hashPassword(givenPassword)
  await transaction(async (tx) => {
    await lockFirstRun(tx)
    if (await hasUser(tx)) return
    await tx.delete(setupLinks)
    const tenant = (await findTenant(tx)) ?? (await createTenant(tx, 'Default', setupActor, noOrigin()))
    const user = { name: 'Admin', email: Email.parse(email), password, role: 'SuperAdmin', tenantId: tenant.id } as const
    await createUser(tx, user, setupActor, noOrigin())
  })
}

/** The tenant of this name; without a name, the oldest one. */
export async function findTenant(tx: Tx, name?: string): Promise<{ id: string; name: string } | undefined> {
  const [tenant] = await tx
    .select({ id: tenants.id, name: tenants.name })
    .from(tenants)
    .where(name === undefined ? undefined : sql`lower(${tenants.name}) = lower(${name})`)
    .orderBy(tenants.createdAt)
    .limit(1)
  return tenant
}

export async function createTenant(
  tx: Tx,
  name: string,
  actor: Actor,
  origin = noOrigin(),
): Promise<{ id: string; name: string }> {
  const [tenant] = await tx.insert(tenants).values({ name }).returning({ id: tenants.id, name: tenants.name })
  if (!tenant) throw new Error('the insert returned no row')
  const entity = { type: 'tenant', ...tenant } as const
  await writeAudit(tx, {
    tenantId: tenant.id,
    actor,
    action: 'tenant.created',
    entity,
    outcome: 'success',
    origin,
    after: { name },
  })
  return tenant
}

interface NewUser {
  name: string
  email: string
  /** Hashed. */
  password: string
  role: Role
  tenantId: string
}

export async function createUser(tx: Tx, user: NewUser, actor: Actor, origin = noOrigin()): Promise<void> {
  const { password, ...fields } = user
  const [made] = await tx
    .insert(users)
    .values({ ...fields, emailVerified: true })
    .returning({ id: users.id })
  if (!made) throw new Error('the insert returned no row')
  await tx.insert(accounts).values({ userId: made.id, accountId: made.id, providerId: 'credential', password })
  const entity = { type: 'user', id: made.id, name: user.name } as const
  const after = { name: user.name, email: user.email, role: user.role }
  await writeAudit(tx, { tenantId: user.tenantId, actor, action: 'user.created', entity, outcome: 'success', origin, after })
}

/**
 * Gives the user of this address a new password, makes it an active SuperAdmin, removes its second factors, and ends its sessions.
 * @returns false when there is no such user.
 */
export async function restoreAdmin(tx: Tx, email: string, password: string, actor: Actor): Promise<boolean> {
  const [user] = await tx.select().from(users).where(eq(users.email, email))
  if (!user) return false
  await tx.execute(sql`select pg_advisory_xact_lock(mate_principal_lock(${user.id}::uuid))`)
  await tx.update(users).set({ role: 'SuperAdmin', isActive: true }).where(eq(users.id, user.id))
  await tx.delete(sessions).where(eq(sessions.userId, user.id))
  // Whoever is locked out has lost that too.
  await removeFactors(tx, user.id)
  const ofPassword = and(eq(accounts.userId, user.id), eq(accounts.providerId, 'credential'))
  const changed = await tx.update(accounts).set({ password }).where(ofPassword).returning({ id: accounts.id })
  if (changed.length === 0) {
    await tx.insert(accounts).values({ userId: user.id, accountId: user.id, providerId: 'credential', password })
  }
  await writeAudit(tx, {
    tenantId: user.tenantId,
    actor,
    action: 'user.password_reset',
    entity: { type: 'user', id: user.id, name: user.name },
    outcome: 'success',
    origin: noOrigin(),
    before: { role: user.role, isActive: user.isActive },
    after: { role: 'SuperAdmin', isActive: true },
  })
  return true
}
