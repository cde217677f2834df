// The door of what people do to their own account: a transaction for the person of a session, in their home tenant.
import { TRPCError } from '@trpc/server'
import { and, eq, sql } from 'drizzle-orm'
import type { Database, Tx } from '#db/client.ts'
import { sessions, tenants, users } from '#db/schema.ts'
import { type Change, writeAudit, writeFoldedAudit } from './audit.ts'
import { freshFor, signInAgain } from './fresh-sign-in.ts'
import { countRequest } from './key-rate.ts'
import { isRoleAtLeast } from './roles.ts'
import type { Origin, Subject } from './sessions.ts'

export interface Person extends Subject {
  sessionId: string
  email: string
  /** How the session was opened, e.g. `password`, `password+totp`, `passkey`, `oidc`. */
  method: string
  isFresh: boolean
  /** Whether their tenant wants a second factor of them. */
  needsFactor: boolean
}

export interface Ask {
  /** Of a session that waits for its second factor; else of an open one. */
  isPending?: boolean
  /** Refuses a sign-in older than five minutes. */
  isFresh?: boolean
  /** Waits until nothing else is under way for this person: what their other sessions asked for commits before, or never. */
  isAlone?: boolean
}

/** How long a session waits for its second factor. */
export const pendingFor = '10 minutes'

/** As the login role, since mate_app may not touch what proves who people are; the tenant is never taken from a request. */
export async function asPerson<T>(
  database: Database,
  sessionId: string,
  ask: Ask,
  work: (tx: Tx, person: Person) => Promise<T>,
): Promise<T> {
  return database.transaction(async (tx) => {
    await holdPerson(tx, sessionId, ask.isAlone ?? false)
    const person = await findPerson(tx, sessionId, ask.isPending ?? false)
    if (!person) throw new TRPCError({ code: 'UNAUTHORIZED', message: 'Sign in first.' })
    if (ask.isFresh && !person.isFresh) throw signInAgain()
    return work(tx, person)
  })
}

/** The locks of mate_find_user, in its order: whoever ends the person or their tenant waits for us, or we for them. */
async function holdPerson(tx: Tx, sessionId: string, isAlone: boolean): Promise<void> {
  const [holder] = await tx
    .select({ id: users.id, tenantId: users.tenantId })
    .from(sessions)
    .innerJoin(users, eq(users.id, sessions.userId))
    .where(eq(sessions.id, sessionId))
  if (holder) await lockPerson(tx, holder, isAlone)
}

export async function lockPerson(tx: Tx, { id, tenantId }: { id: string; tenantId: string }, isAlone = false): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock_shared(mate_people_lock(${tenantId}::uuid))`)
  await tx.execute(
    isAlone
      ? sql`select pg_advisory_xact_lock(mate_principal_lock(${id}::uuid))`
      : sql`select pg_advisory_xact_lock_shared(mate_principal_lock(${id}::uuid))`,
  )
}

async function findPerson(tx: Tx, sessionId: string, isPending: boolean): Promise<Person | undefined> {
  const [found] = await tx
    .select({
      sessionId: sessions.id,
      id: users.id,
      name: users.name,
      email: users.email,
      role: users.role,
      tenantId: users.tenantId,
      method: sessions.method,
      isFresh: sql<boolean>`${sessions.authenticatedAt} > clock_timestamp() - ${freshFor}::interval`,
      requiresSecondFactor: tenants.requiresSecondFactor,
    })
    .from(sessions)
    .innerJoin(users, eq(users.id, sessions.userId))
    .innerJoin(tenants, eq(tenants.id, users.tenantId))
    .where(
      and(
        eq(sessions.id, sessionId),
        eq(sessions.isPending, isPending),
        sql`${sessions.expiresAt} > clock_timestamp()`,
        isPending ? sql`${sessions.authenticatedAt} > clock_timestamp() - ${pendingFor}::interval` : undefined,
        users.isActive,
        tenants.isActive,
      ),
    )
    .for('update', { of: sessions })
  if (!found) return undefined
  const { requiresSecondFactor, ...person } = found
  return { ...person, needsFactor: requiresSecondFactor && isRoleAtLeast(person.role, 'TenantAdmin') }
}

/** Ends a session that waits, for its person to begin again. */
export async function endPending({ db }: Database, sessionId: string | undefined): Promise<void> {
  if (sessionId !== undefined) await db.delete(sessions).where(and(eq(sessions.id, sessionId), eq(sessions.isPending, true)))
}

/** Sessions whose second factor never came. */
export async function removeOldPending({ db }: Database): Promise<void> {
  const isOver = sql`${sessions.authenticatedAt} < clock_timestamp() - ${pendingFor}::interval`
  await db.delete(sessions).where(and(eq(sessions.isPending, true), isOver))
}

/** Writes what a person did to their account, in their tenant's audit log. */
export async function recordOwn(
  tx: Tx,
  person: Subject,
  action: string,
  origin: Origin,
  change: Omit<Change, 'entity'> = {},
): Promise<void> {
  const { id, name, role, tenantId } = person
  const actor = { kind: 'user', id, name, role } as const
  await writeAudit(tx, { ...change, tenantId, actor, action, entity: { type: 'user', id, name }, outcome: 'success', origin })
}

/** A proof that was wrong: one entry a person and minute, with a count, as of a wrong password. */
export async function recordWrongProof(database: Database, person: Subject, action: string, origin: Origin): Promise<void> {
  const { id, name, role, tenantId } = person
  const actor = { kind: 'user', id, name, role } as const
  const entry = { tenantId, actor, action, entity: { type: 'user', id, name }, outcome: 'refused', origin } as const
  const foldKey = `user:${id}:${action}:${Math.floor(Date.now() / 60_000)}`
  await database.transaction((tx) => writeFoldedAudit(tx, entry, foldKey, 1))
}

const proofsAMinute = 5

/** Counts a try, on all nodes together, whatever comes of it. @throws TRPCError TOO_MANY_REQUESTS */
export async function requireTriesLeft(database: Database, userId: string): Promise<void> {
  const { isExceeded } = await countRequest(database, `proof:${userId}`, proofsAMinute)
  if (!isExceeded) return
  throw new TRPCError({ code: 'TOO_MANY_REQUESTS', message: 'Too many attempts. Wait a minute, then try again.' })
}
