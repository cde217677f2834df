// Signing in beyond the password: the second factor, a passkey instead of both, and a fresh proof for what is dangerous.
import { TRPCError } from '@trpc/server'
import { and, eq, sql } from 'drizzle-orm'
import type { Database, Tx } from '#db/client.ts'
import { sessions, tenants, users } from '#db/schema.ts'
import { hasPassword, isPasswordOf } from './account.ts'
import { networkOf } from './client-address.ts'
import { countRequest } from './key-rate.ts'
import { askForPasskey, checkPasskey, notePasskeyUse, type RequestOptions } from './passkeys.ts'
import { type Ask, asPerson, lockPerson, type Person, recordOwn, recordWrongProof, requireTriesLeft } from './person.ts'
import { badField } from './problem.ts'
import { hasFactor, listFactors, useCode } from './second-factor.ts'
import { type Origin, openPendingSession, openSession } from './sessions.ts'

/** One request of somebody who signs in. */
export interface Desk {
  database: Database
  call: Origin
  /** Where people reach us: passkeys belong to it. */
  origin: string
}

const wrongCode = () => badField('code', 'The code is wrong, or was used before. Take the one that the app shows now.')

type Proof = (tx: Tx, person: Person) => Promise<string | undefined>
type Allow<T> = (tx: Tx, person: Person, how: string) => Promise<T>

/** Takes a proof and does what it allows in one transaction; a wrong one is audited, folded, and counted on all nodes. */
async function prove<T>(
  { database, call }: Desk,
  sessionId: string,
  ask: Ask,
  { proof, allow, failed, refusal }: { proof: Proof; allow: Allow<T>; failed: string; refusal: () => TRPCError },
): Promise<T> {
  const person = await asPerson(database, sessionId, ask, async (_, found) => found)
  await requireTriesLeft(database, person.id)
  const done = await asPerson(database, sessionId, ask, async (tx, found) => {
    const how = await proof(tx, found)
    return how === undefined ? undefined : { value: await allow(tx, found, how) }
  })
  if (done) return done.value
  await recordWrongProof(database, person, failed, call)
  throw refusal()
}

const byCode =
  (code: string): Proof =>
  (tx, { id }) =>
    useCode(tx, id, code)

/** A passkey is checked before the transaction: a wrong one is an error by itself, and audited where its person is known. */
async function checkPasskeyOf({ database, origin, call }: Desk, person: Person, response: string) {
  await requireTriesLeft(database, person.id)
  try {
    return await checkPasskey(database, origin, person.id, response)
  } catch (error) {
    await recordWrongProof(database, person, 'user.second_factor_failed', call)
    throw error
  }
}

/** Opens the session that waits, by a code of the app or a recovery code. @returns its token. @throws TRPCError BAD_REQUEST. */
export function enterByCode(desk: Desk, sessionId: string, code: string): Promise<string> {
  return prove(
    desk,
    sessionId,
    { isPending: true },
    {
      proof: byCode(code),
      allow: (tx, person, how) => openPendingSession(tx, sessionId, person, `password+${how}`, desk.call),
      failed: 'user.second_factor_failed',
      refusal: wrongCode,
    },
  )
}

export async function askPending({ database, origin }: Desk, sessionId: string): Promise<RequestOptions> {
  const { id } = await asPerson(database, sessionId, { isPending: true }, async (_, person) => person)
  return askForPasskey(database, origin, id)
}

/** As enterByCode, by a passkey of theirs. */
export async function enterByPasskey(desk: Desk, sessionId: string, response: string): Promise<string> {
  const { database, call } = desk
  const person = await asPerson(database, sessionId, { isPending: true }, async (_, found) => found)
  const shown = await checkPasskeyOf(desk, person, response)
  return asPerson(database, sessionId, { isPending: true }, async (tx, found) => {
    await notePasskeyUse(tx, shown)
    return openPendingSession(tx, sessionId, found, 'password+passkey', call)
  })
}

const asksAMinute = 30

