import type { TenantUsage } from '../lib/api-types.ts'
import { quotas, type TenantField, tenantLabels, usageInWords } from '../lib/tenant-form.ts'
import { ErrorSummary } from './error-summary.tsx'
import { FormActions } from './form-actions.tsx'
import { PostForm } from './post-form.tsx'
import { type FormState, TextField } from './text-field.tsx'

interface TenantFormProps {
  form: FormState<TenantField>
  /** Of one that there is: how much it uses stands beside each quota. */
  tenant?: TenantUsage
  submit: string
  pending: string
  cancelTo: string
}

export function TenantForm({ form, tenant, ...actions }: TenantFormProps) {
  return (
    <PostForm className="grid gap-5">
      <ErrorSummary problem={form.problem} labels={tenantLabels} />
      <TextField form={form} name="name" required maxLength={100} autoComplete="organization" />
      <fieldset className="grid gap-5">
        <legend className="mb-1 text-sm font-medium">Quotas</legend>
        <p className="text-sm text-muted-foreground">At most so many. Leave a field empty for any number.</p>
        <div className="grid gap-5 sm:grid-cols-2">
          {quotas.map((quota) => (
            <TextField
              key={quota}
              form={form}
              name={quota}
              type="number"
              inputMode="numeric"
              min={0}
              max={1_000_000_000}
              step={1}
              hint={tenant && usageInWords(tenant, quota)}
            />
          ))}
        </div>
      </fieldset>
      <FormActions {...actions} />
    </PostForm>
  )
}
