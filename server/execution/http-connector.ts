// Agents behind an HTTP address of any shape: a JSON body with placeholders, and a pointer to the text in the answer.
import type { HttpConnector } from '../connector-input.ts'
import type { Plan, Turn } from './connector.ts'
import { findByPointer } from './json-pointer.ts'
import { CallFailure } from './patient-call.ts'

export function planHttp(connector: HttpConnector, secret: string | undefined, turn: Turn): Plan {
  const { method, url, secretHeader, headers, body, replyPointer, timeoutSeconds } = connector
  return {
    call: { method, url, timeoutSeconds, body: fillBody(body, turn), headers: headersOf(headers, secretHeader, secret) },
    read: (answer) => readReply(answer, replyPointer),
  }
}

/** What is filled in never becomes JSON of its own: it stands inside texts that were parsed before. */
function fillBody(template: string, { message, conversationId, history }: Turn): string {
  const values: Record<string, unknown> = {
    message,
    conversationId,
    history: history.map(({ role, content }) => ({ role, content })),
  }
  const textOf = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))
  const fill = (text: string): unknown => {
    const [, whole = ''] = /^\{\{(\w+)\}\}$/.exec(text) ?? []
    if (Object.hasOwn(values, whole)) return values[whole]
    // In one go: a placeholder within what was filled in stays what it is.
    return text.replace(/\{\{(message|conversationId|history)\}\}/g, (_, name: string) => textOf(values[name]))
  }
  try {
    return JSON.stringify(JSON.parse(template, (_, value) => (typeof value === 'string' ? fill(value) : value)))
  } catch {
    throw new CallFailure('The body of the agent’s connector is not JSON.', false)
  }
}

function headersOf(headers: Record<string, string>, secretHeader: string, secret: string | undefined): Record<string, string> {
  try {
    const all = new Headers({ 'Content-Type': 'application/json', Accept: 'application/json', 'User-Agent': 'mate-runs/1' })
    for (const [name, value] of Object.entries(headers)) all.set(name, value)
    if (secret) all.set(secretHeader, secret)
    return Object.fromEntries(all)
  } catch {
    // Its own message has the value in it.
    throw new CallFailure('The agent’s connector has a header, or a secret, that HTTP can’t carry.', false)
  }
}

function readReply(answer: string, pointer: string): string {
  if (pointer === '') return answer
  const parsed = parseAnswer(answer)
  const found = findByPointer(parsed, pointer)
  if (typeof found === 'string') return found
  if (typeof found === 'number' || typeof found === 'boolean') return String(found)
  const what = found === undefined ? 'nothing' : 'no text'
  throw new CallFailure(`The agent’s answer has ${what} at ${pointer}.`, false, answer)
}

function parseAnswer(answer: string): unknown {
  try {
    return JSON.parse(answer)
  } catch {
    throw new CallFailure('The agent’s answer is not JSON.', false, answer)
  }
}
