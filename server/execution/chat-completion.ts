// Chat completions of an OpenAI-compatible server, as agents and judges' models are asked for them.
import { z } from 'zod'
import type { Call } from './patient-call.ts'

export interface ChatMessage {
  role: 'system' | 'user' | 'assistant'
  content: string
}

export interface CompletionRequest {
  model: string
  messages: ChatMessage[]
  temperature?: number
  max_tokens?: number
  response_format?: object
}

/** @param url what stands before `/chat/completions`. */
export function planCompletion(
  url: string,
  secret: string | undefined,
  request: CompletionRequest,
  timeoutSeconds: number,
): Omit<Call, 'who'> {
  const target = new URL(url)
  target.pathname = `${target.pathname.endsWith('/') ? target.pathname.slice(0, -1) : target.pathname}/chat/completions`
  const headers = { 'content-type': 'application/json', accept: 'application/json', 'user-agent': 'mate-runs/1' }
  return {
    method: 'POST',
    url: target.href,
    headers: secret ? { ...headers, authorization: `Bearer ${secret}` } : headers,
    body: JSON.stringify(request),
    timeoutSeconds,
  }
}

const Part = z.object({ type: z.string(), text: z.string().optional() })
const Completion = z.object({
  choices: z
    .array(
      z.object({
        message: z.object({
          content: z.union([z.string(), z.array(Part)]).nullish(),
          refusal: z.string().nullish(),
        }),
        finish_reason: z.string().nullish(),
      }),
    )
    .min(1),
})

/** The first choice's text, or its refusal; undefined when the body is no completion. */
export function readCompletion(body: string): { text: string; isRefusal: boolean; isCut: boolean } | undefined {
  const { data } = Completion.safeParse(parse(body))
  const [choice] = data?.choices ?? []
  if (!choice) return undefined
  const { content, refusal } = choice.message
  const text = typeof content === 'string' ? content : content?.map((part) => part.text ?? '').join('')
  if (text === undefined && typeof refusal !== 'string') return undefined
  const isRefusal = typeof refusal === 'string' && !text
  return { text: isRefusal ? refusal : (text ?? ''), isRefusal, isCut: choice.finish_reason === 'length' }
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}
