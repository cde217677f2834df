// Sign-in of people: better-auth with e-mail and password, its sessions in our tables, each audited.
import { TRPCError } from '@trpc/server'
import { betterAuth } from 'better-auth'
import { drizzleAdapter } from 'better-auth/adapters/drizzle'
import { APIError } from 'better-auth/api'
import { and, eq } from 'drizzle-orm'
import type { Database } from '#db/client.ts'
import { accounts, rateLimits, sessions, tenants, users, verifications } from '#db/schema.ts'
import { type Actor, writeAudit, writeFoldedAudit } from './audit.ts'
import type { Env } from './env.ts'
import { Email } from './first-run.ts'
import { isRoleAtLeast, Role } from './roles.ts'
import { asksForFactor } from './second-factor.ts'
import { type Origin, recordSignedIn, sessionDays, signToken } from './sessions.ts'
import { refusePassword, ssoOnlyMessage } from './sign-in-policy.ts'
import { oidcMethod, providerSessions } from './sso-session.ts'
import { type ActingTenant, findActingTenant } from './tenant-switch.ts'

export interface PageSession {
  sessionId: string
  user: {
    id: string
    name: string
    email: string
    role: Role
    tenant: { id: string; name: string }
    actingTenant: ActingTenant | null
  }
  /** Cookies to set, when the session was prolonged. */
  headers: Headers
}

export interface Auth {
  findSession(cookie: string | undefined): Promise<PageSession | undefined>
  /** The id of a session that waits for its second factor. Whether it still may is for `asPerson` to say. */
  findPending(cookie: string | undefined): Promise<string | undefined>
  /** Headers that set the cookie of a session which was opened beside better-auth. */
  cookieOf(token: string): Promise<Headers>
  /** @returns headers with the session cookie. @throws TRPCError BAD_REQUEST or TOO_MANY_REQUESTS. */
  signIn(input: { email: string; password: string }, origin: Origin): Promise<Headers>
  /** For whom an identity provider vouched. @returns headers with the session cookie. @throws TRPCError FORBIDDEN. */
  startSession(userId: string, provider: string, origin: Origin): Promise<Headers>
  signOut(cookie: string, session: PageSession, origin: Origin): Promise<Headers>
}

