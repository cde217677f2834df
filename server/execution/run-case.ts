// One case of a run: what is said to the agent turn by turn, and what the judge makes of its answers.
import type { TestCaseSnapshot } from '#db/schema.ts'
import type { OutboundRules } from '../outbound.ts'
import { AgentFault, type AgentTarget, AgentUnavailable, type Exchange, type sendToAgent } from './connector.ts'
import type { Judge, Judgement, judgeConversation } from './judge.ts'
import { Unreadable } from './opened-secret.ts'

/** A case with what it needs, as it was read when its turn came. */
export interface PlannedCase {
  resultId: string
  testCase: TestCaseSnapshot
  target: AgentTarget | Unreadable
  judge: Judge | Unreadable | undefined
}

export interface Message extends Exchange {
  raw: string | null
  turnIndex: number
  latencyMs: number | null
  at: Date
}

export interface Outcome extends Omit<Judgement, 'verdict'> {
  verdict: Judgement['verdict'] | 'skipped'
  /** Of the agent's answers, together; null when it gave none. */
  latencyMs: number | null
  messages: Message[]
}

/** What talks to agents and judges; tests have others. */
export interface Means {
  send: typeof sendToAgent
  judge: typeof judgeConversation
}

/** A case that takes longer is an error: nothing else ends one whose agent always answers just in time. */
const caseTimeoutMs = 30 * 60_000
/** Whatever sends: a row stays small. */
const maxRawLength = 65_536

/** @param signal aborted when nothing may come of it any more: what it returns then means nothing. */
export async function executeCase(
  planned: PlannedCase,
  { send, judge }: Means,
  rules: OutboundRules,
  signal: AbortSignal,
  timeoutMs = caseTimeoutMs,
): Promise<Outcome> {
  const { target, testCase } = planned
  if (target instanceof Unreadable) return unjudged('error', target.message)
  if (planned.judge instanceof Unreadable) return unjudged('error', planned.judge.message)
  const timeout = AbortSignal.timeout(timeoutMs)
  const context = { rules, signal: AbortSignal.any([signal, timeout]) }
  const messages: Message[] = []
  try {
    await converse(testCase, messages, (turn) => send(target, turn, context))
    const judgement = await judge(planned.judge, testCase, messages.map(asExchange), context)
    return { ...judgement, latencyMs: latencyOf(messages), messages }
  } catch (error) {
    if (timeout.aborted && !signal.aborted) return unjudged('error', tookTooLong(timeoutMs), messages)
    if (error instanceof AgentUnavailable) return unjudged('skipped', error.message, messages)
    if (error instanceof AgentFault) return unjudged('error', error.message, messages)
    throw error
  }
}

const tookTooLong = (ms: number) => `The case took longer than ${ms / 60_000} minutes.`

type Send = (turn: Parameters<typeof sendToAgent>[1]) => ReturnType<typeof sendToAgent>

/** Adds to `messages` as they are said, so that they are there when it breaks off. */
async function converse({ userInput }: TestCaseSnapshot, messages: Message[], send: Send): Promise<void> {
  const conversationId = crypto.randomUUID()
  for (const [turnIndex, message] of userInput.entries()) {
    const history = messages.map(asExchange)
    messages.push({ role: 'user', content: message, raw: null, turnIndex, latencyMs: null, at: new Date() })
    const { text, raw, latencyMs } = await send({ message, conversationId, history })
    const kept = raw.slice(0, maxRawLength)
    messages.push({ role: 'agent', content: text, raw: kept, turnIndex, latencyMs, at: new Date() })
  }
}

const asExchange = ({ role, content }: Exchange): Exchange => ({ role, content })

function latencyOf(messages: Message[]): number | null {
  const each = messages.flatMap(({ latencyMs }) => latencyMs ?? [])
  return each.length > 0 ? each.reduce((sum, ms) => sum + ms, 0) : null
}

function unjudged(verdict: 'skipped' | 'error', rationale: string, messages: Message[] = []): Outcome {
  return { verdict, scores: null, overallScore: null, rationale, latencyMs: latencyOf(messages), messages }
}
