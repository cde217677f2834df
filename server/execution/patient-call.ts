// One request to an agent or a judge's model, repeated with back-off while the other side is busy or out of reach.
import { setTimeout as clock } from 'node:timers/promises'
import { type OutboundAnswer, OutboundFailure, type OutboundRules, sendOutbound } from '../outbound.ts'
import { secondsOfRetryAfter } from '../retry-after.ts'
import { excerpt, type Redact } from './foreign-text.ts'

export interface CallContext {
  rules: OutboundRules
  /** Ends it early: it is rejected with the signal's reason then. */
  signal?: AbortSignal
  /** 1: no retry. */
  maxAttempts?: number
  /** How a wait passes: by the clock, unless a test has another way. */
  sleep?: (ms: number, signal: AbortSignal | undefined) => Promise<void>
}

export interface Call {
  /** Who is called, as a sentence begins with it. */
  who: string
  method: 'POST' | 'PUT'
  url: string
  headers: Record<string, string>
  body: string
  /** For one attempt. */
  timeoutSeconds: number
}

/** Why there is no usable answer. */
export class CallFailure extends Error {
  /** It may answer another time; otherwise it did answer, or never will. */
  readonly isUnavailable: boolean
  /** The answer, to be quoted once the secret is out of it. */
  readonly #answer: string

  constructor(message: string, isUnavailable: boolean, answer = '') {
    super(message)
    this.isUnavailable = isUnavailable
    this.#answer = answer
  }

  /** In words for the tenant. */
  words(redact: Redact): string {
    const quoted = excerpt(redact(this.#answer))
    return redact(quoted === '' ? this.message : `${this.message} It begins: ${quoted}`)
  }
}

export const maxAnswerBytes = 1_048_576
const maxRedirects = 3
const defaultAttempts = 4
const firstWaitMs = 1_000
const jitter = 0.2
/** Who asks to wait longer is not waited for. */
const longestWaitSeconds = 30
/** For all attempts and the waits between them; no attempt begins or lasts beyond. */
const overallMs = 180_000
/** Busy, or in front of something that is. */
const busyStatuses = [429, 502, 503, 504]

type Outcome =
  | { body: string; latencyMs: number }
  /** Worth another attempt. */
  | { words: string; waitSeconds: number }

/**
 * @returns the answer's body as text, and how long the attempt took that brought it.
 * @throws CallFailure, or the reason of `context.signal`.
 */
export async function callPatiently(call: Call, context: CallContext): Promise<{ body: string; latencyMs: number }> {
  const { maxAttempts = defaultAttempts, sleep = byClock, signal } = context
  const until = performance.now() + overallMs
  for (let attempt = 1; ; attempt++) {
    const outcome = await attemptOnce(call, context, until - performance.now())
    if ('body' in outcome) return outcome
    const { words, waitSeconds } = outcome
    if (attempt >= maxAttempts) throw new CallFailure(attempt > 1 ? `${words} Tried ${attempt} times.` : words, true)
    if (waitSeconds > longestWaitSeconds)
      throw new CallFailure(`${words} It asks to wait ${Math.ceil(waitSeconds)} seconds.`, true)
    const waitMs = Math.max(firstWaitMs * 2 ** (attempt - 1) * (1 + jitter * Math.random()), waitSeconds * 1_000)
    if (performance.now() + waitMs >= until) throw new CallFailure(`${words} Tried for ${overallMs / 1_000} seconds.`, true)
    await sleep(waitMs, signal)
    signal?.throwIfAborted()
  }
}

async function byClock(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await clock(ms, undefined, { signal })
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  }
}

async function attemptOnce(call: Call, { rules, signal }: CallContext, leftMs: number): Promise<Outcome> {
  const { who, method, url, headers, body } = call
  const timeoutMs = Math.max(1, Math.ceil(Math.min(call.timeoutSeconds * 1_000, leftMs)))
  const from = performance.now()
  try {
    const request = { method, url, headers, body, timeoutMs, maxBytes: maxAnswerBytes, maxRedirects, signal }
    const answer = await sendOutbound(request, rules)
    return readAnswer(call, answer, performance.now() - from)
  } catch (error) {
    if (!(error instanceof OutboundFailure)) throw error
    if (error.kind === 'unreachable') return { words: `${who} can’t be reached. ${error.message}`, waitSeconds: 0 }
    // Not once more: it may have taken the message, and has had the time that it was given.
    if (error.kind === 'timeout') throw new CallFailure(`${who} gave no answer within ${timeoutMs / 1_000} seconds.`, true)
    throw new CallFailure(
      error.kind === 'refused' ? `${who} was not called. ${error.message}` : `${who}: ${error.message}`,
      false,
    )
  }
}

function readAnswer({ who }: Call, { status, headers, body, isCut }: OutboundAnswer, latencyMs: number): Outcome {
  if (busyStatuses.includes(status)) {
    return { words: `${who} answered ${status}.`, waitSeconds: secondsOfRetryAfter(headers['retry-after']) ?? 0 }
  }
  const text = new TextDecoder().decode(body)
  if (status < 200 || status >= 300) throw new CallFailure(`${who} answered ${status}.`, false, text)
  if (isCut) throw new CallFailure(`${who} answered with more than ${maxAnswerBytes.toLocaleString('en')} bytes.`, false)
  return { body: text, latencyMs }
}
