import { Link } from 'react-router'
import type { Problem } from '../context.ts'
import type { AffectedKeys, KeyFate, User } from '../lib/api-types.ts'
import { errorOf } from '../lib/form-fields.ts'
import { fateField, fateLabels, type OffBoardingValues } from '../lib/off-boarding-form.ts'
import { FieldError, FormField } from './form-field.tsx'
import { LocalTime } from './local-time.tsx'
import { ReasonField } from './reason-field.tsx'
import { NativeSelect } from './ui/native-select.tsx'

interface KeyFatesProps {
  affected: AffectedKeys
  /** The first is chosen beforehand. */
  options: readonly [KeyFate, ...KeyFate[]]
  /** Who keys can be transferred to. */
  heirs: User[]
  values: OffBoardingValues | undefined
  problem: Problem | undefined
}

/** Each key that somebody's leaving ends, and what becomes of it. */
export function KeyFates({ affected: { digest, keys }, options, heirs, values, problem }: KeyFatesProps) {
  const offered = heirs.length > 0 ? options : options.filter((fate) => fate !== 'transfer')
  return (
    <>
      <input type="hidden" name="digest" value={digest} />
      {keys.length > 0 && (
        <fieldset id="choices" tabIndex={-1} className="grid gap-2 outline-none">
          <legend className="mb-1.5 text-sm font-medium">
            {keys.length === 1 ? 'One API key is theirs' : `${keys.length} API keys are theirs`}
          </legend>
          <FieldError id="choices-error" error={errorOf(problem, 'choices') ?? errorOf(problem, 'keys')} />
          <ul className="max-h-96 divide-y overflow-y-auto rounded-md border text-sm">
            {keys.map(({ id, name, prefix, role, lastUsedAt }) => (
              <li key={id} className="flex flex-wrap items-center gap-x-4 gap-y-2 px-3 py-2">
                <div className="min-w-0 flex-1 basis-56">
                  <Link to={`/api-keys/${id}`} className="font-medium wrap-anywhere hover:underline">
                    {name}
                  </Link>
                  <div className="text-xs text-muted-foreground">
                    <span className="font-mono">{prefix}…</span> · {role} ·{' '}
                    {lastUsedAt ? (
                      <>
                        used <LocalTime instant={lastUsedAt} />
                      </>
                    ) : (
                      'never used'
                    )}
                  </div>
                </div>
                <div className="w-full sm:w-48">
                  <NativeSelect
                    name={fateField(id)}
                    aria-label={`What becomes of ${name}`}
                    defaultValue={values?.fates[id] ?? options[0]}
                  >
                    {offered.map((fate) => (
                      <option key={fate} value={fate}>
                        {fateLabels[fate]}
                      </option>
                    ))}
                  </NativeSelect>
                </div>
              </li>
            ))}
          </ul>
        </fieldset>
      )}
      {keys.length > 0 && heirs.length > 0 && (
        <FormField
          label="Transfer to"
          name="transferTo"
          hint="For the keys that are transferred."
          error={errorOf(problem, 'transferTo')}
          control={(props) => (
            <NativeSelect {...props} defaultValue={values?.transferTo ?? ''}>
              <option value="">Nobody</option>
              {heirs.map(({ id, name, email }) => (
                <option key={id} value={id}>
                  {name} ({email})
                </option>
              ))}
            </NativeSelect>
          )}
        />
      )}
      <ReasonField problem={problem} reason={values?.reason} />
    </>
  )
}
