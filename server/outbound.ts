// Requests to addresses that a tenant chose: where they may go, and how much of an answer is taken. For webhooks and agents.
import { lookup as dnsLookup, type LookupAddress } from 'node:dns'
// Not by name: what replaces `request` in tests is seen only through the module's object.
import http, { type ClientRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import https from 'node:https'
import { isIP, type LookupFunction, type Socket } from 'node:net'
import { addressKind } from './outbound-address.ts'

export interface OutboundRequest {
  url: string
  method: 'GET' | 'POST' | 'PUT'
  headers?: Record<string, string>
  body?: string
  /** For everything: look-up, connection, redirects, answer. */
  timeoutMs: number
  /** What is kept of the answer's body. */
  maxBytes: number
  /** Redirects to follow, each guarded as the first address was; none when it is missing. */
  maxRedirects?: number
  /** Ends it early: it is rejected with the signal's reason then. */
  signal?: AbortSignal | undefined
}

export interface OutboundAnswer {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
  /** The body went on beyond `maxBytes`: the rest was not read. */
  isCut: boolean
}

export type Resolve = (hostname: string) => Promise<LookupAddress[]>

export interface OutboundRules {
  /** MATE_ALLOW_PRIVATE_AGENTS */
  allowPrivate: boolean
  /** How names become addresses: the system's way unless a test has another. */
  resolve?: Resolve
}

/** `unreachable` may pass by itself; `refused` is the guard's, `invalid` what another attempt would not change. */
type FailureKind = 'refused' | 'timeout' | 'unreachable' | 'invalid'

/** Why there is no answer, in words for the tenant: they name no address but what the tenant gave. */
export class OutboundFailure extends Error {
  readonly kind: FailureKind

  constructor(message: string, kind: FailureKind, cause?: unknown) {
    super(message, { cause })
    this.kind = kind
  }
}

const notAllowed = 'The address is not one that mate may call.'

/**
 * What is wrong with a URL before any name is looked up; undefined when nothing is.
 * The guard itself is `sendOutbound`: a name may lead anywhere by then.
 */
export function faultOfUrl(text: string, { allowPrivate }: OutboundRules): string | undefined {
  if (!URL.canParse(text)) return 'The address is not a URL.'
  const url = new URL(text)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'The address must begin with https:// or http://.'
  if (url.username || url.password) return 'The address must not contain a user name or password.'
  const host = hostOf(url)
  if (isIP(host) !== 0 && !isAllowed(host, allowPrivate)) return notAllowed
}

/** Brackets belong to the URL alone. */
const hostOf = ({ hostname }: URL) => hostname.replace(/^\[|\]$/g, '')

function isAllowed(address: string, allowPrivate: boolean): boolean {
  const kind = addressKind(address)
  return kind === 'public' || (kind === 'private' && allowPrivate)
}

/** @throws OutboundFailure when there is no answer, or may be none. */
export async function sendOutbound(request: OutboundRequest, rules: OutboundRules): Promise<OutboundAnswer> {
  const timeout = AbortSignal.timeout(request.timeoutMs)
  const signal = request.signal ? AbortSignal.any([timeout, request.signal]) : timeout
  let { maxRedirects = 0 } = request
  for (let hop = request; ; maxRedirects--) {
    const answer = await sendOnce(hop, rules, signal)
    const next = maxRedirects > 0 ? redirectOf(hop, answer) : undefined
    if (!next) return answer
    hop = next
  }
}

async function sendOnce(request: OutboundRequest, rules: OutboundRules, signal: AbortSignal): Promise<OutboundAnswer> {
  request.signal?.throwIfAborted()
  const fault = faultOfUrl(request.url, rules)
  if (fault) throw new OutboundFailure(fault, 'refused')
  const url = new URL(request.url)
  try {
    const sent = (url.protocol === 'https:' ? https : http).request(url, {
      method: request.method,
      headers: {
        ...request.headers,
        ...(request.body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(request.body)) }),
      },
      // Each on a connection of its own: one that is kept was checked for another request.
      agent: false,
      lookup: guardedLookup(rules),
      signal,
    })
    sent.once('socket', (socket) => refuseConnected(socket, sent, rules))
    sent.end(request.body)
    return await readAnswer(sent, request.maxBytes)
  } catch (error) {
    request.signal?.throwIfAborted()
    throw asFailure(error, signal, request.timeoutMs)
  }
}

