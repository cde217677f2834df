// Passkeys: WebAuthn (W3C Level 3) by @simplewebauthn/server, with user verification, so that one is both factors.
import { isIP } from 'node:net'
import { TRPCError } from '@trpc/server'
import { and, eq, gt, lt, sql } from 'drizzle-orm'
import type { Database, Tx } from '#db/client.ts'
import { passkeys, verifications } from '#db/schema.ts'

/** Loaded when first asked for: its parsers of certificates take longer to start than all the rest. */
const webauthn = () => import('@simplewebauthn/server')

type Options<Name extends 'generateRegistrationOptions' | 'generateAuthenticationOptions'> = Awaited<
  ReturnType<Awaited<ReturnType<typeof webauthn>>[Name]>
>
export type RegistrationOptions = Options<'generateRegistrationOptions'>
export type RequestOptions = Options<'generateAuthenticationOptions'>

const rpName = 'mate'
const challengeMinutes = 5
/** EdDSA, ES256, RS256 (RFC 9053), by preference: the library's own list asks Node for what is still experimental there. */
const supportedAlgorithmIDs = [-8, -7, -257]

/** The domain that a passkey belongs to: there is none at an address of numbers. */
function rpIdOf(origin: string): string {
  const { hostname } = new URL(origin)
  if (isIP(hostname.replace(/^\[|\]$/g, '')) === 0) return hostname
  const message = 'A passkey belongs to a domain. Open mate by its name, and not by the number of its address.'
  throw new TRPCError({ code: 'BAD_REQUEST', message })
}

const refused = (cause?: unknown) =>
  new TRPCError({ code: 'BAD_REQUEST', message: 'This passkey was not accepted. Try again, or use another way.', cause })

/** What a challenge is good for: one person's registration, one person's proof, or a sign-in of whoever it turns out to be. */
type Purpose = 'add' | 'show'
const identifierOf = (purpose: Purpose, userId: string | null, challenge: string) =>
  `passkey:${purpose}:${userId ?? 'anyone'}:${challenge}`

async function keepChallenge({ db }: Database, identifier: string): Promise<void> {
  const expiresAt = sql`clock_timestamp() + make_interval(mins => ${challengeMinutes})`
  await db.insert(verifications).values({ identifier, value: '', expiresAt })
}

/** Takes a challenge away, and only then looks at its answer: a second answer finds none. */
async function takeChallenge({ db }: Database, identifier: string): Promise<void> {
  const taken = await db
    .delete(verifications)
    .where(and(eq(verifications.identifier, identifier), gt(verifications.expiresAt, sql`clock_timestamp()`)))
    .returning({ id: verifications.id })
  if (taken.length === 0) throw refused()
}

/** Challenges that nobody answered. */
export async function removeOldChallenges({ db }: Database): Promise<void> {
  await db
    .delete(verifications)
    .where(and(lt(verifications.expiresAt, sql`clock_timestamp()`), sql`${verifications.identifier} like 'passkey:%'`))
}

/** An answer of the browser, as far as it is read here; the library reads the rest. */
function readAnswer(text: string): { id: string; challenge: string; userHandle: string | undefined; response: never } {
  try {
    const answer = JSON.parse(text)
    const client = JSON.parse(Buffer.from(answer.response.clientDataJSON, 'base64url').toString())
    const { id, response } = answer
    if (typeof id !== 'string' || typeof client.challenge !== 'string') throw new Error('it lacks its id or challenge')
    return { id, challenge: client.challenge, userHandle: response.userHandle, response: answer as never } // the library checks it
  } catch (cause) {
    throw refused(cause)
  }
}

const handleOf = (userId: string) => new Uint8Array(Buffer.from(userId))

/** For `navigator.credentials.create`. */
export async function offerPasskey(
  database: Database,
  origin: string,
  { id, name, email }: { id: string; name: string; email: string },
): Promise<RegistrationOptions> {
  const rpID = rpIdOf(origin)
  const { generateRegistrationOptions } = await webauthn()
  const known = await database.db.select().from(passkeys).where(eq(passkeys.userId, id))
  const options = await generateRegistrationOptions({
    rpName,
    rpID,
    userName: email,
    userDisplayName: name,
    userID: handleOf(id),
    timeout: challengeMinutes * 60_000,
    supportedAlgorithmIDs,
    excludeCredentials: known.map(({ credentialId, transports }) => ({ id: credentialId, transports })),
    authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
  })
  await keepChallenge(database, identifierOf('add', id, options.challenge))
  return options
}

