// The form in which an admin settles the keys of a person who leaves or gets a lower role.
import type { KeyFate } from './api-types.ts'
import { oneOf, textOf } from './form-fields.ts'

export const fateLabels: Record<KeyFate, string> = {
  revoke: 'Revoke',
  lower: 'Lower its role',
  keep: 'Keep as the tenant’s',
  transfer: 'Transfer',
}

export const leavingFates = ['revoke', 'keep', 'transfer'] as const
export const loweringFates = ['lower', 'revoke', 'keep', 'transfer'] as const

export const offBoardingLabels = { transferTo: 'Transfer to', reason: 'Reason', keys: 'Keys', choices: 'Keys', digest: 'Keys' }

export interface OffBoardingValues {
  /** By the key's id. */
  fates: Record<string, KeyFate>
  transferTo: string
  reason: string
}

const prefix = 'fate.'

/** @param fates the first is what a form that names none means. */
export function offBoardingOf(form: FormData, fates: readonly [KeyFate, ...KeyFate[]]) {
  const named = [...form.keys()].filter((name) => name.startsWith(prefix))
  const values: OffBoardingValues = {
    fates: Object.fromEntries(named.map((name) => [name.slice(prefix.length), oneOf(textOf(form, name), fates)])),
    transferTo: textOf(form, 'transferTo'),
    // A field of several lines; the log keeps one.
    reason: textOf(form, 'reason').replaceAll(/\s+/g, ' '),
  }
  const choices = Object.entries(values.fates).map(([id, fate]) => ({ id, fate }))
  const transferTo = choices.some(({ fate }) => fate === 'transfer') && values.transferTo ? values.transferTo : undefined
  return { values, input: { choices, transferTo, digest: textOf(form, 'digest'), reason: values.reason } }
}

export const fateField = (keyId: string) => `${prefix}${keyId}`
