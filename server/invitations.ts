// The link of an invitation: made, sent by e-mail, and taken.
import { createHash, randomBytes } from 'node:crypto'
import { TRPCError } from '@trpc/server'
import { hashPassword } from 'better-auth/crypto'
import { and, eq, gt, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Database, Db, Tx } from '#db/client.ts'
import { accounts, invitations, tenants, users } from '#db/schema.ts'
import { writeAudit } from './audit.ts'
import type { Call } from './call.ts'
import { ownWordMessage, Password } from './first-run.ts'
import { line } from './input.ts'
import { holdsOwnWord } from './known-passwords.ts'
import { logFailure } from './log.ts'
import { sendMail } from './mail.ts'
import { badField, databaseErrorCode } from './problem.ts'
import { requireQuota } from './quotas.ts'
import type { Role } from './roles.ts'
import { getRuntime } from './runtime.ts'

export const invitationHours = 72

/** 32 random bytes in base64url. */
export const makeToken = () => randomBytes(32).toString('base64url')
export const hashToken = (token: string) => createHash('sha256').update(token).digest()

export function linkOf(token: string): string {
  return `${getRuntime().env.PUBLIC_URL?.replace(/\/$/, '') ?? ''}/invitation?token=${token}`
}

interface InvitationMail {
  email: string
  role: Role
  link: string
  tenantName: string
  invitedBy: string
}

/** The link stands in the answer as well: an e-mail that can't be sent is no failure of the invitation. */
export async function sendInvitation(mail: InvitationMail, requestId: string): Promise<'sent' | 'failed' | 'not configured'> {
  const { env } = getRuntime()
  if (!env.MATE_SMTP_URL) return 'not configured'
  const { email, role, link, tenantName, invitedBy } = mail
  const text = `${invitedBy} invites you to ${tenantName} on mate, as ${role}.

Choose your password here, within ${invitationHours} hours:
${link}

The link is good once. If you do not know what this is about, leave it alone: nothing happens then.
`
  try {
    await sendMail(env, { to: email, subject: `You are invited to ${tenantName} on mate`, text })
    return 'sent'
  } catch (error) {
    logFailure(requestId, error, 'send an invitation')
    return 'failed'
  }
}

export const AcceptInput = z.strictObject({ token: z.string().max(100), name: line(100), password: Password })

export interface OpenInvitation {
  email: string
  role: Role
  tenant: string
}

const isOpen = (token: string) =>
  and(eq(invitations.tokenHash, hashToken(token)), gt(invitations.expiresAt, sql`clock_timestamp()`))

/** What a link invites to; undefined when it is used, revoked, expired, or never was one. */
export async function findInvitation(db: Db, token: string): Promise<OpenInvitation | undefined> {
  const [found] = await db
    .select({ email: invitations.email, role: invitations.role, tenant: tenants.name })
    .from(invitations)
    .innerJoin(tenants, and(eq(tenants.id, invitations.tenantId), tenants.isActive))
    .where(isOpen(token))
  return found
}

/**
 * Makes the user, with the password that they chose, and uses the link up.
 * @returns their e-mail address, to sign them in. @throws TRPCError FORBIDDEN or BAD_REQUEST.
 */
export async function acceptInvitation(
  database: Database,
  input: z.infer<typeof AcceptInput>,
  origin: Pick<Call, 'ip' | 'userAgent' | 'requestId'>,
): Promise<string> {
  const password = await hashPassword(input.password)
  return database.transaction(async (tx) => {
    const [invitation] = await tx
      .delete(invitations)
      .where(and(isOpen(input.token), sql`${invitations.tenantId} in (select id from tenants where is_active)`))
      .returning()
    if (!invitation) {
      const message = 'This invitation is not open: it was used, revoked or replaced, or it has expired. Ask for another one.'
      throw new TRPCError({ code: 'FORBIDDEN', message })
    }
    const { tenantId, email, role, createdByName } = invitation
    if (holdsOwnWord(input.password, { email, name: input.name })) throw badField('password', ownWordMessage)
    await requireQuota(tx, tenantId, 'maxUsers')
    const { name } = input
    const id = await insertUser(tx, { name, email, emailVerified: true, role, tenantId })
    await tx.insert(accounts).values({ userId: id, accountId: id, providerId: 'credential', password })
    await writeAudit(tx, {
      tenantId,
      actor: { kind: 'user', id, name, role },
      action: 'user.joined',
      entity: { type: 'user', id, name },
      outcome: 'success',
      origin,
      after: { name, email, role, invitedBy: createdByName },
    })
    return email
  })
}

async function insertUser(tx: Tx, user: typeof users.$inferInsert): Promise<string> {
  try {
    const [made] = await tx.insert(users).values(user).returning({ id: users.id })
    if (!made) throw new Error('the insert returned no row')
    return made.id
  } catch (error) {
    if (databaseErrorCode(error) !== '23505') throw error
    throw badField('email', 'Somebody has this address already. Sign in with it, or ask for an invitation to another one.')
  }
}
