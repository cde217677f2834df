// A trust rule as a form sends it and as the API takes it; and what each CI provider calls things.
import type { Problem } from '../context.ts'
import type { TrustRule } from './api-types.ts'
import { type Fields, foldErrors, numberOf, textOf } from './form-fields.ts'
import { joinListErrors, type LimitValues, limitLabels, limitsOf, limitValuesOf, valuesOfLimits } from './limits-form.ts'

export const providers = {
  github: {
    label: 'GitHub Actions',
    issuer: 'https://token.actions.githubusercontent.com',
    conditions: [
      { claim: 'repository', value: '', hint: 'acme/app' },
      { claim: 'ref', value: 'refs/heads/main', hint: 'refs/heads/main' },
      { claim: 'environment', value: '', hint: 'production' },
    ],
  },
  gitlab: {
    label: 'GitLab',
    issuer: 'https://gitlab.com',
    conditions: [
      { claim: 'project_path', value: '', hint: 'acme/app' },
      { claim: 'ref', value: 'main', hint: 'main' },
      { claim: 'environment', value: '', hint: 'production' },
    ],
  },
  other: { label: 'Another provider', issuer: '', conditions: [{ claim: 'sub', value: '', hint: 'as in its tokens' }] },
} as const satisfies Record<string, { label: string; issuer: string; conditions: Condition[] }>

export type Provider = keyof typeof providers

export interface Condition {
  claim: string
  value: string
  hint?: string
}

export interface TrustRuleValues {
  name: string
  issuer: string
  audience: string
  conditions: Condition[]
  role: string
  lifetimeMinutes: string
  limits: LimitValues
  /** A new rule is; the form of one that is there asks. */
  isActive: boolean
}

export const trustRuleLabels = {
  name: 'Name',
  issuer: 'Issuer',
  audience: 'Audience',
  conditions: 'Conditions',
  role: 'Role',
  lifetimeMinutes: 'Minutes that a key lives',
  ...limitLabels,
}

/** @param origin of this deployment: the best audience, since no other one takes a token that is meant for it. */
export function newTrustRule(provider: Provider, origin: string): TrustRuleValues {
  const { issuer, conditions } = providers[provider]
  return {
    ...{ name: '', issuer, audience: origin, conditions: [...conditions], role: 'Tester', lifetimeMinutes: '15' },
    limits: { allowedIps: '', requestsPerMinute: '', scopeChoice: '', scopes: [] },
    isActive: true,
  }
}

export function valuesOfRule(rule: TrustRule): TrustRuleValues {
  const { name, issuer, audience, role, isActive } = rule
  const lifetimeMinutes = String(rule.lifetimeMinutes)
  const conditions = Object.entries(rule.conditions).flatMap(([claim, values]) => values.map((value) => ({ claim, value })))
  return { name, issuer, audience, conditions, role, lifetimeMinutes, limits: valuesOfLimits(rule), isActive }
}

/** A row without a value is none: the form offers more than anybody needs. */
export function readTrustRuleForm<Role extends string>(form: Fields, roles: readonly Role[]) {
  const values = form.getAll('value').map(String)
  const rows = form.getAll('claim').map((claim, i) => ({ claim: String(claim).trim(), value: values[i]?.trim() ?? '' }))
  const texts = {
    name: textOf(form, 'name'),
    issuer: textOf(form, 'issuer').trim(),
    audience: textOf(form, 'audience').trim(),
    role: textOf(form, 'role'),
    lifetimeMinutes: textOf(form, 'lifetimeMinutes'),
  }
  const limits = limitValuesOf(form)
  const conditions: Record<string, string[]> = {}
  for (const { claim, value } of rows) if (value !== '') conditions[claim] = [...(conditions[claim] ?? []), value]
  const { name, issuer, audience } = texts
  return {
    values: { ...texts, conditions: rows, limits, isActive: textOf(form, 'isActive') === 'yes' } satisfies TrustRuleValues,
    role: roles.find((role) => role === texts.role),
    input: { name, issuer, audience, conditions, lifetimeMinutes: numberOf(texts.lifetimeMinutes), ...limitsOf(limits) },
  }
}

/** What an address brings back of a form, from a fresh sign-in. */
export function returnedTrustRule({ searchParams }: URL): TrustRuleValues | undefined {
  return searchParams.has('name') ? readTrustRuleForm(searchParams, []).values : undefined
}

export function trustRuleProblem(problem: Problem, limits: LimitValues): Problem {
  return foldErrors(joinListErrors(problem, limitsOf(limits)), trustRuleLabels)
}
