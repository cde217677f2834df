// A real OpenID provider on loopback, which signs in whom the test says, and whose ID tokens the test may replace; and a
// browser's walk through a sign-in, cookies and redirects included.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import Provider from 'oidc-provider'
import { postForm, type TestServer } from './harness.ts'

export interface Person {
  sub: string
  email?: string
  email_verified?: boolean
  name?: string
  [claim: string]: unknown
}

/** Makes another ID token of one that is good. */
export type Tamper = (claims: JWTPayload, sign: Sign) => Promise<string> | string
type Sign = (claims: JWTPayload) => Promise<string>

export interface TestProvider {
  issuer: string
  clientId: string
  clientSecret: string
  /** Who signs in, until it is somebody else. */
  person: Person
  /** What becomes of the next ID tokens; undefined leaves them. */
  tamper: Tamper | undefined
  stop(): Promise<void>
}

const claimNames = ['email', 'email_verified', 'name', 'tid', 'roles', 'realm_access']

interface Options {
  redirectUri: string
  /** Answers claims by UserInfo alone, as the standard's section 5.4 has it. */
  isUserInfoOnly?: boolean
}

export async function startProvider({ redirectUri, isUserInfoOnly = false }: Options): Promise<TestProvider> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  const key = { ...(await exportJWK(privateKey)), kid: 'test', alg: 'RS256', use: 'sig' }
  const sign: Sign = (claims) => new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'test' }).sign(privateKey)
  const holder: { serve?: (request: IncomingMessage, response: ServerResponse) => Promise<void> } = {}
  const server = createServer((request, response) => void holder.serve?.(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const state: TestProvider = {
    issuer,
    clientId: 'mate',
    clientSecret: 'a-secret-of-the-test-client-0123456789',
    person: { sub: 'nobody' },
    tamper: undefined,
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: state.clientId,
        client_secret: state.clientSecret,
        redirect_uris: [redirectUri],
        token_endpoint_auth_method: 'client_secret_post',
      },
    ],
    jwks: { keys: [key] },
    cookies: { keys: ['of the test'] },
    pkce: { required: () => true },
    conformIdTokenClaims: isUserInfoOnly,
    claims: { openid: ['sub', 'tid', 'roles', 'realm_access'], email: ['email', 'email_verified'], profile: ['name'] },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
    findAccount: (_: unknown, sub: string) => ({
      accountId: sub,
      claims: () =>
        Object.fromEntries(Object.entries(state.person).filter(([name]) => name === 'sub' || claimNames.includes(name))),
    }),
    loadExistingGrant: async ({ oidc }: { oidc: { client: { clientId: string }; session: { accountId: string } } }) => {
      const grant = new provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId })
      grant.addOIDCScope('openid profile email')
      await grant.save()
      return grant
    },
  })
  const callback = provider.callback()
  holder.serve = async (request, response) => {
    if (request.url?.startsWith('/interaction/')) {
      return provider.interactionFinished(request, response, { login: { accountId: state.person.sub } })
    }
    const { tamper } = state
    if (tamper && request.url === '/token') tamperWith(response, tamper, sign)
    return callback(request, response)
  }
  return state
}

/** Replaces the ID token of an answer just before it is sent. */
function tamperWith(response: ServerResponse, tamper: Tamper, sign: Sign): void {
  const end = response.end.bind(response)
  response.end = ((text: string | Buffer) => {
    const answer = JSON.parse(String(text))
    const replace = async () => {
      const [, payload = ''] = String(answer.id_token).split('.')
      const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
      const body = JSON.stringify({ ...answer, id_token: await tamper(claims, sign) })
      response.setHeader('Content-Length', Buffer.byteLength(body))
      end(body)
    }
    void replace()
    return response
  }) as typeof response.end // the one way in which it is called here
}

/** As a token that nobody signed. */
export function unsigned(claims: JWTPayload): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'none' })}.${part(claims)}.`
}

export interface Begun {
  /** At the provider. */
  url: string
  /** The browser's cookie of a sign-in that was begun. */
  cookie: string
}

export async function beginSignIn(server: TestServer, providerId: string, redirectTo = '/'): Promise<Begun> {
  const response = await postForm(server, '/sso/start', '', { providerId, redirectTo })
  const html = await response.text()
  const url = /http-equiv="refresh" content="0;url=([^"]+)"/i.exec(html)?.[1]?.replaceAll('&amp;', '&')
  const cookie = response.headers.getSetCookie().find((each) => each.startsWith('mate.sso='))
  if (response.status !== 200 || !url || !cookie) throw new Error(`the sign-in did not begin: ${response.status} ${html}`)
  return { url, cookie: cookie.split(';')[0] ?? '' }
}

/** Walks through the provider's own pages; where it sends the browser back to. */
export async function walk(url: string, origin: string): Promise<string> {
  const jar = new Map<string, string>()
  let at = url
  for (let hops = 0; hops < 10 && !at.startsWith(`${origin}/sso/`); hops++) {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(at, { redirect: 'manual', headers: { cookie } })
    for (const each of response.headers.getSetCookie()) {
      const [pair = ''] = each.split(';')
      jar.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1))
    }
    const location = response.headers.get('location')
    if (!location) throw new Error(`the provider answered ${response.status}: ${await response.text()}`)
    at = new URL(location, at).href
  }
  return at
}

export async function signIn(server: TestServer, providerId: string, redirectTo = '/'): Promise<Response> {
  const { url, cookie } = await beginSignIn(server, providerId, redirectTo)
  return finishSignIn(server, await walk(url, server.url), cookie)
}

export function finishSignIn(server: TestServer, callback: string, cookie: string): Promise<Response> {
  const { pathname, search } = new URL(callback)
  return server.request(pathname + search, { headers: { cookie } })
}

/** The session cookie that an answer sets; undefined when nobody was signed in. */
export function sessionOf(response: Response): string | undefined {
  const cookie = response.headers.getSetCookie().find((each) => each.startsWith('mate.session_token='))
  return cookie?.split(';')[0]
}
