// One JSON line an event on standard error; keys that slip into a text are cut out before it is written.
const keyInText = /mate_[0-9A-Za-z]{8,}/g

export function log(level: 'info' | 'warn' | 'error', message: string, facts: Record<string, unknown> = {}): void {
  const entry = { time: new Date().toISOString(), level, message, ...facts }
  const text = JSON.stringify(entry, (_, value) => (value instanceof Error ? errorFacts(value) : value))
  process.stderr.write(`${text.replace(keyInText, (key) => `${key.slice(0, 12)}…`)}\n`)
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
