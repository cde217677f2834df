// The REST door: one operation of the router for one HTTP request, answered as JSON or as a problem.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { callTRPCProcedure, TRPCError } from '@trpc/server'
import { describeAuditExport, openAuditExport } from './audit-export.ts'
import { hasBody, parseJson, readBody, requireJson, sendProblem } from './body.ts'
import type { Call } from './call.ts'
import { commonHeaders } from './common-headers.ts'
import { readIdempotencyKey } from './idempotency.ts'
import { checkCredential } from './principal.ts'
import { badField } from './problem.ts'
import { matchRoute, type Route, readQuery } from './rest-routes.ts'
import { appRouter } from './routers/index.ts'
import { traceRoute } from './tracing.ts'

/** `path` and `search` are those of the URL below /api, still percent-encoded, `search` without its question mark. */
export async function handleRest(
  request: IncomingMessage,
  response: ServerResponse,
  call: Call,
  path: string,
  search: string,
): Promise<void> {
  let operation: string | undefined
  try {
    const { route, values } = matchRoute(request.method ?? '', path)
    operation = route.operation.name
    traceRoute(`/api${route.operation.meta.openapi.path}`)
    // Before the body is read: what has no key costs neither memory nor a parse.
    const credential = route.operation.meta.role === 'Public' ? undefined : checkCredential(call)
    if (credential instanceof TRPCError) return sendProblem(response, credential, call.requestId)
    const input: object = route.takesBody ? await readInput(request, values, search) : { ...readQuery(route, search), ...values }
    const { kind, meta } = route.operation
    if (meta.openapi.stream) return await sendStream(request, response, call, input)
    if (meta.openapi.method === 'POST') call.idempotencyKey = readIdempotencyKey(request.headers['idempotency-key'])
    const output = await callTRPCProcedure({
      router: appRouter,
      path: operation,
      type: kind,
      ctx: call,
      getRawInput: async () => input,
      signal: undefined,
      batchIndex: 0,
    })
    sendOutput(response, route, output, call.requestId)
  } catch (error) {
    sendProblem(response, error, call.requestId, operation)
  }
}

async function readInput(request: IncomingMessage, values: Record<string, string>, search: string): Promise<object> {
  const [name] = new URLSearchParams(search).keys()
  if (name !== undefined) throw badField(name, 'This operation takes no query parameters: put it into the body.')
  if (!hasBody(request)) return values
  requireJson(request)
  const body = parseJson(await readBody(request))
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new TRPCError({ code: 'BAD_REQUEST', message: 'The body must be a JSON object.' })
  }
  for (const parameter of Object.keys(values)) {
    if (Object.hasOwn(body, parameter)) throw badField(parameter, 'Is given in the path, not in the body.')
  }
  // Not copied: an own `__proto__` must reach the gate as the field that it is, and a body of 60,000 fields took half a second.
  return Object.assign(Object.setPrototypeOf(body, null), values)
}

/** The one operation that answers more than fits into memory. */
async function sendStream(request: IncomingMessage, response: ServerResponse, call: Call, input: object): Promise<void> {
  if (request.method === 'HEAD') {
    response.writeHead(200, { ...commonHeaders(call.requestId), ...(await describeAuditExport(call, input)) }).end()
    return
  }
  const { headers, chunks } = await openAuditExport(call, input)
  response.writeHead(200, { ...commonHeaders(call.requestId), ...headers })
  await pipeline(chunks, response)
}

function sendOutput(response: ServerResponse, { operation }: Route, output: unknown, requestId: string): void {
  const { status = 200, location } = operation.meta.openapi
  const headers = commonHeaders(requestId)
  if (status === 204) {
    response.writeHead(204, headers).end()
    return
  }
  const body = JSON.stringify(output)
  response.writeHead(status, {
    ...headers,
    ...(location ? { Location: `/api${fill(location, output as Record<string, unknown>)}` } : {}),
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
  })
  response.end(body)
}

function fill(path: string, values: Record<string, unknown>): string {
  return path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(String(values[name])))
}
