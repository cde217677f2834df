// Codes of the API in the words of the pages.
import type { KeyStatus } from './api-types.ts'

export const keyStatuses = ['active', 'expired', 'revoked'] as const satisfies readonly KeyStatus[]

export const entityTypes = { api_key: 'API key', agent: 'Agent', user: 'User', tenant: 'Tenant' } as const

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
