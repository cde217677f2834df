// An agent as its form sends it and as the API takes it.
import type { Api } from '#server/pages.ts'
import type { Problem } from '../context.ts'
import type { Agent } from './api-types.ts'
import { foldErrors, numberOf, numberOrNull, oneOf, tagsOf, textOf, textsOf } from './form-fields.ts'

/** By the path at which the API tells what is wrong with it. */
export const agentLabels = {
  name: 'Name',
  description: 'Description',
  environment: 'Environment',
  tags: 'Tags',
  isActive: 'Active',
  judgeSettingId: 'Judged by',
  'connector.type': 'It speaks',
  'connector.url': 'Address',
  'connector.secret': 'Secret',
  'connector.timeoutSeconds': 'Time-out in seconds',
  'connector.method': 'Method',
  'connector.secretHeader': 'Header of the secret',
  'connector.headers': 'Other headers',
  'connector.body': 'Body',
  'connector.replyPointer': 'Where the reply is',
  'connector.model': 'Model',
  'connector.systemPrompt': 'System prompt',
  'connector.temperature': 'Temperature',
  'connector.maxTokens': 'Tokens at most',
}

export type AgentField = keyof typeof agentLabels
export type AgentValues = Record<AgentField, string>
type AgentInput = Parameters<Api['agents']['create']>[0]

export const environments = ['dev', 'test', 'staging', 'production'] as const

const defaultBody = { message: '{{message}}', conversationId: '{{conversationId}}', history: '{{history}}' }

export const newAgent: AgentValues = {
  name: '',
  description: '',
  environment: 'test',
  tags: '',
  isActive: 'yes',
  judgeSettingId: '',
  'connector.type': 'http',
  'connector.url': '',
  'connector.secret': '',
  'connector.timeoutSeconds': '30',
  'connector.method': 'POST',
  'connector.secretHeader': 'Authorization',
  'connector.headers': '',
  'connector.body': JSON.stringify(defaultBody, null, 2),
  'connector.replyPointer': '/reply',
  'connector.model': '',
  'connector.systemPrompt': '',
  'connector.temperature': '',
  'connector.maxTokens': '',
}

export function valuesOfAgent(agent: Agent): AgentValues {
  const { connector } = agent
  const shared = {
    ...newAgent,
    name: agent.name,
    description: agent.description,
    environment: agent.environment,
    tags: agent.tags.join(', '),
    isActive: agent.isActive ? 'yes' : '',
    judgeSettingId: agent.judgeSettingId ?? '',
    'connector.type': connector.type,
    'connector.url': connector.url,
    'connector.timeoutSeconds': String(connector.timeoutSeconds),
  }
  if (connector.type === 'openai') {
    return {
      ...shared,
      'connector.model': connector.model,
      'connector.systemPrompt': connector.systemPrompt,
      'connector.temperature': String(connector.temperature ?? ''),
      'connector.maxTokens': String(connector.maxTokens ?? ''),
    }
  }
  return {
    ...shared,
    'connector.method': connector.method,
    'connector.secretHeader': connector.secretHeader,
    'connector.headers': Object.entries(connector.headers)
      .map(([name, value]) => `${name}: ${value}`)
      .join('\n'),
    'connector.body': connector.body,
    'connector.replyPointer': connector.replyPointer,
  }
}

/** What the form holds, without its secret: that is for the API alone. */
export function readAgentForm(form: FormData): { values: AgentValues; input: AgentInput } {
  const values = textsOf(form, agentLabels)
  const secret = values['connector.secret'] || (textOf(form, 'removeSecret') === 'yes' ? null : undefined)
  const input: AgentInput = {
    name: values.name,
    description: values.description,
    environment: oneOf(values.environment, environments),
    tags: tagsOf(values.tags),
    isActive: values.isActive === 'yes',
    judgeSettingId: values.judgeSettingId || null,
    connector: connectorOf(values, secret),
  }
  return { values: { ...values, 'connector.secret': '' }, input }
}

function connectorOf(values: AgentValues, secret: string | null | undefined): AgentInput['connector'] {
  const shared = {
    url: values['connector.url'].trim(),
    timeoutSeconds: numberOf(values['connector.timeoutSeconds']),
    ...(secret === undefined ? {} : { secret }),
  }
  if (values['connector.type'] === 'openai') {
    return {
      ...shared,
      type: 'openai',
      model: values['connector.model'],
      systemPrompt: values['connector.systemPrompt'],
      temperature: numberOrNull(values['connector.temperature']),
      maxTokens: numberOrNull(values['connector.maxTokens']),
    }
  }
  return {
    ...shared,
    type: 'http',
    method: oneOf(values['connector.method'], ['POST', 'PUT']),
    secretHeader: values['connector.secretHeader'].trim(),
    headers: headersOf(values['connector.headers']),
    body: values['connector.body'],
    replyPointer: values['connector.replyPointer'].trim(),
  }
}

/** `Name: value`, one a line. */
function headersOf(text: string): Record<string, string> {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return Object.fromEntries(
    lines.map((line) => {
      const [name = '', ...value] = line.split(':')
      return [name.trim(), value.join(':').trim()]
    }),
  )
}

export const agentProblem = (problem: Problem) => foldErrors(problem, agentLabels)
