import type { Problem } from '../context.ts'
import { errorOf } from '../lib/form-fields.ts'
import { type LimitValues, limitLabels } from '../lib/limits-form.ts'
import { FieldError, FormField } from './form-field.tsx'
import { Input } from './ui/input.tsx'
import { Textarea } from './ui/textarea.tsx'

interface KeyLimitFieldsProps {
  /** Every scope that there is. */
  scopes: string[]
  values: LimitValues | undefined
  problem: Problem | undefined
}

export function KeyLimitFields({ scopes, values, problem }: KeyLimitFieldsProps) {
  return (
    <>
      <FormField
        label={limitLabels.allowedIps}
        name="allowedIps"
        hint="Addresses or networks such as 203.0.113.0/24, one a line. Empty: from anywhere."
        error={errorOf(problem, 'allowedIps')}
        control={(props) => (
          <Textarea {...props} rows={2} spellCheck={false} className="font-mono" defaultValue={values?.allowedIps ?? ''} />
        )}
      />
      <FormField
        label={limitLabels.requestsPerMinute}
        name="requestsPerMinute"
        hint="On all nodes together. Empty: no limit."
        error={errorOf(problem, 'requestsPerMinute')}
        control={(props) => (
          <Input
            {...props}
            type="number"
            min={1}
            max={100_000}
            step={1}
            className="max-w-40"
            defaultValue={values?.requestsPerMinute ?? ''}
          />
        )}
      />
      <ScopeFields scopes={scopes} values={values} error={errorOf(problem, 'scopes')} />
    </>
  )
}

interface ScopeFieldsProps {
  scopes: string[]
  values: LimitValues | undefined
  error: string | undefined
}

/** The list shows by CSS alone, so it does without JavaScript too. */
function ScopeFields({ scopes, values, error }: ScopeFieldsProps) {
  const errorId = error ? 'scopes-error' : ''
  const isNarrowed = values?.scopeChoice === 'only'
  return (
    <fieldset id="scopes" tabIndex={-1} aria-describedby={errorId || undefined} className="group grid gap-2 text-sm outline-none">
      <legend className="mb-1.5 font-medium">{limitLabels.scopes}</legend>
      <FieldError id={errorId} error={error} />
      <label className="flex items-center gap-2.5">
        <input type="radio" name="scopeChoice" value="" defaultChecked={!isNarrowed} className="size-4 accent-primary" />
        All that its role allows
      </label>
      <label className="flex items-center gap-2.5">
        <input type="radio" name="scopeChoice" value="only" defaultChecked={isNarrowed} className="size-4 accent-primary" />
        Only these
      </label>
      <div className="hidden grid-cols-2 gap-2 pl-6.5 group-has-[input[value=only]:checked]:grid sm:grid-cols-3">
        {scopes.map((scope) => (
          <label key={scope} className="flex items-center gap-2.5">
            <input
              type="checkbox"
              name="scopes"
              value={scope}
              defaultChecked={values?.scopes.includes(scope)}
              className="size-4 accent-primary"
            />
            <span className="font-mono text-[0.8125rem]">{scope}</span>
          </label>
        ))}
      </div>
    </fieldset>
  )
}
