import type { Problem } from '../context.ts'
import { errorOf } from '../lib/form-fields.ts'
import {
  type CriterionValues,
  emptyCriterion,
  type JudgeField,
  type JudgeValues,
  judgeLabels,
  labelsOfCriterion,
  maxCriteria,
} from '../lib/judge-form.ts'
import { criterionTypes, judgeProviders, scoreNames } from '../lib/wording.ts'
import { CheckField } from './check-field.tsx'
import { ChoiceCards } from './choice-cards.tsx'
import { FieldError } from './form-field.tsx'
import { MoreRows } from './more-rows.tsx'
import { type FormState, SelectField, TextField } from './text-field.tsx'

interface JudgeFieldsProps {
  values: JudgeValues
  problem: Problem | undefined
  /** Of the setting that is changed. */
  hasSecret: boolean
}

/** What belongs to one kind of judge shows by CSS alone, so it does without JavaScript too. */
export function JudgeFields({ values, problem, hasSecret }: JudgeFieldsProps) {
  const form = { labels: judgeLabels, values: values.texts, problem }
  return (
    <div className="group/judge grid gap-6">
      <TextField form={form} name="name" required maxLength={100} />
      <ChoiceCards legend={judgeLabels.provider} name="provider" chosen={values.texts.provider} options={judgeProviders} />
      <div className="grid gap-4 border-t pt-5 group-has-[input[value=model]:checked]/judge:hidden">
        <Criteria criteria={values.criteria} problem={problem} />
      </div>
      <div className="grid gap-5 border-t pt-5 group-has-[input[value=rubrics]:checked]/judge:hidden">
        <ModelFields form={form} hasSecret={hasSecret} />
        <Weights form={form} />
      </div>
      <div className="grid gap-5 border-t pt-5">
        <TextField
          form={form}
          name="passThreshold"
          type="number"
          required
          min={0}
          max={100}
          step="any"
          fieldClass="grid max-w-60 gap-1.5"
        />
        <CheckField name="isDefault" defaultChecked={values.texts.isDefault === 'yes'}>
          The default: it judges where neither suite nor agent names a judge
        </CheckField>
      </div>
    </div>
  )
}

function Criteria({ criteria, problem }: { criteria: CriterionValues[]; problem: Problem | undefined }) {
  const error = errorOf(problem, 'criteria')
  return (
    <fieldset id="criteria" tabIndex={-1} className="grid gap-4 outline-none">
      <legend className="mb-1 text-sm font-medium">Criteria</legend>
      <p className="-mt-1 text-sm text-muted-foreground">What each reply is looked through for. Empty ones are left out.</p>
      <FieldError id="criteria-error" error={error} />
      <MoreRows
        filled={criteria.length}
        max={maxCriteria}
        add="Add a criterion"
        row={(index) => <Criterion index={index} values={criteria[index] ?? emptyCriterion} problem={problem} />}
      />
    </fieldset>
  )
}

function Criterion({ index, values, problem }: { index: number; values: CriterionValues; problem: Problem | undefined }) {
  const at = (field: string) => `criteria.${index}.${field}`
  const form = {
    labels: labelsOfCriterion(index),
    values: Object.fromEntries(Object.entries(values).map(([field, text]) => [at(field), text])),
    problem,
  }
  return (
    <fieldset className="grid gap-4 rounded-md border bg-card p-4">
      <legend className="sr-only">Criterion {index + 1}</legend>
      <div className="grid gap-4 sm:grid-cols-[minmax(0,1fr)_minmax(0,1fr)]">
        <TextField form={form} name={at('name')} maxLength={100} />
        <SelectField
          form={form}
          name={at('type')}
          options={Object.entries(criterionTypes).map(([value, label]) => ({ value, label }))}
        />
      </div>
      <TextField form={form} name={at('pattern')} maxLength={1000} spellCheck={false} />
      <div className="flex flex-wrap items-end gap-x-6 gap-y-3">
        <TextField form={form} name={at('weight')} type="number" min={0} max={100} step="any" fieldClass="grid w-24 gap-1.5" />
        <CheckField name={at('isMandatory')} defaultChecked={values.isMandatory === 'yes'} className="pb-2">
          Mandatory: without it the case fails
        </CheckField>
      </div>
    </fieldset>
  )
}

function ModelFields({ form, hasSecret }: { form: FormState<JudgeField>; hasSecret: boolean }) {
  return (
    <fieldset className="grid gap-5">
      <legend className="mb-3 text-sm font-medium">Model</legend>
      <TextField
        form={form}
        name="model.url"
        type="url"
        maxLength={2000}
        spellCheck={false}
        hint="Of an OpenAI-compatible server, without /chat/completions."
      />
      <div className="grid items-start gap-5 sm:grid-cols-2">
        <TextField form={form} name="model.name" maxLength={200} spellCheck={false} />
        <div className="grid content-start gap-2">
          <TextField
            form={form}
            name="model.secret"
            isOptional
            type="password"
            maxLength={4000}
            autoComplete="new-password"
            hint={hasSecret ? 'One is kept. Leave this empty to keep it.' : 'Stored encrypted, and never shown again.'}
          />
          {hasSecret && <CheckField name="removeSecret">Remove the secret that is kept</CheckField>}
        </div>
      </div>
      <div className="grid grid-cols-2 gap-5 sm:grid-cols-3">
        <TextField form={form} name="model.temperature" type="number" min={0} max={2} step="any" />
        <TextField form={form} name="model.maxTokens" type="number" min={1} step={1} />
        <TextField form={form} name="model.timeoutSeconds" type="number" min={1} max={120} step={1} />
      </div>
    </fieldset>
  )
}

function Weights({ form }: { form: FormState<JudgeField> }) {
  const error = errorOf(form.problem, 'weights')
  return (
    <fieldset id="weights" tabIndex={-1} className="outline-none">
      <legend className="mb-1 text-sm font-medium">Weights of its scores (%)</legend>
      <p className="mb-3 text-sm text-muted-foreground">Together 100.</p>
      <FieldError id="weights-error" error={error} />
      <div className="grid grid-cols-2 gap-4 sm:grid-cols-5">
        {(Object.keys(scoreNames) as (keyof typeof scoreNames)[]).map((name) => (
          <TextField key={name} form={form} name={`weights.${name}`} type="number" min={0} max={100} step="any" />
        ))}
      </div>
    </fieldset>
  )
}
