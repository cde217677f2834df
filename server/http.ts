// One node:http server for every door: /api, /trpc, /openapi, /scalar, /health, and the pages for the rest.
import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { TRPCError } from '@trpc/server'
import { listAuditKeys } from './audit-signer.ts'
import { sendProblem } from './body.ts'
import type { Call } from './call.ts'
import { clientAddressReader } from './client-address.ts'
import { commonHeaders } from './common-headers.ts'
import { createOpenApiDocument } from './openapi.ts'
import { readCredential } from './principal.ts'
import { AllowedMethods, type Problem } from './problem.ts'
import { handleRest } from './rest.ts'
import { getRuntime } from './runtime.ts'
import { scalarPage, scalarPolicy, scalarScriptPath, sendScalarScript } from './scalar.ts'
import { traceRequest, traceRoute } from './tracing.ts'
import { handleTrpc } from './trpc-door.ts'

/** Serves everything that is not a program's door: assets and pages. */
export type PageHandler = (request: IncomingMessage, response: ServerResponse, origin: PageOrigin) => Promise<void>

/** What the server knows of a request before anything of it is trusted. */
export interface PageOrigin {
  requestId: string
  ip: string | null
  userAgent: string | null
  nonce: string
}

export interface HttpOptions {
  pages?: PageHandler | undefined
  /** Folder of the built assets. */
  assetsDir?: string | undefined
  /** True once the server is about to stop: it serves on, but is not ready, and keeps no connection. */
  isStopping?: () => boolean
}

/** Answers at one exact path, to everybody, without a credential. */
type Document = (response: ServerResponse, request: IncomingMessage, origin: PageOrigin) => void | Promise<void>