/** The connection is made to what this answers, so that there is no second look-up which could say something else. */
function guardedLookup({ allowPrivate, resolve = systemResolve }: OutboundRules): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname).then(
      (found) => {
        const fitting = found.filter(({ family }) => !options.family || options.family === family)
        const [first] = fitting
        // One that is refused refuses the name: whoever publishes both is after the other one.
        const isRefused = found.some(({ address }) => !isAllowed(address, allowPrivate))
        if (isRefused || !first) callback(isRefused ? new OutboundFailure(notAllowed, 'refused') : notFound(), '')
        else if (options.all) callback(null, fitting)
        else callback(null, first.address, first.family)
      },
      (error) => callback(error, ''),
    )
  }
}

const notFound = () => Object.assign(new Error('no address'), { code: 'ENOTFOUND' })

const systemResolve: Resolve = (hostname) =>
  new Promise((resolve, reject) => {
    dnsLookup(hostname, { all: true }, (error, addresses) => (error ? reject(error) : resolve(addresses)))
  })

/** The last word: whatever led here, nothing is sent to an address that is not allowed. */
function refuseConnected(socket: Socket, sent: ClientRequest, { allowPrivate }: OutboundRules): void {
  socket.once('connect', () => {
    if (!isAllowed(socket.remoteAddress ?? '', allowPrivate)) sent.destroy(new OutboundFailure(notAllowed, 'refused'))
  })
}

function readAnswer(sent: ClientRequest, maxBytes: number): Promise<OutboundAnswer> {
  return new Promise((resolve, reject) => {
    sent.once('error', reject)
    sent.once('response', (response: IncomingMessage) => {
      const chunks: Buffer[] = []
      let size = 0
      const finish = (isCut: boolean) => {
        const body = Buffer.concat(chunks).subarray(0, maxBytes)
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body, isCut })
        sent.destroy()
      }
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        size += chunk.length
        if (size > maxBytes) finish(true)
      })
      response.once('end', () => finish(false))
      response.once('error', reject)
      response.once('aborted', () => reject(Object.assign(new Error('aborted'), { code: 'ECONNRESET' })))
    })
  })
}

/** Fetch standard, HTTP-redirect fetch: 303, and 301 or 302 to a POST, go on as GET. Credentials stay with their origin. */
function redirectOf(request: OutboundRequest, { status, headers }: OutboundAnswer): OutboundRequest | undefined {
  const { location } = headers
  if (![301, 302, 303, 307, 308].includes(status) || !location) return undefined
  if (!URL.canParse(location, request.url)) throw new OutboundFailure('The redirect leads to no URL.', 'invalid')
  const url = new URL(location, request.url)
  const isSameOrigin = url.origin === new URL(request.url).origin
  const { body, ...rest } = request
  const isGet = status === 303 || (status < 303 && request.method === 'POST')
  return {
    ...rest,
    url: url.href,
    ...(isGet ? { method: 'GET' } : body === undefined ? {} : { body }),
    headers: isSameOrigin ? (request.headers ?? {}) : isGet ? {} : typeOf(request),
  }
}

/** What says how to read the body goes where that goes. */
const typeOf = ({ headers = {} }: OutboundRequest) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() === 'content-type'))

const wordsOf: Record<string, string> = {
  ENOTFOUND: 'The host name was not found.',
  EAI_AGAIN: 'The host name could not be looked up.',
  ECONNREFUSED: 'The connection was refused.',
  ECONNRESET: 'The connection was closed before the answer was complete.',
  EHOSTUNREACH: 'The host can’t be reached.',
  ENETUNREACH: 'The host can’t be reached.',
  ETIMEDOUT: 'The connection took too long.',
  EPROTO: 'The TLS connection failed.',
}

function asFailure(error: unknown, signal: AbortSignal, timeoutMs: number): OutboundFailure {
  if (error instanceof OutboundFailure) return error
  const late = `There was no answer within ${timeoutMs / 1_000} seconds.`
  if (signal.aborted) return new OutboundFailure(late, 'timeout', error)
  const code = codeOf(error)
  const words = wordsOf[code]
  if (words) return new OutboundFailure(words, 'unreachable', error)
  const isTls = /^(CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/.test(code)
  const isHttp = code.startsWith('HPE_')
  const otherWords = isTls ? 'The TLS certificate is not valid for this host.' : isHttp ? 'The answer is not HTTP.' : undefined
  return new OutboundFailure(otherWords ?? 'The request failed.', 'invalid', error)
}

/** Of several attempts (IPv6, IPv4) the first one's. */
function codeOf(error: unknown): string {
  if (error instanceof AggregateError) return codeOf(error.errors[0])
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
