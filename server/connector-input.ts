// An agent's connector: what may be said of one, its defaults, and how it is answered; its secret goes in and never comes out.
import { z } from 'zod'
import type { ConnectorSettings } from '#db/schema.ts'
import { requireCallable } from './callable-url.ts'
import { findForbidden, Id, line } from './input.ts'
import { type GivenSecret, requireSameOrigin } from './kept-secret.ts'

const maxText = 8_000

/** An http or https URL without credentials; whether it may be called is asked by requireCallable. */
export const TargetUrl = z
  .url({ protocol: /^https?$/, error: 'Must be an http or https URL.' })
  .max(2000)
  .refine((text) => !/^[a-z]+:\/\/[^/?#]*@/i.test(text), 'Must not contain a user name or password: use secret.')

/** Of an OpenAI-compatible server: what stands before `/chat/completions`. */
export const OpenaiUrl = TargetUrl.refine((text) => !/[?#]/.test(text), 'Must have no query and no fragment.')
  .refine((text) => !/\/chat\/completions\/*$/.test(text), 'Must end before /chat/completions, which mate appends.')
  .describe('Up to, and without, `/chat/completions`; such as `https://api.openai.com/v1`.')

// RFC 9110, section 5.5, as node:http can send it; control characters are no part of a line anyway.
const isSendable = (text: string) => !/[\u0100-\uffff]/.test(text)
const notSendable = 'Must contain only characters that an HTTP header can carry (Latin-1).'

/** Left out: stays as it is; null: removed. */
export const SecretInput = line(4000)
  .refine(isSendable, notSendable)
  .nullable()
  .optional()
  .describe(
    'Written, never read back. Left out: stays as it is, as long as scheme, host and port of the address do; null: removed.',
  )

export const TimeoutSeconds = z.number().int().min(1).max(120).default(30).describe('For one answer.')
export const Temperature = z.number().min(0).max(2)
export const MaxTokens = z.number().int().min(1).max(100_000)

const HeaderName = z.string().regex(/^[A-Za-z0-9-]{1,64}$/, 'Must be a header name.')

/** What mate's own HTTP client says of the message and the connection. */
const ownHeaders = new Set([
  ...['connection', 'content-length', 'expect', 'host', 'keep-alive', 'proxy-authorization', 'proxy-connection', 'te'],
  ...['trailer', 'transfer-encoding', 'upgrade'],
])

const maxHeaders = 20
const Headers = z
  .record(HeaderName, line(1000, 0).refine(isSendable, notSendable))
  .refine((headers) => Object.keys(headers).length <= maxHeaders, `Must have at most ${maxHeaders} headers.`)
  .refine((headers) => {
    const names = Object.keys(headers).map((name) => name.toLowerCase())
    return new Set(names).size === names.length
  }, 'Must not name a header twice; case makes no difference.')
  .refine(
    (headers) => !Object.keys(headers).some((name) => ownHeaders.has(name.toLowerCase())),
    'Must not name a header that mate sets itself, such as Host or Content-Length.',
  )

const defaultBody = '{"message":"{{message}}","conversationId":"{{conversationId}}","history":"{{history}}"}'

function isPlainJson(text: string): boolean {
  try {
    return findForbidden(JSON.parse(text)) === undefined
  } catch {
    return false
  }
}

const HttpFields = {
  type: z.literal('http'),
  method: z.enum(['POST', 'PUT']).default('POST'),
  url: TargetUrl,
  secretHeader: HeaderName.default('Authorization').describe('The header that the secret is sent in.'),
  headers: Headers.default({}).describe('Sent with each message, and readable: what is secret belongs in `secret`.'),
  body: z
    .string()
    .max(maxText, `Must have at most ${maxText} characters.`)
    .refine(isPlainJson, 'Must be JSON, nested at most 32 levels deep.')
    .default(defaultBody)
    .describe(
      'JSON in which `{{message}}`, `{{conversationId}}` and `{{history}}` are filled in. A text that is exactly a placeholder becomes its value, the history an array of `{role, content}`; within a longer text it becomes text.',
    ),
  replyPointer: z
    .string()
    .max(500)
    .regex(/^(?:\/(?:[^~/]|~[01])*)*$/, 'Must be a JSON pointer such as /reply/text (RFC 6901), or empty.')
    .default('/reply')
    .describe('Where in the answer the text is, as a JSON pointer (RFC 6901); empty: the whole answer is the text.'),
  timeoutSeconds: TimeoutSeconds,
}

const OpenaiFields = {
  type: z.literal('openai'),
  url: OpenaiUrl,
  model: line(200),
  systemPrompt: z.string().max(maxText, `Must have at most ${maxText} characters.`).default(''),
  temperature: Temperature.nullable().default(null).describe('Null: the server’s own.'),
  maxTokens: MaxTokens.nullable().default(null).describe('Of one answer; null: the server’s own.'),
  timeoutSeconds: TimeoutSeconds,
}

export const ConnectorInput = z.discriminatedUnion('type', [
  z
    .strictObject({ ...HttpFields, secret: SecretInput })
    .refine(
      ({ headers, secretHeader }) => !Object.keys(headers).some((name) => name.toLowerCase() === secretHeader.toLowerCase()),
      {
        path: ['headers'],
        message: 'Must not name the header of the secret: give its value as secret, which is never read back.',
      },
    ),
  z.strictObject({ ...OpenaiFields, secret: SecretInput }),
])
type ConnectorInput = z.infer<typeof ConnectorInput>

const answered = {
  id: Id,
  url: z.string(),
  timeoutSeconds: z.number().int(),
  hasSecret: z.boolean().describe('Whether a secret is kept; the secret itself is never answered.'),
}

const HttpAnswer = z.object({
  type: z.literal('http'),
  method: z.enum(['POST', 'PUT']),
  secretHeader: z.string(),
  headers: z.record(z.string(), z.string()),
  body: z.string(),
  replyPointer: z.string(),
  ...answered,
})

const OpenaiAnswer = z.object({
  type: z.literal('openai'),
  model: z.string(),
  systemPrompt: z.string(),
  temperature: z.number().nullable(),
  maxTokens: z.number().int().nullable(),
  ...answered,
})

export const Connector = z.discriminatedUnion('type', [HttpAnswer, OpenaiAnswer]).meta({ id: 'Connector' })
type Connector = z.infer<typeof Connector>

const defaultsOf = {
  http: { method: 'POST', headers: {}, body: defaultBody, replyPointer: '/reply', timeoutSeconds: 30 },
  openai: { systemPrompt: '', temperature: null, maxTokens: null, timeoutSeconds: 30 },
} as const

export type HttpConnector = Required<Extract<ConnectorSettings, { type: 'http' }>>
export type OpenaiConnector = Omit<z.infer<typeof OpenaiAnswer>, 'id' | 'hasSecret'>

/** What a row says of its connector, which may be from before there were settings beside its address. */
export function withDefaults(settings: ConnectorSettings): HttpConnector | OpenaiConnector {
  return settings.type === 'http' ? { ...defaultsOf.http, ...settings } : { ...defaultsOf.openai, ...settings }
}

export function toConnector(id: string, settings: ConnectorSettings, hasSecret: boolean): Connector {
  return { ...withDefaults(settings), id, hasSecret }
}

/**
 * As it is stored, and the secret beside it.
 * @param before the connector that is replaced, if there is one.
 * @throws TRPCError BAD_REQUEST when its address is not one that mate may call, or not one for the secret that is kept.
 */
export function readConnector(
  { secret, ...fields }: ConnectorInput,
  before: Connector | null = null,
): { settings: ConnectorSettings; secret: GivenSecret } {
  requireCallable(fields.url, 'connector.url')
  requireSameOrigin(before, fields.url, secret, 'connector.secret')
  if (fields.type === 'http') return { settings: fields, secret }
  const { temperature, maxTokens, ...rest } = fields
  const settings = { ...rest, ...(temperature === null ? {} : { temperature }), ...(maxTokens === null ? {} : { maxTokens }) }
  return { settings, secret }
}
