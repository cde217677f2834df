// One JSON line an event on standard error; keys that slip into a text are cut out before it is written.
import { destination, pino } from 'pino'
import { currentTraceId } from './tracing.ts'

// Synchronous: process.stderr keeps what a full pipe does not take, and loses it when the process ends right afterwards.
// In this thread: pino's transports do not survive bundling.
const stderr = destination({ dest: 2, sync: true })

const logger = pino(
  {
    base: null,
    messageKey: 'message',
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (level) => ({ level }) },
    serializers: { error: (error) => (error instanceof Error ? errorFacts(error) : error) },
    mixin: () => {
      const traceId = currentTraceId()
      return traceId ? { traceId } : {}
    },
  },
  { write: (line) => stderr.write(withoutKeys(line)) },
)

/** @param facts what it was about; an `error` with its causes, `requestId` and `operation` where there are some. */
export function log(level: 'info' | 'warn' | 'error', message: string, facts: Record<string, unknown> = {}): void {
  logger[level](facts, message)
}

/** What is ours to mend, whichever door it left by: every answer of 500 and above has one such line. */
export function logFailure(requestId: string, error: unknown, operation?: string): void {
  log('error', 'request failed', { requestId, operation, error })
}

/** The text with complete API keys, and beginnings of them that tell more than the prefix, cut short. */
export function withoutKeys(text: string): string {
  return text.replace(/mate_[0-9A-Za-z]{8,}/g, (key) => `${key.slice(0, 12)}…`)
}

const quietForMs = 30_000

/** Says that something failed which is tried again and again: once in half a minute is enough. */
export function sparsely(message: string): (error: unknown) => void {
  let saidAt = Number.NEGATIVE_INFINITY
  return (error) => {
    if (performance.now() - saidAt < quietForMs) return
    saidAt = performance.now()
    log('warn', message, { error })
  }
}

/** An error for the operator: its chain of causes, without the parameters of a failed query. */
function errorFacts(error: Error): Record<string, unknown> {
  const { name, message, stack, cause } = error
  return {
    name,
    message: withoutParameters(message),
    ...('code' in error ? { code: error.code } : {}),
    stack: stack && withoutParameters(stack),
    ...(cause instanceof Error ? { cause: errorFacts(cause) } : {}),
  }
}

/** drizzle's message ends with the query's parameters, and so does whatever wraps it, in its message and in its stack. */
function withoutParameters(text: string): string {
  const at = text.indexOf('Failed query: ')
  const end = at < 0 ? -1 : text.indexOf('\nparams: ', at)
  return end < 0 ? text : text.slice(0, end)
}
