// The REST door: one operation of the router for one HTTP request, answered as JSON or as a problem.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { callTRPCProcedure, TRPCError } from '@trpc/server'
import { hasBody, parseJson, readBody, requireJson, sendProblem } from './body.ts'
import type { Call } from './call.ts'
import { requireCredential } from './principal.ts'
import { badField } from './problem.ts'
import { matchRoute, type Route, readQuery } from './rest-routes.ts'
import { appRouter } from './routers/index.ts'

/** `path` and `search` are those of the URL below /api, still percent-encoded, `search` without its question mark. */
export async function handleRest(
  request: IncomingMessage,
  response: ServerResponse,
  call: Call,
  path: string,
  search: string,
): Promise<void> {
  try {
    const { route, values } = matchRoute(request.method ?? '', path)
    // Before the body is read: what has no key costs neither memory nor a parse.
    requireCredential(call)
    const input = route.takesBody ? await readInput(request, values, search) : { ...readQuery(route, search), ...values }
    const { name, kind } = route.operation
    const output = await callTRPCProcedure({
      router: appRouter,
      path: name,
      type: kind,
      ctx: call,
      getRawInput: async () => input,
      signal: undefined,
      batchIndex: 0,
    })
    sendOutput(response, route, output)
  } catch (error) {
    sendProblem(response, error, call.requestId)
  }
}

async function readInput(request: IncomingMessage, values: Record<string, string>, search: string): Promise<unknown> {
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
  // defineProperties and not spread or assign: an own `__proto__` must reach the gate as the field that it is.
  return Object.defineProperties(Object.create(null), {
    ...Object.getOwnPropertyDescriptors(body),
    ...Object.getOwnPropertyDescriptors(values),
  })
}

function sendOutput(response: ServerResponse, { operation }: Route, output: unknown): void {
  const { status = 200, location } = operation.meta.openapi
  if (location) response.setHeader('Location', `/api${fill(location, output as Record<string, unknown>)}`)
  if (status === 204) {
    response.writeHead(204).end()
    return
  }
  const body = JSON.stringify(output)
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) })
  response.end(body)
}

function fill(path: string, values: Record<string, unknown>): string {
  return path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(String(values[name])))
}
