// An identity provider as its form sends it and as the API takes it.
import type { Api } from '#server/pages.ts'
import type { Problem } from '../context.ts'
import type { IdentityProvider } from './api-types.ts'
import { foldErrors, oneOf, textOf, textsOf } from './form-fields.ts'

export const maxMappings = 200

export const providerLabels = {
  name: 'Name',
  issuer: 'Issuer',
  clientId: 'Client ID',
  clientSecret: 'Client secret',
  scopes: 'Scopes',
  tenantClaim: 'Claim of the tenant',
  roleClaim: 'Claim of roles or groups',
  isEmailTrusted: 'Trusted addresses',
  isActive: 'Active',
}
export type ProviderField = keyof typeof providerLabels

const mappingLabels = {
  claimValue: 'Value of the tenant’s claim',
  tenantId: 'Tenant',
  defaultRole: 'Whom no line fits',
  roles: 'Roles',
}
type MappingField = keyof typeof mappingLabels
export type MappingValues = Record<MappingField, string>

/** The labels of one mapping's fields by their names. */
export function labelsOfMapping(index: number): Record<string, string> {
  return Object.fromEntries(Object.entries(mappingLabels).map(([field, label]) => [`mappings.${index}.${field}`, label]))
}

/** Of the form's fields by their ids, for `count` mappings. */
export function providerFieldLabels(count: number): Record<string, string> {
  const ofMappings = Array.from({ length: count }, (_, i) =>
    Object.entries(labelsOfMapping(i)).map(([field, label]) => [field, `Mapping ${i + 1}, ${label.toLowerCase()}`]),
  )
  return { ...providerLabels, mappings: 'Mappings', ...Object.fromEntries(ofMappings.flat()) }
}

export interface ProviderValues {
  texts: Record<ProviderField, string>
  /** Without the empty ones, in the order of the form. */
  mappings: MappingValues[]
}

export const emptyMapping: MappingValues = { claimValue: '', tenantId: '', defaultRole: '', roles: '' }

export const newProvider: ProviderValues = {
  texts: {
    name: '',
    issuer: '',
    clientId: '',
    clientSecret: '',
    scopes: 'openid profile email',
    tenantClaim: 'tid',
    roleClaim: 'roles',
    isEmailTrusted: '',
    isActive: 'yes',
  },
  mappings: [],
}

export function valuesOfProvider(provider: IdentityProvider): ProviderValues {
  const { name, issuer, clientId, scopes, tenantClaim, roleClaim, isEmailTrusted, isActive, mappings } = provider
  return {
    texts: {
      ...{ name, issuer, clientId, clientSecret: '', scopes: scopes.join(' '), tenantClaim, roleClaim: roleClaim ?? '' },
      isEmailTrusted: isEmailTrusted ? 'yes' : '',
      isActive: isActive ? 'yes' : '',
    },
    mappings: mappings.map(({ claimValue, tenantId, defaultRole, roles }) => ({
      claimValue,
      tenantId,
      defaultRole: defaultRole ?? '',
      roles: roles.map((rule) => `${rule.claimValue} = ${rule.role}`).join('\n'),
    })),
  }
}

type ProviderInput = Omit<Parameters<Api['identityProviders']['update']>[0], 'id'>

export function readProviderForm(form: FormData): { values: ProviderValues; input: ProviderInput } {
  const texts = textsOf(form, providerLabels)
  const fields = Object.keys(mappingLabels) as MappingField[] // labels has no others
  const mappings = Array.from({ length: maxMappings }, (_, i) => {
    const text = (field: MappingField) => textOf(form, `mappings.${i}.${field}`).trim()
    return Object.fromEntries(fields.map((field) => [field, text(field)])) as MappingValues // of these fields
  }).filter(({ claimValue, roles }) => claimValue !== '' || roles !== '')
  const { name, clientId, clientSecret, scopes, tenantClaim, roleClaim, isEmailTrusted, isActive } = texts
  const input: ProviderInput = {
    name,
    clientId,
    ...(clientSecret === '' ? {} : { clientSecret }),
    scopes: scopes.split(/\s+/).filter(Boolean),
    tenantClaim,
    roleClaim: roleClaim.trim() || null,
    isEmailTrusted: isEmailTrusted === 'yes',
    isActive: isActive === 'yes',
    mappings: mappings.map(({ claimValue, tenantId, defaultRole, roles }) => ({
      claimValue,
      tenantId,
      defaultRole: oneOf(defaultRole, ['', 'Viewer', 'Tester', 'TenantAdmin']) || null,
      roles: rulesOf(roles),
    })),
  }
  return { values: { texts: { ...texts, clientSecret: '' }, mappings }, input }
}

type Rules = NonNullable<NonNullable<ProviderInput['mappings']>[number]['roles']>

/** A line each, `value = Role`; a value may hold = itself. What is no role stays one that the API refuses. */
function rulesOf(text: string): Rules {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return lines.map((line) => {
    const at = line.lastIndexOf('=')
    const [claimValue, role] = at < 0 ? [line.trim(), ''] : [line.slice(0, at).trim(), line.slice(at + 1).trim()]
    return { claimValue, role: role as Rules[number]['role'] } // refused by the API when it is none
  })
}

/** Told at the fields of the form. */
export function providerProblem(problem: Problem, { mappings }: ProviderValues): Problem {
  return foldErrors(problem, providerFieldLabels(mappings.length))
}
