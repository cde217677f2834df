// Reads a request's body as JSON, within bounds, and answers a problem.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { TRPCError } from '@trpc/server'
import { commonHeaders } from './common-headers.ts'
import { maxDepth } from './input.ts'
import { logFailure } from './log.ts'
import { AllowedMethods, retryAfterSeconds, toProblem } from './problem.ts'

export const maxBodyBytes = 1_000_000

const tooLarge = () => new TRPCError({ code: 'PAYLOAD_TOO_LARGE', message: `The body may have at most ${maxBodyBytes} bytes.` })

/**
 * The whole body.
 * @throws TRPCError PAYLOAD_TOO_LARGE before anything is read when the declared length is too large, else once it is.
 */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > maxBodyBytes) throw tooLarge()
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    length += chunk.length
    if (length > maxBodyBytes) throw tooLarge()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, length)
}

/** True when the request carries a body at all. RFC 9112, section 6.3. */
export function hasBody(request: IncomingMessage): boolean {
  return request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0
}

/** @throws TRPCError UNSUPPORTED_MEDIA_TYPE unless the body is said to be JSON in UTF-8, uncompressed. */
export function requireJson(request: IncomingMessage): void {
  const type = request.headers['content-type'] ?? ''
  const isJson = /^application\/json *(; *charset *= *"?utf-8"? *)?$/i.test(type.trim())
  if (isJson && (request.headers['content-encoding'] ?? 'identity') === 'identity') return
  throw new TRPCError({ code: 'UNSUPPORTED_MEDIA_TYPE', message: 'Send the body as application/json in UTF-8, uncompressed.' })
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })

/** @throws TRPCError PARSE_ERROR, whose public message quotes nothing of the body. */
export function parseJson(body: Buffer): unknown {
  const text = decodeText(body)
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new TRPCError({ code: 'PARSE_ERROR', cause })
  }
}

/** @throws TRPCError PARSE_ERROR unless the body is UTF-8; BAD_REQUEST when, as JSON, it is nested too deep. */
export function decodeText(body: Buffer): string {
  if (isDeep(body))
    throw new TRPCError({ code: 'BAD_REQUEST', message: `The body must not be nested deeper than ${maxDepth} levels.` })
  try {
    return utf8.decode(body)
  } catch (cause) {
    throw new TRPCError({ code: 'PARSE_ERROR', cause })
  }
}

const [quote, backslash, openBracket, closeBracket, openBrace, closeBrace] = Buffer.from('"\\[]{}')

/** Looked at before it is parsed: half a million brackets are two milliseconds here and two hundred in JSON.parse. */
function isDeep(body: Buffer): boolean {
  let depth = 0
  let isInText = false
  for (let i = 0; i < body.length; i++) {
    const byte = body[i]
    if (byte === quote) isInText = !isInText
    else if (isInText) {
      if (byte === backslash) i++
    } else if (byte === openBracket || byte === openBrace) {
      // Two more than the gate allows: a batch's own levels.
      if (++depth > maxDepth + 2) return true
    } else if (byte === closeBracket || byte === closeBrace) depth--
  }
  return false
}

/** Headers that an error of this status carries, whichever door it leaves by. */
export function errorHeaders(status: number): Record<string, string> {
  if (status === 401) return { 'WWW-Authenticate': 'ApiKey' }
  if (status === 503) return { 'Retry-After': String(retryAfterSeconds) }
  return {}
}

/** @param operation that failed, for the log. */
export function sendProblem(response: ServerResponse, error: unknown, requestId: string, operation?: string): void {
  const problem = toProblem(error, requestId)
  if (problem.status >= 500) logFailure(requestId, error, operation)
  if (response.headersSent) {
    response.destroy()
    return
  }
  const body = JSON.stringify(problem)
  response.writeHead(problem.status, {
    ...commonHeaders(requestId),
    ...errorHeaders(problem.status),
    ...(error instanceof TRPCError && error.cause instanceof AllowedMethods ? { Allow: error.cause.methods.join(', ') } : {}),
    'Content-Type': 'application/problem+json',
    'Content-Length': Buffer.byteLength(body),
  })
  response.end(body)
}
