// The tRPC door: JSON only, batches of at most 20, the same bounds and errors as REST.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { TRPCError } from '@trpc/server'
import { fetchRequestHandler } from '@trpc/server/adapters/fetch'
import { getHTTPStatusCodeFromError } from '@trpc/server/http'
import { TRPC_ERROR_CODES_BY_KEY } from '@trpc/server/rpc'
import { isWellFormedApiKey } from './api-key.ts'
import { decodeText, errorHeaders, readBody, requireJson } from './body.ts'
import type { Call, Credential } from './call.ts'
import { commonHeaders } from './common-headers.ts'
import { logFailure } from './log.ts'
import { listOperations } from './operations.ts'
import { toProblem } from './problem.ts'
import { appRouter } from './routers/index.ts'
import { traceRoute } from './tracing.ts'

const maxBatch = 20

/** `url` is the request's target, from /trpc on. */
export async function handleTrpc(request: IncomingMessage, response: ServerResponse, call: Call, url: string): Promise<void> {
  traceRoute('/trpc/{operations}')
  try {
    const answer = await fetchRequestHandler({
      endpoint: '/trpc',
      req: await toRequest(request, call, url),
      router: appRouter,
      createContext: () => call,
      responseMeta: ({ errors }) => ({ headers: errors[0] ? errorHeaders(getHTTPStatusCodeFromError(errors[0])) : {} }),
      onError: ({ error, path }) => {
        if (getHTTPStatusCodeFromError(error) >= 500) logFailure(call.requestId, error, path)
      },
    })
    const body = await answer.text()
    response.writeHead(answer.status, {
      ...commonHeaders(call.requestId),
      ...Object.fromEntries(answer.headers),
      'Content-Length': Buffer.byteLength(body),
    })
    response.end(body)
  } catch (error) {
    sendError(response, error, call.requestId)
  }
}

/** Only what tRPC needs of the request: headers that would make it stream or read forms stay behind. */
async function toRequest(request: IncomingMessage, call: Call, url: string): Promise<Request> {
  const { method = '' } = request
  if (method !== 'GET' && method !== 'POST') {
    throw new TRPCError({ code: 'METHOD_NOT_SUPPORTED', message: 'tRPC takes GET for queries and POST for mutations.' })
  }
  const path = decode(url.split('?', 1)[0] ?? '')
  // tRPC would read a broken escape in the query as U+FFFD.
  if (path === undefined || decode(url) === undefined) {
    throw new TRPCError({ code: 'BAD_REQUEST', message: 'The path or the query has a broken percent-escape.' })
  }
  const names = path.slice('/trpc/'.length).split(',')
  if (names.length > maxBatch)
    throw new TRPCError({ code: 'BAD_REQUEST', message: `A batch may have at most ${maxBatch} calls.` })
  const target = `http://localhost${url}`
  const init = { method, headers: { 'content-type': 'application/json' } }
  // The gate refuses it before it asks for the input: all refusals look alike, and no body is read for them.
  if (!mayBeLetIn(call.credential) && !names.some(isPublic)) return new Request(target, init)
  if (method === 'GET') return new Request(target)
  requireJson(request)
  return new Request(target, { ...init, body: decodeText(await readBody(request)) })
}

function mayBeLetIn(credential: Credential): boolean {
  return credential.kind === 'key' && isWellFormedApiKey(credential.key)
}

function isPublic(name: string): boolean {
  return listOperations().some((operation) => operation.name === name && operation.meta.role === 'Public')
}

/** Undefined when an escape is broken, or what is escaped is not UTF-8. */
function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

/** An error from before tRPC saw the request, in the shape that its client reads. */
function sendError(response: ServerResponse, error: unknown, requestId: string): void {
  const problem = toProblem(error, requestId)
  if (problem.status >= 500) logFailure(requestId, error)
  const key = error instanceof TRPCError ? error.code : 'INTERNAL_SERVER_ERROR'
  const shape = {
    message: problem.detail,
    code: TRPC_ERROR_CODES_BY_KEY[key],
    data: { code: key, httpStatus: problem.status, problem },
  }
  const allow: Record<string, string> = problem.status === 405 ? { Allow: 'GET, POST' } : {}
  const body = JSON.stringify({ error: shape })
  response.writeHead(problem.status, {
    ...commonHeaders(requestId),
    ...errorHeaders(problem.status),
    ...allow,
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
  })
  response.end(body)
}
