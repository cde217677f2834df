// Sessions beside better-auth's own sign-in: opened by a passkey or a second factor, with the cookie that it reads.
import { createHmac, randomBytes } from 'node:crypto'
import { eq, sql } from 'drizzle-orm'
import type { Tx } from '#db/client.ts'
import { sessions, users } from '#db/schema.ts'
import { writeAudit } from './audit.ts'
import type { Call } from './call.ts'
import type { Role } from './roles.ts'

export type Origin = Pick<Call, 'ip' | 'userAgent' | 'requestId'>

/** Who signs in, in which tenant: as the audit log names them. */
export interface Subject {
  id: string
  name: string
  role: Role
  tenantId: string
}

export const sessionDays = 7
const fromNow = sql`clock_timestamp() + make_interval(days => ${sessionDays})`
const newToken = () => randomBytes(24).toString('base64url')

/** A new session of a person who has shown all that was asked. @returns its token. */
export async function openSession(tx: Tx, subject: Subject, method: string, origin: Origin): Promise<string> {
  const token = newToken()
  const { ip: ipAddress, userAgent } = origin
  await tx.insert(sessions).values({ userId: subject.id, token, expiresAt: fromNow, ipAddress, userAgent, method })
  await recordSignedIn(tx, subject, origin)
  return token
}

/** Opens a session that waited for its second factor, with another token: whoever knew the one before is left outside. */
export async function openPendingSession(
  tx: Tx,
  sessionId: string,
  subject: Subject,
  method: string,
  origin: Origin,
): Promise<string> {
  const token = newToken()
  const now = sql`clock_timestamp()`
  await tx
    .update(sessions)
    .set({ token, isPending: false, method, authenticatedAt: now, expiresAt: fromNow, updatedAt: now })
    .where(eq(sessions.id, sessionId))
  await recordSignedIn(tx, subject, origin)
  return token
}

export async function recordSignedIn(
  tx: Tx,
  { id, name, role, tenantId }: Subject,
  origin: Origin,
  after?: Record<string, unknown>,
): Promise<void> {
  const actor = { kind: 'user', id, name, role } as const
  const entity = { type: 'user', id, name } as const
  await tx.update(users).set({ lastSignedInAt: sql`clock_timestamp()` }).where(eq(users.id, id))
  await writeAudit(tx, {
    tenantId,
    actor,
    action: 'user.signed_in',
    entity,
    outcome: 'success',
    origin,
    ...(after ? { after } : {}),
  })
}

/** The cookie's value as better-auth signs it: the token, a dot, base64 of HMAC-SHA-256. */
export function signToken(token: string, secret: string): string {
  const signature = createHmac('sha256', secret).update(token).digest('base64')
  return encodeURIComponent(`${token}.${signature}`)
}
