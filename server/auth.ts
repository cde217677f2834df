// Sign-in of people: better-auth with e-mail and password, its sessions in our tables, each audited.
import { TRPCError } from '@trpc/server'
import { betterAuth } from 'better-auth'
import { drizzleAdapter } from 'better-auth/adapters/drizzle'
import { APIError } from 'better-auth/api'
import { and, eq } from 'drizzle-orm'
import type { Database } from '#db/client.ts'
import { accounts, rateLimits, sessions, tenants, users, verifications } from '#db/schema.ts'
import { type Actor, writeAudit, writeFoldedAudit } from './audit.ts'
import type { Call } from './call.ts'
import type { Env } from './env.ts'
import { Email } from './first-run.ts'
import { Role } from './roles.ts'

type Origin = Pick<Call, 'ip' | 'userAgent' | 'requestId'>

export interface PageSession {
  sessionId: string
  user: { id: string; name: string; email: string; role: Role; tenant: { id: string; name: string } }
  /** Cookies to set, when the session was prolonged. */
  headers: Headers
}

export interface Auth {
  findSession(cookie: string | undefined): Promise<PageSession | undefined>
  /** @returns headers with the session cookie. @throws TRPCError BAD_REQUEST or TOO_MANY_REQUESTS. */
  signIn(input: { email: string; password: string }, origin: Origin): Promise<Headers>
  signOut(cookie: string, session: PageSession, origin: Origin): Promise<Headers>
}

// Ours alone: http.ts never passes a request's own headers to better-auth.
const addressHeader = 'x-mate-client-address'
const requestIdHeader = 'x-mate-request-id'

export function createAuth(database: Database, env: Env, secret: string): Auth {
  const { db } = database
  const base = env.PUBLIC_URL ?? 'http://localhost'
  const auth = betterAuth({
    baseURL: base,
    basePath: '/auth',
    secret,
    database: drizzleAdapter(db, {
      provider: 'pg',
      schema: { user: users, session: sessions, account: accounts, verification: verifications, rateLimit: rateLimits },
    }),
    emailAndPassword: { enabled: true, disableSignUp: true, minPasswordLength: 12, maxPasswordLength: 128 },
    user: {
      additionalFields: {
        role: { type: 'string', required: true, input: false },
        tenantId: { type: 'string', required: true, input: false },
        isActive: { type: 'boolean', required: true, input: false },
      },
    },
    session: { expiresIn: 7 * 86_400, updateAge: 3_600, cookieCache: { enabled: false } },
    rateLimit: {
      enabled: true,
      storage: 'database',
      window: 60,
      max: 100,
      customRules: { '/sign-in/email': { window: 60, max: env.MATE_SIGN_IN_ATTEMPTS } },
    },
    advanced: {
      cookiePrefix: 'mate',
      useSecureCookies: base.startsWith('https:'),
      database: { generateId: 'uuid' },
      ipAddress: { ipAddressHeaders: [addressHeader] },
      defaultCookieAttributes: { httpOnly: true, sameSite: 'lax', path: '/' },
    },
    // Before and not after: without its entry there is no session.
    databaseHooks: {
      session: {
        create: {
          before: async (session, context) => {
            await recordSignIn(database, session.userId, {
              ip: session.ipAddress ?? null,
              userAgent: session.userAgent ?? null,
              requestId: context?.headers?.get(requestIdHeader) ?? crypto.randomUUID(),
            })
          },
        },
      },
    },
    telemetry: { enabled: false },
    logger: { disabled: true },
  })

  const post = (path: string, origin: Origin, body: unknown, cookie?: string) => {
    const headers = new Headers({ 'content-type': 'application/json', origin: new URL(base).origin })
    headers.set(addressHeader, origin.ip ?? '127.0.0.1')
    headers.set(requestIdHeader, origin.requestId)
    if (origin.userAgent) headers.set('user-agent', origin.userAgent)
    if (cookie) headers.set('cookie', cookie)
    return auth.handler(new Request(`${base}/auth${path}`, { method: 'POST', headers, body: JSON.stringify(body) }))
  }

  return {
    findSession: async (cookie) => {
      if (!cookie?.includes('session_token')) return undefined
      const { response, headers } = await auth.api.getSession({ headers: new Headers({ cookie }), returnHeaders: true })
      if (!response) return undefined
      const { user, session } = response
      const [tenant] = await db
        .select({ id: tenants.id, name: tenants.name })
        .from(tenants)
        .where(and(eq(tenants.id, user.tenantId), tenants.isActive))
      if (!tenant || !user.isActive) return undefined
      const { id, name, email } = user
      return {
        sessionId: session.id,
        user: { id, name, email, role: Role.parse(user.role), tenant },
        headers: cookiesOf(headers),
      }
    },

    signIn: async ({ email, password }, origin) => {
      const parsed = Email.safeParse(email.trim())
      const wrong = new TRPCError({ code: 'BAD_REQUEST', message: 'The e-mail address or the password is wrong.' })
      if (!parsed.success || password.length > 128 || password.includes('\0')) throw wrong
      const response = await post('/sign-in/email', origin, { email: parsed.data, password })
      if (response.ok) return cookiesOf(response.headers)
      if (response.status === 429) {
        throw new TRPCError({
          code: 'TOO_MANY_REQUESTS',
          message: 'Too many attempts to sign in. Wait a minute, then try again.',
        })
      }
      if (response.status >= 500) throw new Error(`sign-in answered ${response.status}`)
      await recordFailedSignIn(database, parsed.data, origin)
      throw wrong
    },

    signOut: async (cookie, { user }, origin) => {
      const actor: Actor = { kind: 'user', id: user.id, name: user.name, role: user.role }
      const entity = { type: 'user', id: user.id, name: user.name } as const
      await database.transaction((tx) =>
        writeAudit(tx, { tenantId: user.tenant.id, actor, action: 'user.signed_out', entity, outcome: 'success', origin }),
      )
      const response = await post('/sign-out', origin, {}, cookie)
      return cookiesOf(response.headers)
    },
  }
}

