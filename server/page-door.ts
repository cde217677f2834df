// The pages' door: assets, cross-site protection, security headers, the session, then React Router.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createRequest, sendResponse } from '@remix-run/node-fetch-server'
import { TRPCError } from '@trpc/server'
import { createRequestHandler, type ServerBuild } from 'react-router'
import sirv from 'sirv'
import type { Auth } from './auth.ts'
import { errorHeaders, hasBody, maxBodyBytes, sendProblem } from './body.ts'
import type { PageHandler, PageOrigin } from './http.ts'
import { logFailure } from './log.ts'
import { createPageContext } from './pages.ts'
import { toProblem } from './problem.ts'
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
    requireReadablePath(request)
    requireSameOrigin(request)
    requireForm(request)
    const cookie = request.headers.cookie
    const { nonce, ...call } = origin
    const session = await getRuntime().database.whileAlive(() => auth.findSession(cookie))
    const context = createPageContext(auth, { call, cookie, nonce, session, origin: originOf(request) })
    const answer = await render(createRequest(request, response, seenBy(request)), context)
    const headers = new Headers(answer.headers)
    // A form that already set or cleared the cookie has the last word over the session's renewal.
    if (session && !headers.getSetCookie().some((each) => each.includes('session_token=')))
      for (const each of session.headers.getSetCookie()) headers.append('set-cookie', each)
    headers.set('Cache-Control', 'no-store')
    await sendResponse(response, new Response(answer.body, { status: answer.status, statusText: answer.statusText, headers }))
  }

  return async (request, response, origin) => {
    const page = () =>
      servePage(request, response, origin).catch((error) => sendRefusal(request, response, error, origin.requestId))
    if (!serveAsset) return page()
    serveAsset(request, response, page)
  }
}

/** What React Router never saw: a page without style or script for whoever asks for one, else a problem. */
function sendRefusal(request: IncomingMessage, response: ServerResponse, error: unknown, requestId: string): void {
  const isForPeople = request.headers.accept?.includes('text/html') ?? false
  if (!isForPeople || response.headersSent) {
    sendProblem(response, error, requestId)
    return
  }
  const { status, title, detail } = toProblem(error, requestId)
  if (status >= 500) logFailure(requestId, error)
  response.writeHead(status, { ...errorHeaders(status), 'Content-Type': 'text/html; charset=utf-8' })
  response.end(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)} · mate</title>
<main>
<h1>${escapeHtml(title)}</h1>
<p>${escapeHtml(detail)}</p>
<p><a href="/">Back to mate</a></p>
<p><small>Request ${requestId}</small></p>
</main>
</html>
`)
}

const escapeHtml = (text: string) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

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

/** React Router would write a path that it can't decode to the log, with whatever secret stands in it. */
function requireReadablePath(request: IncomingMessage): void {
  try {
    decodeURIComponent(request.url?.split('?', 1)[0] ?? '')
  } catch (cause) {
    throw new TRPCError({ code: 'BAD_REQUEST', message: 'The path has a broken percent-escape.', cause })
  }
}

/** Where people reach us: PUBLIC_URL, or what this request was sent to. */
function originOf(request: IncomingMessage): string {
  const { PUBLIC_URL } = getRuntime().env
  const address = PUBLIC_URL ?? `http://${request.headers.host}`
  return URL.canParse(address) ? new URL(address).origin : 'http://localhost'
}

/**
 * The address as the browser sees it. React Router compares it, scheme and all, with a form's Origin, and would refuse
 * every form behind a proxy that ends TLS or sends another Host; ours were compared by then.
 */
function seenBy(request: IncomingMessage): { protocol: string; host: string } {
  const isRead = request.method === 'GET' || request.method === 'HEAD'
  const { protocol, host } = new URL((isRead ? undefined : request.headers.origin) ?? originOf(request))
  return { protocol, host }
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

/** A body is a form of ours, as browsers send it by default, and says how long it is. */
function requireForm(request: IncomingMessage): void {
  if (!hasBody(request)) return
  const isUnbounded = request.headers['transfer-encoding'] !== undefined
  if (isUnbounded || Number(request.headers['content-length']) > maxBodyBytes) {
    throw new TRPCError({
      code: 'PAYLOAD_TOO_LARGE',
      message: `A form may have at most ${maxBodyBytes} bytes, and has to say how many.`,
    })
  }
  if (/^application\/x-www-form-urlencoded *(;|$)/i.test(request.headers['content-type'] ?? '')) return
  throw new TRPCError({ code: 'UNSUPPORTED_MEDIA_TYPE', message: 'Send the form as application/x-www-form-urlencoded.' })
}
