// The limits of a key, as a form sends them and as the API takes them.
import type { ApiKey } from './api-types.ts'
import { type Fields, textOf } from './form-fields.ts'

export interface LimitValues {
  allowedIps: string
  requestsPerMinute: string
  /** '' for all that the role allows. */
  scopeChoice: '' | 'only'
  scopes: string[]
}

type Limits = Pick<ApiKey, 'allowedIps' | 'requestsPerMinute' | 'scopes'>

export function limitValuesOf(form: Fields): LimitValues {
  return {
    allowedIps: textOf(form, 'allowedIps'),
    requestsPerMinute: textOf(form, 'requestsPerMinute'),
    scopeChoice: textOf(form, 'scopeChoice') === 'only' ? 'only' : '',
    scopes: form.getAll('scopes').filter((scope) => typeof scope === 'string'),
  }
}

/** What is no number stays one that the API refuses, by the field's name. */
export function limitsOf({ allowedIps, requestsPerMinute, scopeChoice, scopes }: LimitValues): Limits {
  const ips = allowedIps.split(/[\s,]+/).filter(Boolean)
  return {
    allowedIps: ips.length > 0 ? ips : null,
    requestsPerMinute: requestsPerMinute.trim() === '' ? null : Number(requestsPerMinute),
    scopes: scopeChoice === 'only' ? scopes : null,
  }
}

export function valuesOfLimits({ allowedIps, requestsPerMinute, scopes }: Limits): LimitValues {
  return {
    allowedIps: allowedIps?.join('\n') ?? '',
    requestsPerMinute: requestsPerMinute === null ? '' : String(requestsPerMinute),
    scopeChoice: scopes === null ? '' : 'only',
    scopes: scopes ?? [],
  }
}

export const limitLabels = { allowedIps: 'Allowed IPs', requestsPerMinute: 'Requests a minute', scopes: 'Scopes' }

/** A form has one field for all items of a list: their errors are the field's, each with the item that it is about. */
export function joinListErrors<P extends { errors?: { path: string; message: string }[] | undefined }>(
  problem: P,
  limits: Limits,
): P {
  const errors = problem.errors?.map(({ path, message }) => {
    const [, field, index] = /^(allowedIps|scopes)\.(\d+)$/.exec(path) ?? []
    if (!field) return { path, message }
    const item = limits[field as 'allowedIps' | 'scopes']?.[Number(index)] // the pattern names no other
    return { path: field, message: `${item}: ${message}` }
  })
  return errors ? { ...problem, errors } : problem
}