// Ours alone: http.ts never passes a request's own headers to better-auth.
const addressHeader = 'x-mate-client-address'
const requestIdHeader = 'x-mate-request-id'
const providerHeader = 'x-mate-identity-provider'

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
    session: {
      expiresIn: sessionDays * 86_400,
      updateAge: 3_600,
      cookieCache: { enabled: false },
      additionalFields: {
        isPending: { type: 'boolean', required: false, input: false },
        method: { type: 'string', required: false, input: false },
      },
    },
    plugins: [providerSessions()],
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
            const method = typeof session.method === 'string' ? session.method : 'password'
            // A provider's own second factor counts.
            const isPending = method === 'password' && (await asksForFactor(db, session.userId))
            const origin = {
              ip: session.ipAddress ?? null,
              userAgent: session.userAgent ?? null,
              requestId: context?.headers?.get(requestIdHeader) ?? crypto.randomUUID(),
            }
            const isByProvider = method === oidcMethod
            if (!isByProvider) await refusePassword(database, session.userId, origin)
            const after = isByProvider ? { method, provider: providerNamed(context?.headers) } : undefined
            await recordSignIn(database, session.userId, isPending, origin, after)
            return { data: { isPending, method } }
          },
        },
      },
    },
    telemetry: { enabled: false },
    logger: { disabled: true },
    // Else it writes what it did not expect to standard error as it is: the token of a session that could not be stored.
    onAPIError: { throw: true },
  })

  const headersOf = (origin: Origin) => {
    const headers = new Headers({ 'content-type': 'application/json', origin: new URL(base).origin })
    headers.set(addressHeader, origin.ip ?? '127.0.0.1')
    headers.set(requestIdHeader, origin.requestId)
    if (origin.userAgent) headers.set('user-agent', origin.userAgent)
    return headers
  }
  const post = (path: string, origin: Origin, body: unknown, cookie?: string) => {
    const headers = headersOf(origin)
    if (cookie) headers.set('cookie', cookie)
    return auth.handler(new Request(`${base}/auth${path}`, { method: 'POST', headers, body: JSON.stringify(body) }))
  }

  const look = async (cookie: string | undefined) => {
    if (!cookie?.includes('session_token')) return undefined
    try {
      const { response, headers } = await auth.api.getSession({ headers: new Headers({ cookie }), returnHeaders: true })
      return response && { ...response, headers }
    } catch (error) {
      // It was ended while it was being prolonged.
      if (error instanceof APIError && error.statusCode === 401) return undefined
      throw error
    }
  }

  return {
    findSession: async (cookie) => {
      const found = await look(cookie)
      if (!found || found.session.isPending) return undefined
      const { user, session, headers } = found
      const [home] = await db
        .select({ id: tenants.id, name: tenants.name, requiresSecondFactor: tenants.requiresSecondFactor })
        .from(tenants)
        .where(and(eq(tenants.id, user.tenantId), tenants.isActive))
      if (!home || !user.isActive) return undefined
      const { requiresSecondFactor, ...tenant } = home
      // From before the tenant asked its admins for more than a password, or its holder became one.
      const isWeak = requiresSecondFactor && session.method === 'password' && isRoleAtLeast(Role.parse(user.role), 'TenantAdmin')
      if (isWeak) return undefined
      const { id, name, email } = user
      const role = Role.parse(user.role)
      const actingTenant = role === 'SuperAdmin' ? await findActingTenant(db, session.id) : null
      return {
        sessionId: session.id,
        user: { id, name, email, role, tenant, actingTenant },
        headers: cookiesOf(headers),
      }
    },

    findPending: async (cookie) => {
      const found = await look(cookie)
      return found?.session.isPending ? found.session.id : undefined
    },

    cookieOf: async (token) => {
      const { name, attributes } = (await auth.$context).authCookies.sessionToken
      const secure = attributes.secure ? '; Secure' : ''
      const value = `${name}=${signToken(token, secret)}; Max-Age=${sessionDays * 86_400}; Path=/; HttpOnly${secure}; SameSite=Lax`
      return new Headers({ 'set-cookie': value })
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
      const message = response.status === 403 ? await ssoOnlyMessage(response) : undefined
      if (message) throw new TRPCError({ code: 'FORBIDDEN', message })
      await recordFailedSignIn(database, parsed.data, origin)
      throw wrong
    },

    startSession: async (userId, provider, origin) => {
      const headers = headersOf(origin)
      headers.set(providerHeader, encodeURIComponent(provider))
      try {
        const { headers: answered } = await auth.api.startProviderSession({ body: { userId }, headers, returnHeaders: true })
        return cookiesOf(answered)
      } catch (error) {
        // Deactivated a moment ago.
        if (error instanceof APIError) throw new TRPCError({ code: 'FORBIDDEN', message: 'Your account is not active any more.' })
        throw error
      }
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

/** A header holds Latin-1 alone. */
const providerNamed = (headers: Headers | undefined) => decodeURIComponent(headers?.get(providerHeader) ?? '')

function cookiesOf(headers: Headers): Headers {
  const cookies = new Headers()
  for (const cookie of headers.getSetCookie()) cookies.append('set-cookie', cookie)
  return cookies
}

/** Of a session that waits for its second factor, nothing yet: nobody has signed in. */
async function recordSignIn(
  database: Database,
  userId: string,
  isPending: boolean,
  origin: Origin,
  after?: Record<string, unknown>,
): Promise<void> {
  await database.transaction(async (tx) => {
    const [user] = await tx
      .select({ id: users.id, name: users.name, role: users.role, tenantId: users.tenantId })
      .from(users)
      .innerJoin(tenants, eq(tenants.id, users.tenantId))
      .where(and(eq(users.id, userId), users.isActive, tenants.isActive))
    if (!user) throw new APIError('UNAUTHORIZED', { message: 'Invalid email or password' })
    if (!isPending) await recordSignedIn(tx, user, origin, after)
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