export type NewPasskey = Pick<
  typeof passkeys.$inferInsert,
  'credentialId' | 'publicKey' | 'counter' | 'transports' | 'isBackedUp'
>

/** What an authenticator made. @throws TRPCError BAD_REQUEST unless it answers a challenge of this person's, here, with verification. */
export async function checkNewPasskey(database: Database, origin: string, userId: string, text: string): Promise<NewPasskey> {
  const expectedRPID = rpIdOf(origin)
  const { challenge, response } = readAnswer(text)
  await takeChallenge(database, identifierOf('add', userId, challenge))
  const { verifyRegistrationResponse } = await webauthn()
  const { registrationInfo: made } = await verifyRegistrationResponse({
    response,
    expectedChallenge: challenge,
    expectedOrigin: origin,
    expectedRPID,
    requireUserVerification: true,
    supportedAlgorithmIDs,
  }).catch((cause) => {
    throw refused(cause)
  })
  if (!made) throw refused()
  const { id, publicKey, counter, transports = [] } = made.credential
  return { credentialId: id, publicKey, counter, transports, isBackedUp: made.credentialBackedUp }
}

/** For `navigator.credentials.get`: with one of this person's passkeys; of null, with whichever the browser has. */
export async function askForPasskey(database: Database, origin: string, userId: string | null): Promise<RequestOptions> {
  const rpID = rpIdOf(origin)
  const { generateAuthenticationOptions } = await webauthn()
  const known = userId === null ? [] : await database.db.select().from(passkeys).where(eq(passkeys.userId, userId))
  const options = await generateAuthenticationOptions({
    rpID,
    timeout: challengeMinutes * 60_000,
    userVerification: 'required',
    allowCredentials: known.map(({ credentialId, transports }) => ({ id: credentialId, transports })),
  })
  await keepChallenge(database, identifierOf('show', userId, options.challenge))
  return options
}

export interface ShownPasskey {
  id: string
  userId: string
  counter: number
}

/**
 * Whose passkey answered. @throws TRPCError BAD_REQUEST unless it is known, is of `userId` where one is given, answers a
 * challenge of ours for the first time, here, with verification, and has not counted backwards, as a copy would.
 */
export async function checkPasskey(
  database: Database,
  origin: string,
  userId: string | null,
  text: string,
): Promise<ShownPasskey> {
  const expectedRPID = rpIdOf(origin)
  const { id, challenge, userHandle, response } = readAnswer(text)
  await takeChallenge(database, identifierOf('show', userId, challenge))
  const [known] = await database.db.select().from(passkeys).where(eq(passkeys.credentialId, id))
  if (!known || (userId !== null && known.userId !== userId)) throw refused()
  if (userHandle && Buffer.from(userHandle, 'base64url').toString() !== known.userId) throw refused()
  const { verifyAuthenticationResponse } = await webauthn()
  const { verified, authenticationInfo } = await verifyAuthenticationResponse({
    response,
    expectedChallenge: challenge,
    expectedOrigin: origin,
    expectedRPID,
    credential: { id, publicKey: new Uint8Array(known.publicKey), counter: known.counter },
    requireUserVerification: true,
  }).catch((cause) => {
    throw refused(cause)
  })
  if (!verified) throw refused()
  return { id: known.id, userId: known.userId, counter: authenticationInfo.newCounter }
}

/** Counts a use, in the transaction of what it opens. @throws TRPCError BAD_REQUEST when another use counted as far meanwhile. */
export async function notePasskeyUse(tx: Tx, { id, counter }: ShownPasskey): Promise<void> {
  const isAhead = counter === 0 ? eq(passkeys.counter, 0) : lt(passkeys.counter, counter)
  const used = await tx
    .update(passkeys)
    .set({ counter, lastUsedAt: sql`clock_timestamp()` })
    .where(and(eq(passkeys.id, id), isAhead))
    .returning({ id: passkeys.id })
  if (used.length === 0) throw refused()
}
