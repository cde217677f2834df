// Second factors of people: codes of an authenticator app (TOTP, RFC 6238) and recovery codes; passkeys are next door.
import { createHash } from 'node:crypto'
import { and, eq, isNull, sql } from 'drizzle-orm'
import { Secret, TOTP } from 'otpauth'
import type { Tx } from '#db/client.ts'
import { passkeys, recoveryCodes, tenants, totpSecrets, users } from '#db/schema.ts'
import { badField } from './problem.ts'
import { isRoleAtLeast } from './roles.ts'
import { getRuntime } from './runtime.ts'
import { seal, unseal } from './secret-box.ts'

type Reader = Pick<Tx, 'select'>

export interface Factors {
  /** When the authenticator app was added; null without one. */
  totpSince: Date | null
  passkeys: { id: string; name: string; isBackedUp: boolean; createdAt: Date; lastUsedAt: Date | null }[]
  /** Recovery codes that were not used yet. */
  codesLeft: number
}

/** What a person has, without what proves anything. */
export async function listFactors(db: Reader, userId: string): Promise<Factors> {
  const [totp] = await db.select({ since: totpSecrets.confirmedAt }).from(totpSecrets).where(eq(totpSecrets.userId, userId))
  const { id, name, isBackedUp, createdAt, lastUsedAt } = passkeys
  const keys = await db
    .select({ id, name, isBackedUp, createdAt, lastUsedAt })
    .from(passkeys)
    .where(eq(passkeys.userId, userId))
    .orderBy(createdAt, id)
  const codes = await db
    .select({ usedAt: recoveryCodes.usedAt })
    .from(recoveryCodes)
    .where(and(eq(recoveryCodes.userId, userId), isNull(recoveryCodes.usedAt)))
  return { totpSince: totp?.since ?? null, passkeys: keys, codesLeft: codes.length }
}

export const hasFactor = ({ totpSince, passkeys }: Factors): boolean => totpSince !== null || passkeys.length > 0

/** Whether a password alone does not sign this person in: they have a factor, or their tenant wants one of its admins. */
export async function asksForFactor(db: Reader, userId: string): Promise<boolean> {
  if (hasFactor(await listFactors(db, userId))) return true
  const [user] = await db
    .select({ role: users.role, requiresSecondFactor: tenants.requiresSecondFactor })
    .from(users)
    .innerJoin(tenants, eq(tenants.id, users.tenantId))
    .where(eq(users.id, userId))
  return user?.requiresSecondFactor === true && isRoleAtLeast(user.role, 'TenantAdmin')
}

/** Takes every factor of a person and their recovery codes: a password signs them in again, or nothing where it is not enough. */
export async function removeFactors(tx: Pick<Tx, 'delete'>, userId: string): Promise<void> {
  await tx.delete(passkeys).where(eq(passkeys.userId, userId))
  await tx.delete(totpSecrets).where(eq(totpSecrets.userId, userId))
  await tx.delete(recoveryCodes).where(eq(recoveryCodes.userId, userId))
}

/** Recovery codes open nothing by themselves: they go with the last factor. */
export async function removeCodesWithoutFactor(tx: Tx, userId: string): Promise<void> {
  if (!hasFactor(await listFactors(tx, userId))) await tx.delete(recoveryCodes).where(eq(recoveryCodes.userId, userId))
}

/** A new secret, sealed for its person: the form brings it back with the first code, so nothing is stored before that is right. */
export interface TotpOffer {
  sealed: string
  /** Base32, to type where no camera is. */
  secret: string
  /** The `otpauth://` address that the QR code holds. */
  uri: string
}

const sealedFor = (userId: string) => `totp ${userId}`
const appOf = (secret: string, email = '') => new TOTP({ issuer: 'mate', label: email, secret })

