import { ChevronRightIcon } from 'lucide-react'
import type { Problem } from '../context.ts'
import { errorOf } from '../lib/form-fields.ts'
import { limitLabels } from '../lib/limits-form.ts'
import { type Condition, type TrustRuleValues, trustRuleLabels } from '../lib/trust-rule-form.ts'
import { FieldError, FormField } from './form-field.tsx'
import { KeyLimitFields } from './key-limit-fields.tsx'
import { RoleCards } from './role-cards.tsx'
import { Input } from './ui/input.tsx'

interface TrustRuleFieldsProps {
  values: TrustRuleValues
  problem: Problem | undefined
  /** Those that the user may grant, least first. */
  roles: { role: string; permits: string }[]
  scopes: string[]
}

/** The fields that a new rule and an existing one share. */
export function TrustRuleFields({ values, problem, roles, scopes }: TrustRuleFieldsProps) {
  return (
    <>
      <Text name="name" hint="What the pipeline does, e.g. nightly tests." maxLength={100} {...{ values, problem }} />
      <Text name="issuer" hint="Exactly as iss in the tokens." maxLength={500} {...{ values, problem }} />
      <Text
        name="audience"
        hint="Exactly as aud in the tokens: the pipeline asks for it."
        maxLength={500}
        {...{ values, problem }}
      />
      <ConditionFields conditions={values.conditions} error={errorOf(problem, 'conditions')} />
      <RoleCards roles={roles} chosen={values.role} error={errorOf(problem, 'role')} />
      <Limits {...{ values, problem, scopes }} />
    </>
  )
}

interface TextProps extends Pick<TrustRuleFieldsProps, 'values' | 'problem'> {
  name: 'name' | 'issuer' | 'audience'
  hint: string
  maxLength: number
}

function Text({ name, hint, maxLength, values, problem }: TextProps) {
  return (
    <FormField
      label={trustRuleLabels[name]}
      name={name}
      hint={hint}
      error={errorOf(problem, name)}
      control={(props) => (
        <Input {...props} required maxLength={maxLength} autoComplete="off" spellCheck={false} defaultValue={values[name]} />
      )}
    />
  )
}

const spareRows = 2

/** Always with empty rows to spare, so that it does without JavaScript too. */
function ConditionFields({ conditions, error }: { conditions: Condition[]; error: string | undefined }) {
  const spare: Condition[] = Array.from({ length: spareRows }, () => ({ claim: '', value: '' }))
  const filled = conditions.filter(({ claim, value }) => claim !== '' || value !== '')
  return (
    <fieldset
      id="conditions"
      tabIndex={-1}
      className="grid gap-2 outline-none"
      aria-describedby={error ? 'conditions-error conditions-hint' : 'conditions-hint'}
    >
      <legend className="mb-1.5 text-sm font-medium">{trustRuleLabels.conditions}</legend>
      <FieldError id="conditions-error" error={error} />
      <p id="conditions-hint" className="text-sm text-muted-foreground">
        The token must have one of the values of every claim named here. * stands for any text; a row without a value does not
        count; a claim that stands twice may have either value.
      </p>
      {[...filled, ...spare].map(({ claim, value, hint }, i) => (
        // Rows have no names of their own, and are never moved.
        // biome-ignore lint/suspicious/noArrayIndexKey: see above
        <div key={i} className="grid grid-cols-[minmax(0,2fr)_minmax(0,3fr)] gap-2">
          <Input
            name="claim"
            aria-label={`Claim ${i + 1}`}
            maxLength={100}
            autoComplete="off"
            spellCheck={false}
            placeholder="claim"
            className="font-mono"
            defaultValue={claim}
          />
          <Input
            name="value"
            aria-label={`Value of claim ${i + 1}${claim === '' ? '' : `, ${claim}`}`}
            maxLength={500}
            autoComplete="off"
            spellCheck={false}
            placeholder={hint ?? 'value'}
            className="font-mono"
            defaultValue={value}
          />
        </div>
      ))}
    </fieldset>
  )
}

/** Closed until somebody wants it, or something in it is wrong. */
function Limits({ values, problem, scopes }: Pick<TrustRuleFieldsProps, 'values' | 'problem' | 'scopes'>) {
  const isOpen = ['lifetimeMinutes', ...Object.keys(limitLabels)].some((field) => errorOf(problem, field))
  return (
    <details open={isOpen} className="group/limits">
      <summary className="flex w-fit cursor-pointer list-none items-center gap-1.5 rounded-sm text-sm font-medium hover:text-primary [&::-webkit-details-marker]:hidden">
        <ChevronRightIcon aria-hidden="true" className="size-4 group-open/limits:rotate-90" />
        Limits (optional)
      </summary>
      <div className="mt-4 grid gap-5">
        <FormField
          label={trustRuleLabels.lifetimeMinutes}
          name="lifetimeMinutes"
          error={errorOf(problem, 'lifetimeMinutes')}
          control={(props) => (
            <Input
              {...props}
              type="number"
              min={1}
              max={15}
              step={1}
              className="max-w-40"
              defaultValue={values.lifetimeMinutes}
            />
          )}
        />
        <KeyLimitFields scopes={scopes} values={values.limits} problem={problem} />
      </div>
    </details>
  )
}
