// What people do to their own account: name, password, sessions. By session alone: no key may, so no door but the pages has it.
import { TRPCError } from '@trpc/server'
import { hashPassword, verifyPassword } from 'better-auth/crypto'
import { and, desc, eq, gt, ne, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Database, Tx } from '#db/client.ts'
import { accounts, sessions, users } from '#db/schema.ts'
import { ownWordMessage, Password } from './first-run.ts'
import { Id, line } from './input.ts'
import { holdsOwnWord } from './known-passwords.ts'
import { asPerson, recordOwn, recordWrongProof, requireTriesLeft } from './person.ts'
import { badField } from './problem.ts'
import { type Factors, listFactors } from './second-factor.ts'
import type { Origin } from './sessions.ts'

/** One person at their own things. */
export interface Desk {
  database: Database
  sessionId: string
  call: Origin
}

export interface AccountView {
  name: string
  email: string
  hasPassword: boolean
  isFresh: boolean
  factors: Factors
  /** The one in use first, then by their last use, which is known to the hour. */
  sessions: {
    id: string
    isCurrent: boolean
    method: string
    ip: string | null
    userAgent: string | null
    createdAt: Date
    lastSeenAt: Date
  }[]
}

export function viewAccount({ database, sessionId }: Desk): Promise<AccountView> {
  return asPerson(database, sessionId, {}, async (tx, { id, name, email, isFresh }) => {
    const { ipAddress, userAgent, method, createdAt, updatedAt } = sessions
    const open = await tx
      .select({ id: sessions.id, ip: ipAddress, userAgent, method, createdAt, lastSeenAt: updatedAt })
      .from(sessions)
      .where(and(eq(sessions.userId, id), gt(sessions.expiresAt, sql`clock_timestamp()`), eq(sessions.isPending, false)))
      .orderBy(desc(eq(sessions.id, sessionId)), desc(updatedAt))
      .limit(100)
    const factors = await listFactors(tx, id)
    return {
      ...{ name, email, isFresh, factors, hasPassword: await hasPassword(tx, id) },
      sessions: open.map((session) => ({ ...session, isCurrent: session.id === sessionId })),
    }
  })
}

const isPassword = (userId: string) => and(eq(accounts.userId, userId), eq(accounts.providerId, 'credential'))

async function findPasswordHash(db: Pick<Tx, 'select'>, userId: string): Promise<string | null> {
  const [account] = await db.select({ hash: accounts.password }).from(accounts).where(isPassword(userId))
  return account?.hash ?? null
}

/** Whether a person can sign in by a password: not who came by an identity provider. */
export async function hasPassword(db: Pick<Tx, 'select'>, userId: string): Promise<boolean> {
  return (await findPasswordHash(db, userId)) !== null
}

/** Whether it is this person's password, compared in constant time; false when they have none. */
export async function isPasswordOf(db: Pick<Tx, 'select'>, userId: string, password: string): Promise<boolean> {
  const hash = await findPasswordHash(db, userId)
  return hash !== null && password.length <= 128 && (await verifyPassword({ hash, password }))
}

export async function rename({ database, sessionId, call }: Desk, input: { name: string }): Promise<void> {
  const { name } = await z
    .strictObject({ name: line(100) })
    .parseAsync(input)
    .catch(asBadRequest)
  await asPerson(database, sessionId, {}, async (tx, person) => {
    if (name === person.name) return
    await tx.update(users).set({ name, updatedAt: sql`clock_timestamp()` }).where(eq(users.id, person.id))
    await recordOwn(tx, { ...person, name }, 'user.renamed', call, { before: { name: person.name }, after: { name } })
  })
}

const PasswordChange = z.strictObject({ current: z.string(), password: Password })

/** Ends every other session, too. @returns how many. @throws TRPCError BAD_REQUEST about the field, or FORBIDDEN `sign_in_again`. */
export async function changePassword(
  { database, sessionId, call }: Desk,
  input: { current: string; password: string },
): Promise<{ ended: number }> {
  const person = await asPerson(database, sessionId, { isFresh: true }, async (_, found) => found)
  await requireTriesLeft(database, person.id)
  if (!(await isPasswordOf(database.db, person.id, input.current))) {
    await recordWrongProof(database, person, 'user.sign_in_failed', call)
    throw badField('current', 'This is not your password.')
  }
  const { current, password } = await PasswordChange.parseAsync(input).catch(asBadRequest)
  if (holdsOwnWord(password, person)) throw badField('password', ownWordMessage)
  if (password === current) throw badField('password', 'Is the one that you have. Choose another.')
  const hash = await hashPassword(password)
  return asPerson(database, sessionId, { isFresh: true, isAlone: true }, async (tx, { id }) => {
    await tx.update(accounts).set({ password: hash, updatedAt: sql`clock_timestamp()` }).where(isPassword(id))
    const ended = await endOthers(tx, id, sessionId)
    await recordOwn(tx, person, 'user.password_changed', call, { after: { sessionsEnded: ended } })
    return { ended }
  })
}

async function endOthers(tx: Tx, userId: string, sessionId: string): Promise<number> {
  const ended = await tx
    .delete(sessions)
    .where(and(eq(sessions.userId, userId), ne(sessions.id, sessionId)))
    .returning({ id: sessions.id })
  return ended.length
}

/** Of one of their other sessions, or of all of them: once this has answered, nothing that it asked for can commit. */
export async function endSessions({ database, sessionId, call }: Desk, only?: string): Promise<{ ended: number }> {
  if (only !== undefined && !Id.safeParse(only).success) throw badField('id', 'Must be a UUID.')
  return asPerson(database, sessionId, { isAlone: true }, async (tx, person) => {
    const isOne = only === undefined ? undefined : eq(sessions.id, only)
    const gone = await tx
      .delete(sessions)
      .where(and(eq(sessions.userId, person.id), ne(sessions.id, sessionId), isOne))
      .returning({ id: sessions.id })
    const ended = gone.length
    if (ended > 0) await recordOwn(tx, person, 'user.sessions_ended', call, { after: { ended } })
    return { ended }
  })
}

function asBadRequest(cause: unknown): never {
  throw new TRPCError({ code: 'BAD_REQUEST', cause })
}
