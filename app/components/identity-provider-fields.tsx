import type { Problem } from '../context.ts'
import { errorOf } from '../lib/form-fields.ts'
import {
  emptyMapping,
  labelsOfMapping,
  type MappingValues,
  maxMappings,
  type ProviderField,
  type ProviderValues,
  providerLabels,
} from '../lib/identity-provider-form.ts'
import { CheckField } from './check-field.tsx'
import { CodeBlock } from './code-block.tsx'
import { FieldError } from './form-field.tsx'
import { MoreRows } from './more-rows.tsx'
import { AreaField, type FormState, SelectField, TextField } from './text-field.tsx'

interface IdentityProviderFieldsProps {
  values: ProviderValues
  problem: Problem | undefined
  tenants: { id: string; name: string }[]
  /** Whether it is there already: its issuer stays, and its secret may. */
  isKept: boolean
  /** Where the provider sends people back to. */
  redirectUri: string
}

export function IdentityProviderFields({ values, problem, tenants, isKept, redirectUri }: IdentityProviderFieldsProps) {
  const form = { labels: providerLabels, values: values.texts, problem }
  return (
    <div className="grid gap-6">
      <TextField form={form} name="name" required maxLength={60} hint="As it stands on the button: “Sign in with …”." />
      <CodeBlock label="Redirect address, to enter at the provider" code={redirectUri} />
      <ClientFields form={form} isKept={isKept} />
      <ClaimFields form={form} />
      <Mappings mappings={values.mappings} tenants={tenants} problem={problem} />
      <CheckField name="isActive" defaultChecked={values.texts.isActive === 'yes'} className="border-t pt-5">
        Active: the button stands on the sign-in page
      </CheckField>
    </div>
  )
}

function ClientFields({ form, isKept }: { form: FormState<ProviderField>; isKept: boolean }) {
  return (
    <fieldset className="grid gap-5 border-t pt-5">
      <legend className="sr-only">Client</legend>
      <TextField
        form={form}
        name="issuer"
        type="url"
        required
        readOnly={isKept}
        maxLength={500}
        spellCheck={false}
        hint={
          isKept
            ? 'It stays: another issuer is another provider.'
            : 'Such as https://login.microsoftonline.com/<tenant id>/v2.0 or https://keycloak.example.com/realms/<realm>.'
        }
      />
      <div className="grid items-start gap-5 sm:grid-cols-2">
        <TextField form={form} name="clientId" required maxLength={200} spellCheck={false} />
        <TextField
          form={form}
          name="clientSecret"
          type="password"
          required={!isKept}
          maxLength={500}
          autoComplete="new-password"
          hint={isKept ? 'One is kept. Leave this empty to keep it.' : 'Stored encrypted, and never shown again.'}
        />
      </div>
      <TextField form={form} name="scopes" required spellCheck={false} hint="Separated by spaces." />
    </fieldset>
  )
}

function ClaimFields({ form }: { form: FormState<ProviderField> }) {
  return (
    <fieldset className="grid gap-5 border-t pt-5">
      <legend className="sr-only">Claims</legend>
      <div className="grid items-start gap-5 sm:grid-cols-2">
        <TextField
          form={form}
          name="tenantClaim"
          required
          maxLength={200}
          spellCheck={false}
          hint="tid of Entra ID; email_domain for the domain of the verified address."
        />
        <TextField
          form={form}
          name="roleClaim"
          isOptional
          maxLength={200}
          spellCheck={false}
          hint="roles, groups, or realm_access.roles of Keycloak."
        />
      </div>
      <CheckField name="isEmailTrusted" defaultChecked={form.values.isEmailTrusted === 'yes'}>
        Take its addresses for verified when it does not say so. Only where its admins alone give them out.
      </CheckField>
    </fieldset>
  )
}

interface MappingsProps {
  mappings: MappingValues[]
  tenants: { id: string; name: string }[]
  problem: Problem | undefined
}

function Mappings({ mappings, tenants, problem }: MappingsProps) {
  return (
    <fieldset id="mappings" tabIndex={-1} className="grid gap-4 border-t pt-5 outline-none">
      <legend className="sr-only">Mappings</legend>
      <h2 className="text-sm font-medium">Whom it lets in</h2>
      <p className="-mt-3 text-sm text-muted-foreground">
        Who fits none of these is refused. Roles follow the provider at each sign-in. Empty ones are left out.
      </p>
      <FieldError id="mappings-error" error={errorOf(problem, 'mappings')} />
      <MoreRows
        filled={mappings.length}
        max={maxMappings}
        add="Add a mapping"
        row={(index) => <Mapping index={index} values={mappings[index] ?? emptyMapping} tenants={tenants} problem={problem} />}
      />
    </fieldset>
  )
}

function Mapping({
  index,
  values,
  tenants,
  problem,
}: Omit<MappingsProps, 'mappings'> & { index: number; values: MappingValues }) {
  const at = (field: keyof MappingValues) => `mappings.${index}.${field}`
  const form = {
    labels: labelsOfMapping(index),
    values: Object.fromEntries(Object.entries(values).map(([field, text]) => [`mappings.${index}.${field}`, text])),
    problem,
  }
  // A tenant that was deactivated meanwhile stays chosen until somebody chooses another one.
  const isListed = values.tenantId === '' || tenants.some(({ id }) => id === values.tenantId)
  const options = [...(isListed ? [] : [{ id: values.tenantId, name: 'A deactivated tenant' }]), ...tenants]
  return (
    <fieldset className="grid gap-4 rounded-md border bg-card p-4">
      <legend className="sr-only">Mapping {index + 1}</legend>
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField form={form} name={at('claimValue')} maxLength={200} spellCheck={false} />
        <SelectField form={form} name={at('tenantId')} options={options.map(({ id, name }) => ({ value: id, label: name }))} />
      </div>
      <AreaField
        form={form}
        name={at('roles')}
        rows={3}
        spellCheck={false}
        hint="A line each: the value of a role or group = Viewer, Tester, TenantAdmin or SuperAdmin."
      />
      <SelectField
        form={form}
        name={at('defaultRole')}
        fieldClass="grid max-w-60 gap-1.5"
        options={[
          { value: '', label: 'Is refused' },
          ...['Viewer', 'Tester', 'TenantAdmin'].map((role) => ({ value: role, label: `Becomes ${role}` })),
        ]}
      />
    </fieldset>
  )
}
