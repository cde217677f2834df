import { Link } from 'react-router'
import type { JudgeSetting } from '../lib/api-types.ts'
import { type SuiteField, suiteLabels } from '../lib/test-suite-form.ts'
import { ErrorSummary } from './error-summary.tsx'
import { FormActions } from './form-actions.tsx'
import { PostForm } from './post-form.tsx'
import { AreaField, type FormState, SelectField, TextField } from './text-field.tsx'

interface TestSuiteFormProps {
  form: FormState<SuiteField>
  judges: Pick<JudgeSetting, 'id' | 'name'>[]
  submit: string
  pending: string
  cancelTo: string
}

export function TestSuiteForm({ form, judges, ...actions }: TestSuiteFormProps) {
  return (
    <PostForm className="grid gap-5">
      <ErrorSummary problem={form.problem} labels={suiteLabels} />
      <TextField form={form} name="name" required maxLength={100} />
      <AreaField form={form} name="description" isOptional maxLength={2000} />
      <TextField form={form} name="tags" isOptional hint="Separated by commas." />
      <div className="grid gap-5 sm:grid-cols-2">
        <TextField form={form} name="passThreshold" type="number" required min={0} max={100} step="any" />
        <TextField form={form} name="delayBetweenTestsMs" type="number" required min={0} max={60_000} step={1} />
      </div>
      <SelectField
        form={form}
        name="judgeSettingId"
        options={[
          { value: '', label: 'The agent’s judge, or the default' },
          ...judges.map(({ id, name }) => ({ value: id, label: name })),
        ]}
        hint={
          <Link to="/judge-settings" className="underline underline-offset-2 hover:text-foreground">
            Judge settings
          </Link>
        }
      />
      <FormActions {...actions} />
    </PostForm>
  )
}
