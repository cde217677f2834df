// Codes of the API in the words of the pages.
import type { JudgeSetting, KeyStatus, Run, Verdict, WebhookEvent } from './api-types.ts'

export const keyStatuses = ['active', 'expired', 'revoked', 'rotated'] as const satisfies readonly KeyStatus[]

export function statusLabel(status: KeyStatus): string {
  return status === 'rotated' ? 'Rotated out' : capitalised(status)
}

export const entityTypes = {
  api_key: 'API key',
  agent: 'Agent',
  test_suite: 'Test suite',
  test_case: 'Test case',
  judge_setting: 'Judge setting',
  user: 'User',
  invitation: 'Invitation',
  tenant: 'Tenant',
  webhook: 'Webhook',
  notice: 'Notice',
  identity_provider: 'Identity provider',
  trust_rule: 'Trust rule',
  run: 'Run',
  result: 'Result',
} as const

export const runStatuses: Record<Run['status'], string> = {
  pending: 'Waiting',
  running: 'Running',
  completed: 'Completed',
  failed: 'Broken off',
  cancelled: 'Cancelled',
}

export const verdicts: Record<Verdict, string> = { pass: 'Passed', fail: 'Failed', error: 'Error', skipped: 'Skipped' }

export const judgeProviders: Record<JudgeSetting['provider'], { label: string; what: string }> = {
  rubrics: { label: 'Rubrics', what: 'Texts that an answer must or must not contain. Always judges alike.' },
  model: { label: 'Model', what: 'A language model scores the conversation.' },
  hybrid: { label: 'Both', what: 'The rubrics first, then the model.' },
}

/** After “The reply”. */
export const criterionTypes = {
  contains: 'contains the text',
  notContains: 'does not contain the text',
  regex: 'matches the pattern (RE2)',
} as const

/** The five scores, in the order of the pages. */
export const scoreNames = {
  taskSuccess: 'Task success',
  intentMatch: 'Intent match',
  factuality: 'Factuality',
  helpfulness: 'Helpfulness',
  safety: 'Safety',
} as const

/** In the order of the form. */
export const webhookEvents: Record<WebhookEvent, string> = {
  '*': 'Every notice',
  'api_key.expiring': 'A key expires in 14, 7 or 1 days',
  'api_key.unused': 'A key is not used for 60 days',
  'api_key.leaked': 'A key leaked',
  'api_key.tripwire': 'A key is used after its end',
  'api_keys.frozen': 'Keys are frozen',
  'api_keys.unfrozen': 'Keys are unfrozen',
  'webhook.deactivated': 'A webhook is deactivated',
  'audit.entry': 'Every entry of the audit log',
}

export const deliveryEvents: Record<string, string> = { ...webhookEvents, 'webhook.test': 'Test', 'audit.entry': 'Audit log' }

/** `api_key.revoked` → “API key revoked”. Made from the code, so that a new action has a label without a change here. */
export function actionLabel(action: string): string {
  const [entity = '', ...rest] = action.split('.')
  const known = Object.entries(entityTypes).find(([type]) => type === entity)
  const noun = known ? known[1] : capitalised(entity.replaceAll('_', ' '))
  return `${noun} ${rest.join(' ').replaceAll('_', ' ')}`.trim()
}

export function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** `curl/8.5.0`, or a browser's name: enough to recognise; the whole text stands in the details. */
export function shortUserAgent(userAgent: string): string {
  const browser = /(Firefox|Edg|OPR|Chrome|Safari)\/(\d+)/.exec(userAgent)
  if (userAgent.startsWith('Mozilla/') && browser) return `${browser[1] === 'Edg' ? 'Edge' : browser[1]} ${browser[2]}`
  return userAgent.split(' ')[0]?.slice(0, 40) ?? ''
}
