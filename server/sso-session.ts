// A session without a password: better-auth makes it, with its own cookie, expiry and hooks, for whom a provider vouched.
import type { BetterAuthPlugin } from 'better-auth'
import { APIError, createAuthEndpoint } from 'better-auth/api'
import { setSessionCookie } from 'better-auth/cookies'
import { z } from 'zod'

/** `sessions.method` of it. */
export const oidcMethod = 'oidc'

/** Server-only: it has no path, so that no request reaches it. */
const startProviderSession = createAuthEndpoint.serverOnly(
  { method: 'POST', body: z.object({ userId: z.string() }) },
  async (context) => {
    const { internalAdapter } = context.context
    const user = await internalAdapter.findUserById(context.body.userId)
    if (!user) throw new APIError('UNAUTHORIZED', { message: 'There is no such user.' })
    const session = await internalAdapter.createSession(user.id, false, { method: oidcMethod })
    await setSessionCookie(context, { session, user })
    return { sessionId: session.id }
  },
)

export function providerSessions() {
  return { id: 'provider-sessions', endpoints: { startProviderSession } } satisfies BetterAuthPlugin
}
