// How an agent is talked to: one message, and the text that it answers.
import type { ConnectorSettings } from '#db/schema.ts'
import { withDefaults } from '../connector-input.ts'
import { firstBytes, redactor, storable } from './foreign-text.ts'
import { planHttp } from './http-connector.ts'
import { planOpenai } from './openai-connector.ts'
import { type Call, type CallContext, CallFailure, callPatiently } from './patient-call.ts'

export interface Exchange {
  role: 'user' | 'agent'
  content: string
}

export interface AgentTarget {
  connector: ConnectorSettings
  secret: string | undefined
}

export interface Turn {
  message: string
  conversationId: string
  /** What was said before the message, oldest first. */
  history: Exchange[]
}

export interface AgentReply {
  text: string
  /** The answer as it came, but without the secret, cut at 64 KiB. */
  raw: string
  /** Of the attempt that was answered. */
  latencyMs: number
}

/** What one kind of connector sends, and how it reads the answer. */
export interface Plan {
  call: Omit<Call, 'who'>
  /** @throws CallFailure when the text is not where it should be. */
  read(body: string): string
}

/** No answer after the retries (429, 502, 503, 504, no connection), or none in time: the case is skipped. */
export class AgentUnavailable extends Error {}
/** An answer that can't be used (another status, not JSON, nothing at the pointer, too large), or a refused address. */
export class AgentFault extends Error {}

const rawBytes = 65_536

/**
 * Texts of the reply are fit to be stored: they hold neither the secret nor what PostgreSQL refuses.
 * @throws AgentUnavailable or AgentFault, in words for the tenant; the reason of `context.signal` when that ends it.
 */
export async function sendToAgent(target: AgentTarget, turn: Turn, context: CallContext): Promise<AgentReply> {
  const redact = redactor(target.secret)
  const clean = (text: string) => storable(redact(text))
  try {
    const { call, read } = planOf(target, turn)
    const { body, latencyMs } = await callPatiently({ who: 'The agent', ...call }, context)
    return { text: clean(read(body)), raw: firstBytes(clean(body), rawBytes), latencyMs }
  } catch (error) {
    if (!(error instanceof CallFailure)) throw error
    const words = error.words(redact)
    throw error.isUnavailable ? new AgentUnavailable(words) : new AgentFault(words)
  }
}

function planOf({ connector: settings, secret }: AgentTarget, turn: Turn): Plan {
  const connector = withDefaults(settings)
  return connector.type === 'http' ? planHttp(connector, secret, turn) : planOpenai(connector, secret, turn)
}