/** @param kept `sealed` of an offer that was made before, so that a wrong code does not change the QR code. */
export function offerTotp({ id, email }: { id: string; email: string }, kept?: string): TotpOffer {
  const secret = (kept && openOffer(id, kept)) || new Secret({ size: 20 }).base32
  const sealed = Buffer.from(seal(getRuntime().secret, sealedFor(id), secret)).toString('base64url')
  return { sealed, secret, uri: appOf(secret, email).toString() }
}

function openOffer(userId: string, sealed: string): string | undefined {
  try {
    return unseal(getRuntime().secret, sealedFor(userId), Buffer.from(sealed, 'base64url'))
  } catch {
    return undefined
  }
}

/** @throws TRPCError BAD_REQUEST for a wrong code, or an app that was added already. */
export async function addTotp(tx: Tx, userId: string, sealed: string, code: string): Promise<void> {
  const secret = openOffer(userId, sealed)
  if (!secret) throw badField('code', 'The form was not complete. Scan the code that is shown now.')
  const step = stepOf(secret, code)
  if (step === undefined) throw badField('code', 'The code is wrong. Take the one that the app shows now, and mind its clock.')
  const [made] = await tx
    .insert(totpSecrets)
    .values({ userId, secret: seal(getRuntime().secret, userId, secret), lastStep: step })
    .onConflictDoNothing()
    .returning({ userId: totpSecrets.userId })
  if (!made) throw badField('code', 'You have an authenticator app already. Remove it first.')
}

/** The time step that a code belongs to: the present one or a neighbour, for clocks that differ. */
function stepOf(secret: string, code: string): number | undefined {
  const token = code.replace(/\s/g, '')
  if (!/^\d{6}$/.test(token)) return undefined
  const app = appOf(secret)
  const timestamp = Date.now()
  const delta = app.validate({ token, timestamp, window: 1 })
  return delta === null ? undefined : app.counter({ timestamp }) + delta
}

/** Takes a code of the app or a recovery code, either once. @returns which it was; undefined when it is wrong or was used. */
export async function useCode(tx: Tx, userId: string, code: string): Promise<'totp' | 'recovery' | undefined> {
  if (await useTotp(tx, userId, code)) return 'totp'
  return (await useRecoveryCode(tx, userId, code)) ? 'recovery' : undefined
}

async function useTotp(tx: Tx, userId: string, code: string): Promise<boolean> {
  const [row] = await tx.select().from(totpSecrets).where(eq(totpSecrets.userId, userId)).for('update')
  if (!row) return false
  const step = stepOf(unseal(getRuntime().secret, userId, row.secret), code)
  if (step === undefined || step <= row.lastStep) return false
  await tx.update(totpSecrets).set({ lastStep: step }).where(eq(totpSecrets.userId, userId))
  return true
}

const codeCount = 10
const codeBytes = 10
const hashCode = (code: string) => createHash('sha256').update(code).digest()

async function useRecoveryCode(tx: Tx, userId: string, given: string): Promise<boolean> {
  const codeHash = hashCode(given.toUpperCase().replace(/[^A-Z2-7]/g, ''))
  const used = await tx
    .update(recoveryCodes)
    .set({ usedAt: sql`clock_timestamp()` })
    .where(and(eq(recoveryCodes.userId, userId), eq(recoveryCodes.codeHash, codeHash), isNull(recoveryCodes.usedAt)))
    .returning({ userId: recoveryCodes.userId })
  return used.length > 0
}

/** Ten new codes in place of those before, in groups of four: the only time that they are known. */
export async function makeRecoveryCodes(tx: Tx, userId: string): Promise<string[]> {
  const codes = Array.from({ length: codeCount }, () => new Secret({ size: codeBytes }).base32)
  await tx.delete(recoveryCodes).where(eq(recoveryCodes.userId, userId))
  await tx.insert(recoveryCodes).values(codes.map((code) => ({ userId, codeHash: hashCode(code) })))
  return codes.map((code) => code.replace(/(.{4})(?=.)/g, '$1-'))
}