/** Of anybody: no password was shown. @throws TRPCError TOO_MANY_REQUESTS by the network, since each ask is kept for a while. */
export async function askAnybody({ database, origin, call }: Desk): Promise<RequestOptions> {
  const { isExceeded } = await countRequest(database, `passkey:${networkOf(call.ip ?? 'unknown')}`, asksAMinute)
  if (isExceeded) throw new TRPCError({ code: 'TOO_MANY_REQUESTS', message: 'Too many attempts. Wait a minute, then try again.' })
  return askForPasskey(database, origin, null)
}

/** A passkey alone is both factors: its authenticator has verified its holder. @returns the new session's token. */
export async function signInByPasskey({ database, origin, call }: Desk, response: string): Promise<string> {
  const shown = await checkPasskey(database, origin, null, response)
  return database.transaction(async (tx) => {
    const { id, name, role, tenantId } = users
    const find = () =>
      tx
        .select({ id, name, role, tenantId })
        .from(users)
        .innerJoin(tenants, eq(tenants.id, tenantId))
        .where(and(eq(id, shown.userId), users.isActive, tenants.isActive, eq(tenants.isSsoOnly, false)))
    const [before] = await find()
    if (before) await lockPerson(tx, before)
    const [user] = await find()
    if (!user) throw new TRPCError({ code: 'BAD_REQUEST', message: 'This passkey signs nobody in. Ask an admin of your tenant.' })
    await notePasskeyUse(tx, shown)
    return openSession(tx, user, 'passkey', call)
  })
}

/** How a person who is signed in shows anew who they are. */
export interface Ways {
  email: string
  password: boolean
  code: boolean
  passkey: boolean
}

/** A second factor where there is one, else the password; none of who came by an identity provider. */
export function waysOf({ database }: Desk, sessionId: string): Promise<Ways> {
  return asPerson(database, sessionId, {}, async (tx, { id, email }) => {
    const factors = await listFactors(tx, id)
    return {
      email,
      password: !hasFactor(factors) && (await hasPassword(tx, id)),
      code: hasFactor(factors) && (factors.totpSince !== null || factors.codesLeft > 0),
      passkey: factors.passkeys.length > 0,
    }
  })
}

const renew: (desk: Desk) => Allow<void> =
  ({ call }) =>
  async (tx, person) => {
    await tx.update(sessions).set({ authenticatedAt: sql`clock_timestamp()` }).where(eq(sessions.id, person.sessionId))
    await recordOwn(tx, person, 'user.signed_in_again', call)
  }

/** @throws TRPCError BAD_REQUEST when it is wrong, or the person has a second factor, which they have to show instead. */
export function renewByPassword(desk: Desk, sessionId: string, password: string): Promise<void> {
  const proof: Proof = async (tx, { id }) => {
    if (hasFactor(await listFactors(tx, id))) return undefined
    return (await isPasswordOf(tx, id, password)) ? 'password' : undefined
  }
  const refusal = () => badField('password', 'The password is wrong.')
  return prove(desk, sessionId, {}, { proof, allow: renew(desk), failed: 'user.sign_in_failed', refusal })
}

export function renewByCode(desk: Desk, sessionId: string, code: string): Promise<void> {
  const allow = renew(desk)
  return prove(desk, sessionId, {}, { proof: byCode(code), allow, failed: 'user.second_factor_failed', refusal: wrongCode })
}

export async function askSignedIn({ database, origin }: Desk, sessionId: string): Promise<RequestOptions> {
  const { id } = await asPerson(database, sessionId, {}, async (_, person) => person)
  return askForPasskey(database, origin, id)
}

export async function renewByPasskey(desk: Desk, sessionId: string, response: string): Promise<void> {
  const person = await asPerson(desk.database, sessionId, {}, async (_, found) => found)
  const shown = await checkPasskeyOf(desk, person, response)
  await asPerson(desk.database, sessionId, {}, async (tx, found) => {
    await notePasskeyUse(tx, shown)
    await renew(desk)(tx, found, 'passkey')
  })
}