export function createHttpServer(options: HttpOptions): Server {
  const { env } = getRuntime()
  const { isStopping = () => false } = options
  const clientAddress = clientAddressReader(env.MATE_TRUST_PROXY)
  // Made when it is first asked for: it is a tenth of a cold start.
  let openApi: string | undefined
  const openApiText = () => (openApi ??= JSON.stringify(createOpenApiDocument(env.PUBLIC_URL?.replace(/\/$/, ''))))

  const documents = new Map<string, Document>([
    ['/health/live', (response) => sendOk(response)],
    ['/health/ready', (response, _, { requestId }) => sendReady(response, requestId, isStopping())],
    ['/.well-known/mate-audit-key', (response) => sendAuditKeys(response)],
    ['/openapi/v1.json', (response) => sendStatic(response, 'application/json', openApiText())],
    [
      '/scalar/v1',
      (response, _, { nonce }) => {
        response.setHeader('Content-Security-Policy', scalarPolicy(nonce))
        sendStatic(response, 'text/html; charset=utf-8', scalarPage(nonce))
      },
    ],
    [
      scalarScriptPath,
      (response, request) => sendScalarScript(response, options.assetsDir, String(request.headers['accept-encoding'] ?? '')),
    ],
  ])

  const handle = async (request: IncomingMessage, response: ServerResponse, requestId: string) => {
    const origin: PageOrigin = {
      requestId,
      ip: clientAddress(request),
      userAgent: request.headers['user-agent']?.slice(0, 300) ?? null,
      nonce: '',
    }
    if (isStopping()) response.setHeader('Connection', 'close')
    const url = request.url ?? ''
    const [path = '', search = ''] = splitTarget(url)
    if (path.startsWith('/api/')) {
      return handleRest(
        request,
        response,
        callOf('rest', request, response, origin, isStopping),
        path.slice('/api'.length),
        search,
      )
    }
    if (path.startsWith('/trpc/'))
      return handleTrpc(request, response, callOf('trpc', request, response, origin, isStopping), url)
    for (const [name, value] of Object.entries(commonHeaders(requestId))) response.setHeader(name, value)
    origin.nonce = randomBytes(16).toString('base64')
    const document = documents.get(path)
    if (document) {
      traceRoute(path)
      requireRead(request)
      return document(response, request, origin)
    }
    if (options.pages && url.startsWith('/')) return options.pages(request, response, origin)
    throw new TRPCError({ code: 'NOT_FOUND', message: 'There is nothing at this path.' })
  }

  const server = createServer({
    requestTimeout: 20_000,
    // Longer than balancers keep an idle connection (60 s at most of them): else they send a request into one that is closing.
    keepAliveTimeout: 75_000,
    headersTimeout: 10_000,
    connectionsCheckingInterval: 2_000,
    maxHeaderSize: 16_384,
  })
  server.on('request', (request, response) => {
    const requestId = crypto.randomUUID()
    traceRequest(request, response, requestId, () =>
      handle(request, response, requestId).catch((error) => sendProblem(response, error, requestId)),
    )
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => refuseBrokenRequest(error, socket))
  return server
}

function splitTarget(url: string): [string, string] {
  const at = url.indexOf('?')
  return at < 0 ? [url, ''] : [url.slice(0, at), url.slice(at + 1)]
}

/** The programs' doors look at headers, and never at cookies. */
function callOf(
  door: 'rest' | 'trpc',
  request: IncomingMessage,
  response: ServerResponse,
  { requestId, ip, userAgent }: PageOrigin,
  isStopping: () => boolean,
): Call {
  const tenantId = request.headers['x-tenant-id']
  return {
    door,
    requestId,
    ip,
    userAgent,
    credential: readCredential(request.rawHeaders),
    tenantId: tenantId === undefined ? null : String(tenantId),
    isHurried: () => response.destroyed || isStopping(),
    setHeader: (name, value) => {
      if (!response.headersSent) response.setHeader(name, value)
    },
  }
}

function sendStatic(response: ServerResponse, type: string, text: string): void {
  response.writeHead(200, { 'Content-Type': type, 'Cache-Control': 'no-cache' }).end(text)
}

function sendOk(response: ServerResponse): void {
  response.writeHead(200, { 'Content-Type': 'application/json' }).end('{"status":"ok"}')
}

/** Public: whoever checks an export needs it, and takes it before they have to. */
async function sendAuditKeys(response: ServerResponse): Promise<void> {
  const { db } = getRuntime().database
  response.writeHead(200, { 'Content-Type': 'application/jwk-set+json' }).end(JSON.stringify(await listAuditKeys(db)))
}

/** Ready: the database answers, and no stop is under way. Live says only that the process does. */
async function sendReady(response: ServerResponse, requestId: string, isStopping: boolean): Promise<void> {
  try {
    if (isStopping) throw new TRPCError({ code: 'SERVICE_UNAVAILABLE', message: 'This node is stopping.' })
    await getRuntime().database.ping()
    sendOk(response)
  } catch (cause) {
    const silent = new TRPCError({ code: 'SERVICE_UNAVAILABLE', message: 'The database does not answer.', cause })
    sendProblem(response, cause instanceof TRPCError ? cause : silent, requestId, 'readiness')
  }
}

function requireRead(request: IncomingMessage): void {
  if (request.method === 'GET' || request.method === 'HEAD') return
  const cause = new AllowedMethods(['GET'])
  throw new TRPCError({ code: 'METHOD_NOT_SUPPORTED', message: 'This path can only be read.', cause })
}

const brokenRequests: Record<string, [status: number, title: string, detail: string] | undefined> = {
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large', 'The URL and the headers may have at most 16 kB together.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'The request did not arrive in time.'],
}

/** What node:http could not parse, answered without a word on why. */
function refuseBrokenRequest(error: NodeJS.ErrnoException, socket: import('node:stream').Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const [status, title, detail] = brokenRequests[error.code ?? ''] ?? [400, 'Bad Request', 'This is not well-formed HTTP.']
  const requestId = crypto.randomUUID()
  const code = title.toLowerCase().replaceAll(' ', '_')
  const problem: Problem = { type: `urn:mate:problem:${code}`, title, status, detail, code, requestId }
  const body = JSON.stringify(problem)
  const head = [
    `HTTP/1.1 ${status} ${title}`,
    `X-Request-Id: ${requestId}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}
