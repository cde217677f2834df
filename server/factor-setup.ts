// Adding and removing second factors: by a fresh session, or by one that may not be opened before there is one.
import { TRPCError } from '@trpc/server'
import { and, eq } from 'drizzle-orm'
import type { Database, Tx } from '#db/client.ts'
import { passkeys, totpSecrets } from '#db/schema.ts'
import { Id, line } from './input.ts'
import { checkNewPasskey, offerPasskey, type RegistrationOptions } from './passkeys.ts'
import { asPerson, type Person, recordOwn, requireTriesLeft } from './person.ts'
import { badField } from './problem.ts'
import {
  addTotp,
  hasFactor,
  listFactors,
  makeRecoveryCodes,
  offerTotp,
  removeCodesWithoutFactor,
  type TotpOffer,
} from './second-factor.ts'
import { type Origin, openPendingSession } from './sessions.ts'

export interface Holder {
  database: Database
  call: Origin
  /** Where people reach us: passkeys belong to it. */
  origin: string
  sessionId: string
  isPending: boolean
}

export interface Added {
  /** Of the first factor: its recovery codes, the only time that they are shown. */
  codes: string[] | null
  /** Of a session that was opened by it. */
  token: string | undefined
}

/** Who may add a factor. A password alone may add the first one where it must, and never one beside another. */
function asHolder<T>(holder: Holder, work: (tx: Tx, person: Person, hasOne: boolean) => Promise<T>): Promise<T> {
  const { database, sessionId, isPending } = holder
  return asPerson(database, sessionId, { isPending, isFresh: !isPending, isAlone: true }, async (tx, person) => {
    const hasOne = hasFactor(await listFactors(tx, person.id))
    if (isPending && hasOne) {
      throw new TRPCError({ code: 'FORBIDDEN', message: 'Show the second factor that you have before you add another.' })
    }
    return work(tx, person, hasOne)
  })
}

async function add(
  holder: Holder,
  kind: 'totp' | 'passkey',
  write: (tx: Tx, person: Person) => Promise<Record<string, string>>,
): Promise<Added> {
  return asHolder(holder, async (tx, person, hasOne) => {
    const after = { factor: kind, ...(await write(tx, person)) }
    const codes = hasOne ? null : await makeRecoveryCodes(tx, person.id)
    await recordOwn(tx, person, 'user.factor_added', holder.call, { after })
    if (!holder.isPending) return { codes, token: undefined }
    const token = await openPendingSession(tx, person.sessionId, person, `password+${kind}`, holder.call)
    return { codes, token }
  })
}

/** @param kept of an offer before: a wrong code does not change the QR code. */
export function offerTotpTo(holder: Holder, kept?: string): Promise<TotpOffer> {
  return asHolder(holder, async (_, person) => offerTotp(person, kept))
}

export async function addTotpTo(holder: Holder, { sealed, code }: { sealed: string; code: string }): Promise<Added> {
  const { id } = await asHolder(holder, async (_, person) => person)
  await requireTriesLeft(holder.database, id)
  return add(holder, 'totp', async (tx, person) => {
    await addTotp(tx, person.id, sealed, code)
    return {}
  })
}

export async function offerPasskeyTo(holder: Holder): Promise<RegistrationOptions> {
  const person = await asHolder(holder, async (_, found) => found)
  return offerPasskey(holder.database, holder.origin, person)
}

const maxPasskeys = 20

export async function addPasskeyTo(holder: Holder, input: { name: string; response: string }): Promise<Added> {
  const parsed = line(100).safeParse(input.name)
  if (!parsed.success) throw badField('name', parsed.error.issues[0]?.message ?? 'Must be a name.')
  const { id } = await asHolder(holder, async (_, person) => person)
  const made = await checkNewPasskey(holder.database, holder.origin, id, input.response)
  return add(holder, 'passkey', async (tx, person) => {
    if ((await tx.$count(passkeys, eq(passkeys.userId, person.id))) >= maxPasskeys) {
      throw badField('name', `You have ${maxPasskeys} passkeys. Remove one first.`)
    }
    const values = { ...made, userId: person.id, name: parsed.data }
    const [row] = await tx.insert(passkeys).values(values).onConflictDoNothing().returning({ id: passkeys.id })
    if (!row) throw badField('name', 'This passkey was added before.')
    return { name: parsed.data }
  })
}

type Signed = Pick<Holder, 'database' | 'call' | 'sessionId'>

/** @param id of a passkey, or `totp`. */
export async function removeFactor({ database, call, sessionId }: Signed, id: string): Promise<void> {
  await asPerson(database, sessionId, { isFresh: true, isAlone: true }, async (tx, person) => {
    const before = id === 'totp' ? await removeTotp(tx, person.id) : await removePasskey(tx, person.id, id)
    if (!before) throw new TRPCError({ code: 'NOT_FOUND', message: 'You have no such second factor.' })
    await removeCodesWithoutFactor(tx, person.id)
    await recordOwn(tx, person, 'user.factor_removed', call, { before })
  })
}

async function removeTotp(tx: Tx, userId: string) {
  const gone = await tx.delete(totpSecrets).where(eq(totpSecrets.userId, userId)).returning({ userId: totpSecrets.userId })
  return gone.length > 0 ? { factor: 'totp' } : undefined
}

async function removePasskey(tx: Tx, userId: string, id: string) {
  if (!Id.safeParse(id).success) return undefined
  const isTheirs = and(eq(passkeys.userId, userId), eq(passkeys.id, id))
  const [gone] = await tx.delete(passkeys).where(isTheirs).returning({ name: passkeys.name })
  return gone && { factor: 'passkey', name: gone.name }
}

/** Ten new recovery codes in place of those before. */
export function renewRecoveryCodes({ database, call, sessionId }: Signed): Promise<string[]> {
  return asPerson(database, sessionId, { isFresh: true, isAlone: true }, async (tx, person) => {
    if (!hasFactor(await listFactors(tx, person.id))) {
      throw new TRPCError({ code: 'CONFLICT', message: 'Recovery codes stand in for a second factor. Add one first.' })
    }
    const codes = await makeRecoveryCodes(tx, person.id)
    await recordOwn(tx, person, 'user.recovery_codes_made', call)
    return codes
  })
}
