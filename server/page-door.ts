// The pages' door: assets, cross-site protection, security headers, the session, then React Router.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createRequest, sendResponse } from '@remix-run/node-fetch-server'
import { TRPCError } from '@trpc/server'
import { createRequestHandler, type ServerBuild } from 'react-router'
import sirv from 'sirv'
import type { Auth } from './auth.ts'
import { hasBody, maxBodyBytes, sendProblem } from './body.ts'
import type { PageHandler, PageOrigin } from './http.ts'
import { createPageContext } from './pages.ts'
import { getRuntime } from './runtime.ts'

export interface PageDoorOptions {
  auth: Auth
  build: ServerBuild | (() => Promise<ServerBuild>)
  mode: 'production' | 'development'
  /** Folder of the built assets; in development Vite serves them. */
  assetsDir?: string | undefined
}

export function createPageHandler({ auth, build, mode, assetsDir }: PageDoorOptions): PageHandler {
  const render = createRequestHandler(build, mode)
  const serveAsset = assetsDir
    ? sirv(assetsDir, {
        brotli: true,
        gzip: true,
        etag: true,
        setHeaders: (response, path) => {
          const isHashed = path.startsWith('/assets/')
          response.setHeader('Cache-Control', isHashed ? 'public, max-age=31536000, immutable' : 'public, max-age=3600')
        },
      })
    : undefined

  const servePage = async (request: IncomingMessage, response: ServerResponse, origin: PageOrigin) => {
    setPageHeaders(response, origin.nonce, mode)
    requireSameOrigin(request)
    requireBoundedBody(request)
    const cookie = request.headers.cookie
    const session = await auth.findSession(cookie)
    const { nonce, ...call } = origin
    const context = createPageContext(auth, { call, cookie, nonce, session, origin: originOf(request) })
    const answer = await render(createRequest(request, response), context)
    const headers = new Headers(answer.headers)
    // A form that already set or cleared the cookie has the last word over the session's renewal.
    if (session && !headers.has('set-cookie'))
      for (const each of session.headers.getSetCookie()) headers.append('set-cookie', each)
    headers.set('Cache-Control', 'no-store')
    await sendResponse(response, new Response(answer.body, { status: answer.status, statusText: answer.statusText, headers }))
  }

  return async (request, response, origin) => {
    const page = () => servePage(request, response, origin).catch((error) => sendProblem(response, error, origin.requestId))
    if (!serveAsset) return page()
    serveAsset(request, response, page)
  }
}

function setPageHeaders(response: ServerResponse, nonce: string, mode: PageDoorOptions['mode']): void {
  // Vite's development server injects styles and a web socket.
  const development = mode === 'development'
  const style = development ? "'self' 'unsafe-inline'" : "'self'"
  const connect = development ? "'self' ws:" : "'self'"
  response.setHeader(
    'Content-Security-Policy',
    `default-src 'none'; script-src 'self' 'nonce-${nonce}'; style-src ${style}; img-src 'self' data:; font-src 'self'; connect-src ${connect}; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  )
  response.setHeader('X-Frame-Options', 'DENY')
  response.setHeader('Cross-Origin-Opener-Policy', 'same-origin')
  response.setHeader('Cross-Origin-Resource-Policy', 'same-origin')
  response.setHeader('Permissions-Policy', 'camera=(), geolocation=(), microphone=(), payment=(), usb=()')
}

/** Where people reach us: PUBLIC_URL, or what this request was sent to. */
function originOf(request: IncomingMessage): string {
  const { PUBLIC_URL } = getRuntime().env
  return PUBLIC_URL ? new URL(PUBLIC_URL).origin : `http://${request.headers.host ?? 'localhost'}`
}

/**
 * Refuses what another site sent. Sec-Fetch-Site says it outright; browsers without it send Origin with every POST; a
 * request with neither is no browser's form.
 */
function requireSameOrigin(request: IncomingMessage): void {
  if (request.method === 'GET' || request.method === 'HEAD') return
  const site = request.headers['sec-fetch-site']
  const { origin } = request.headers
  const isSameSite = site === undefined || site === 'same-origin'
  const isSameOrigin = origin === undefined ? site !== undefined : isOurs(origin, request)
  if (isSameSite && isSameOrigin) return
  throw new TRPCError({
    code: 'FORBIDDEN',
    message: 'This form was sent from another site. Open it on this one, and send it from there.',
  })
}

/** With PUBLIC_URL the whole origin counts; without it only the host, since a proxy may have ended TLS. */
function isOurs(origin: string, request: IncomingMessage): boolean {
  if (getRuntime().env.PUBLIC_URL) return origin === originOf(request)
  return URL.canParse(origin) && new URL(origin).host === request.headers.host
}

function requireBoundedBody(request: IncomingMessage): void {
  const isUnbounded = request.headers['transfer-encoding'] !== undefined
  if (hasBody(request) && (isUnbounded || Number(request.headers['content-length']) > maxBodyBytes)) {
    throw new TRPCError({
      code: 'PAYLOAD_TOO_LARGE',
      message: `A form may have at most ${maxBodyBytes} bytes, and has to say how many.`,
    })
  }
}