function cookiesOf(headers: Headers): Headers {
  const cookies = new Headers()
  for (const cookie of headers.getSetCookie()) cookies.append('set-cookie', cookie)
  return cookies
}

async function recordSignIn(database: Database, userId: string, origin: Origin): Promise<void> {
  await database.transaction(async (tx) => {
    const [user] = await tx
      .select({ id: users.id, name: users.name, role: users.role, tenantId: users.tenantId })
      .from(users)
      .innerJoin(tenants, eq(tenants.id, users.tenantId))
      .where(and(eq(users.id, userId), users.isActive, tenants.isActive))
    if (!user) throw new APIError('UNAUTHORIZED', { message: 'Invalid email or password' })
    const { id, name, role, tenantId } = user
    const entity = { type: 'user', id, name } as const
    await writeAudit(tx, {
      tenantId,
      actor: { kind: 'user', id, name, role },
      action: 'user.signed_in',
      entity,
      outcome: 'success',
      origin,
    })
  })
}

/** Folded to one entry a user and minute; an address that nobody has leaves no entry, since no tenant could read it. */
async function recordFailedSignIn(database: Database, email: string, origin: Origin): Promise<void> {
  await database.transaction(async (tx) => {
    const [user] = await tx.select().from(users).where(eq(users.email, email))
    if (!user) return
    const { id, name, role, tenantId } = user
    const foldKey = `user:${id}:sign-in:${Math.floor(Date.now() / 60_000)}`
    const entity = { type: 'user', id, name } as const
    const entry = {
      tenantId,
      actor: { kind: 'user', id, name, role },
      action: 'user.sign_in_failed',
      entity,
      outcome: 'refused',
      origin,
    } as const
    await writeFoldedAudit(tx, entry, foldKey, 1)
  })
}
