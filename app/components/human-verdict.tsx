import type { Problem } from '../context.ts'
import type { Result } from '../lib/api-types.ts'
import { errorOf } from '../lib/form-fields.ts'
import { verdicts } from '../lib/wording.ts'
import { ErrorSummary } from './error-summary.tsx'
import { FieldError, FormField } from './form-field.tsx'
import { LocalTime } from './local-time.tsx'
import { PostForm, SubmitButton } from './post-form.tsx'
import { VerdictBadge } from './run-status.tsx'
import { Card, CardTitle } from './ui/card.tsx'
import { Textarea } from './ui/textarea.tsx'

interface HumanVerdictProps {
  human: Result['human']
  mayJudge: boolean
  problem: Problem | undefined
}

/** What a person thinks of it, beside what the judge thinks. */
export function HumanVerdict({ human, mayJudge, problem }: HumanVerdictProps) {
  if (!human && !mayJudge) return null
  return (
    <Card>
      <CardTitle>Human verdict</CardTitle>
      {human && (
        <div className="grid gap-1 text-sm">
          <VerdictBadge verdict={human.verdict} />
          {human.note && <p className="wrap-anywhere whitespace-pre-wrap">{human.note}</p>}
          <p className="text-xs text-muted-foreground">
            {human.byName}, <LocalTime instant={human.at} />
          </p>
        </div>
      )}
      {mayJudge &&
        (human ? (
          <details className="text-sm">
            <summary className="rounded-sm text-muted-foreground hover:text-foreground">Change it</summary>
            <div className="mt-4">
              <JudgeForm human={human} problem={problem} />
            </div>
          </details>
        ) : (
          <JudgeForm human={human} problem={problem} />
        ))}
    </Card>
  )
}

function JudgeForm({ human, problem }: Pick<HumanVerdictProps, 'human' | 'problem'>) {
  const error = errorOf(problem, 'verdict')
  return (
    <PostForm className="grid gap-4">
      <ErrorSummary problem={problem} labels={{ verdict: 'Verdict', note: 'Note' }} />
      <fieldset id="verdict" tabIndex={-1} className="flex gap-5 text-sm outline-none">
        <legend className="sr-only">Verdict</legend>
        <FieldError id="verdict-error" error={error} />
        {(['pass', 'fail'] as const).map((verdict) => (
          <label key={verdict} className="flex items-center gap-2">
            <input
              type="radio"
              name="verdict"
              value={verdict}
              required
              defaultChecked={human?.verdict === verdict}
              className="size-4 accent-primary"
            />
            {verdicts[verdict]}
          </label>
        ))}
      </fieldset>
      <FormField
        label="Note (optional)"
        name="note"
        error={errorOf(problem, 'note')}
        control={(props) => <Textarea {...props} rows={2} maxLength={2000} defaultValue={human?.note ?? ''} />}
      />
      <div className="flex flex-wrap gap-2">
        <SubmitButton name="intent" value="judge" pending="Saving…" variant="outline" size="sm">
          Save verdict
        </SubmitButton>
        {human && (
          <SubmitButton name="intent" value="take-back" formNoValidate pending="Taking it back…" variant="ghost" size="sm">
            Take it back
          </SubmitButton>
        )}
      </div>
    </PostForm>
  )
}
