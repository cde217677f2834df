// One JSON line an event on standard error; keys that slip into a text are cut out before it is written.
const keyInText = /mate_[0-9A-Za-z]{8,}/g

export function log(level: 'info' | 'warn' | 'error', message: string, facts: Record<string, unknown> = {}): void {
  const entry = { time: new Date().toISOString(), level, message, ...facts }
  const text = JSON.stringify(entry, (_, value) => (value instanceof Error ? errorFacts(value) : value))
  process.stderr.write(`${text.replace(keyInText, (key) => `${key.slice(0, 12)}…`)}\n`)
}

/** An error for the operator: its chain of causes, without the parameters of a failed query. */
function errorFacts(error: Error): Record<string, unknown> {
  const { params: _, query, ...facts } = error as Error & { params?: unknown; query?: string }
  const message = query === undefined ? error.message : `Failed query: ${query}`
  return {
    name: error.name,
    message,
    ...('code' in facts ? { code: facts.code } : {}),
    stack: query === undefined ? error.stack : undefined,
    ...(error.cause instanceof Error ? { cause: errorFacts(error.cause) } : {}),
  }
}
