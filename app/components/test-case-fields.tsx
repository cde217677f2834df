import type { Problem } from '../context.ts'
import { errorOf } from '../lib/form-fields.ts'
import { type CaseValues, caseLabels, maxTurns, turnId } from '../lib/test-case-form.ts'
import { CheckField } from './check-field.tsx'
import { FormField } from './form-field.tsx'
import { MoreRows } from './more-rows.tsx'
import { AreaField, TextField } from './text-field.tsx'
import { Textarea } from './ui/textarea.tsx'

interface TestCaseFieldsProps {
  values: CaseValues
  problem: Problem | undefined
}

export function TestCaseFields({ values, problem }: TestCaseFieldsProps) {
  const form = { labels: caseLabels, values: values.texts, problem }
  return (
    <>
      <TextField form={form} name="name" required maxLength={100} />
      <fieldset className="grid gap-4">
        <legend className="mb-3 text-sm font-medium">What the user says</legend>
        <MoreRows
          filled={values.turns.length}
          max={maxTurns}
          add="Add a turn"
          row={(index) => <Turn index={index} value={values.turns[index] ?? ''} error={errorOf(problem, turnId(index))} />}
        />
      </fieldset>
      <AreaField
        form={form}
        name="acceptanceCriteria"
        isOptional
        maxLength={8000}
        hint="What a good answer does, in words that a judge can go by."
      />
      <details className="group/more" open={hasMore(values)}>
        <summary className="rounded-sm text-sm font-medium hover:text-primary">More for the judge</summary>
        <div className="mt-4 grid gap-5">
          <AreaField form={form} name="referenceAnswer" isOptional maxLength={8000} />
          <div className="grid items-start gap-5 sm:grid-cols-2">
            <TextField form={form} name="expectedIntent" isOptional maxLength={200} />
            <TextField form={form} name="expectedEntities" isOptional hint="Separated by commas." />
          </div>
          <AreaField form={form} name="description" isOptional maxLength={2000} hint="For people." />
        </div>
      </details>
      <TextField form={form} name="tags" isOptional hint="Separated by commas. A run shows its pass rate by tag." />
      <CheckField name="isActive" defaultChecked={values.texts.isActive === 'yes'}>
        Active: it is in each run
      </CheckField>
    </>
  )
}

const hasMore = ({ texts }: CaseValues) =>
  Boolean(texts.referenceAnswer || texts.expectedIntent || texts.expectedEntities || texts.description)

function Turn({ index, value, error }: { index: number; value: string; error: string | undefined }) {
  return (
    <FormField
      label={`Turn ${index + 1}`}
      name={turnId(index)}
      hint={index === 0 ? undefined : 'Sent after the reply to the turn before. Empty: left out.'}
      error={error}
      control={(props) => (
        <Textarea {...props} name="userInput" rows={2} maxLength={8000} required={index === 0} defaultValue={value} />
      )}
    />
  )
}
