// Agents that are chat completions of an OpenAI-compatible server.
import type { OpenaiConnector } from '../connector-input.ts'
import { type ChatMessage, planCompletion, readCompletion } from './chat-completion.ts'
import type { Plan, Turn } from './connector.ts'
import { CallFailure } from './patient-call.ts'

export function planOpenai(
  { url, model, systemPrompt, temperature, maxTokens, timeoutSeconds }: OpenaiConnector,
  secret: string | undefined,
  { message, history }: Turn,
): Plan {
  const messages: ChatMessage[] = [
    ...(systemPrompt ? [{ role: 'system', content: systemPrompt } as const] : []),
    ...history.map(({ role, content }) => ({ role: role === 'agent' ? 'assistant' : role, content }) as const),
    { role: 'user', content: message },
  ]
  const limits = {
    ...(temperature === null ? {} : { temperature }),
    ...(maxTokens === null ? {} : { max_tokens: maxTokens }),
  }
  return { call: planCompletion(url, secret, { model, messages, ...limits }, timeoutSeconds), read: readText }
}

/** A refusal is an answer like any other, for the judge. */
function readText(body: string): string {
  const completion = readCompletion(body)
  if (completion) return completion.text
  throw new CallFailure('The agent’s answer is no chat completion with a text.', false, body)
}
