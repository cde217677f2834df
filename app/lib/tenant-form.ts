// A tenant as its form sends it and as the API takes it.
import type { Tenant, TenantUsage } from './api-types.ts'
import { numberOrNull, textsOf } from './form-fields.ts'

/** The quotas, in the order of the pages. */
const quotaLabels = {
  maxUsers: 'Active users',
  maxApiKeys: 'Active API keys',
  maxAgents: 'Agents',
  maxTestSuites: 'Test suites',
  maxRunsPerMonth: 'Runs a month',
}
type Quota = keyof typeof quotaLabels
export const quotas = Object.keys(quotaLabels) as Quota[] // it has no others

export const tenantLabels = { name: 'Name', ...quotaLabels }
export type TenantField = keyof typeof tenantLabels
type TenantValues = Record<TenantField, string>

export const newTenant: TenantValues = {
  name: '',
  maxUsers: '',
  maxApiKeys: '',
  maxAgents: '',
  maxTestSuites: '',
  maxRunsPerMonth: '',
}

export function valuesOfTenant(tenant: Tenant): TenantValues {
  const ofQuotas = Object.fromEntries(quotas.map((quota) => [quota, String(tenant[quota] ?? '')])) as Record<Quota, string>
  return { name: tenant.name, ...ofQuotas }
}

export function readTenantForm(form: FormData) {
  const values = textsOf(form, tenantLabels)
  const limits = Object.fromEntries(quotas.map((quota) => [quota, numberOrNull(values[quota])])) as Record<Quota, number | null>
  return { values, input: { name: values.name, ...limits } }
}

/** The quotas that are set, in one line. */
export function quotasInWords(tenant: Tenant): string {
  const set = quotas.filter((quota) => tenant[quota] !== null)
  return set.map((quota) => `${quotaLabels[quota]} ${tenant[quota]?.toLocaleString('en')}`).join(' · ') || 'None'
}

/** `7 of 10 used`. */
export function usageInWords(tenant: TenantUsage, quota: Quota): string {
  const most = tenant[quota]
  const used = tenant.used[quota].toLocaleString('en')
  if (most === null) return `${used} now.`
  return `${used} of ${most.toLocaleString('en')} used${tenant.used[quota] >= most ? ': nothing more can be made.' : '.'}`
}
