// People with passwords, and an authenticator app in place of their phone. Shared by the tests of sign-in and account.
import { hashPassword } from 'better-auth/crypto'
import { and, eq, sql } from 'drizzle-orm'
import { TOTP } from 'otpauth'
import { expect } from 'vitest'
import { auditLog, sessions, tenants, totpSecrets, users } from '#db/schema.ts'
import { createUser, setupActor } from '#server/first-run.ts'
import type { Role } from '#server/roles.ts'
import { postForm, seedTenant, type TestServer } from './harness.ts'

export const password = 'correct horse battery staple'
const scryptHash = await hashPassword(password)

export interface Person {
  id: string
  name: string
  email: string
  tenantId: string
}

/** A user with a password, in a tenant of its own unless one is given. */
export async function seedPerson(server: TestServer, role: Role = 'TenantAdmin', inTenant?: string): Promise<Person> {
  const tenantId = inTenant ?? (await seedTenant(server)).id
  const email = `${crypto.randomUUID()}@example.com`
  const name = `Person ${email.slice(0, 8)}`
  await server.database.transaction((tx) => createUser(tx, { name, email, password: scryptHash, role, tenantId }, setupActor))
  const [user] = await server.database.db.select({ id: users.id }).from(users).where(eq(users.email, email))
  return { id: user?.id ?? '', name, email, tenantId }
}

export const requireFactor = ({ database }: TestServer, tenantId: string) =>
  database.db.update(tenants).set({ requiresSecondFactor: true }).where(eq(tenants.id, tenantId))

export const cookieOf = (response: Response) =>
  response.headers
    .getSetCookie()
    .find((each) => each.startsWith('mate.session_token='))
    ?.split(';')[0] ?? ''

/** After the password: the cookie of a session that may still wait for a second factor. */
export async function givePassword(server: TestServer, email: string, given = password): Promise<string> {
  const response = await postForm(server, '/sign-in', '', { email, password: given })
  expect(response.status).toBe(302)
  return cookieOf(response)
}

/** Where a page sends the holder of a cookie: undefined when it lets them in. */
export async function sentTo(server: TestServer, cookie: string, path = '/runs'): Promise<string | undefined> {
  const response = await server.request(path, { headers: { cookie } })
  return response.status === 200 ? undefined : (response.headers.get('location')?.split('?')[0] ?? String(response.status))
}

export const sessionsOf = ({ database }: TestServer, userId: string) =>
  database.db.select().from(sessions).where(eq(sessions.userId, userId))

export const entriesOf = ({ database }: TestServer, tenantId: string, action: string) =>
  database.db
    .select()
    .from(auditLog)
    .where(and(eq(auditLog.tenantId, tenantId), eq(auditLog.action, action)))
    .orderBy(auditLog.id)

/** As if the last sign-in were longer ago than a fresh one may be. */
export const age = ({ database }: TestServer, userId: string, by = '6 minutes') =>
  database.db
    .update(sessions)
    .set({ authenticatedAt: sql`clock_timestamp() - ${by}::interval` })
    .where(eq(sessions.userId, userId))

/** Of a page's set-up form. */
export function secretOn(html: string): { secret: string; sealed: string } {
  const [, spaced = ''] = /font-mono[^>]*>((?:[A-Z2-7]{4} ){7}[A-Z2-7]{4})</.exec(html) ?? []
  const [, sealed = ''] = /name="sealed"[^>]*value="([^"]+)"/.exec(html) ?? []
  return { secret: spaced.replaceAll(' ', ''), sealed }
}

export const codeOf = (secret: string, stepsAhead = 0) =>
  new TOTP({ secret }).generate({ timestamp: Date.now() + stepsAhead * 30_000 })

/** Six digits that are right at no step near. */
export function wrongCodeOf(secret: string): string {
  const near = [-2, -1, 0, 1, 2].map((step) => codeOf(secret, step))
  return ['000000', '111111', '222222', '333333', '444444', '555555'].find((code) => !near.includes(code)) ?? ''
}

export const codesOn = (html: string) => html.match(/\b(?:[A-Z2-7]{4}-){3}[A-Z2-7]{4}\b/g) ?? []

/** Sets up an authenticator app by the page. @returns its secret and the recovery codes. */
export async function addApp(server: TestServer, cookie: string): Promise<{ secret: string; codes: string[] }> {
  const path = '/account/authenticator'
  const { secret, sealed } = secretOn(await (await server.request(path, { headers: { cookie } })).text())
  const answer = await postForm(server, path, cookie, { intent: 'totp', sealed, code: codeOf(secret) })
  expect(answer.status).toBe(201)
  return { secret, codes: [...new Set(codesOn(await answer.text()))] }
}

/** As if the app's last code were long ago, so that the present one is good again. */
export const forgetSteps = ({ database }: TestServer, userId: string) =>
  database.db.update(totpSecrets).set({ lastStep: 0 }).where(eq(totpSecrets.userId, userId))

/** A person with an authenticator app, signed in. */
export async function seedPersonWithApp(server: TestServer, role?: Role) {
  const person = await seedPerson(server, role)
  const cookie = await givePassword(server, person.email)
  const app = await addApp(server, cookie)
  await forgetSteps(server, person.id)
  return { ...person, cookie, ...app }
}

export const giveCode = (server: TestServer, cookie: string, code: string, path = '/sign-in/second-factor') =>
  postForm(server, path, cookie, { code })
