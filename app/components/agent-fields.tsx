import { type AgentField, agentLabels, environments } from '../lib/agent-form.ts'
import type { JudgeSetting } from '../lib/api-types.ts'
import { CheckField } from './check-field.tsx'
import { ChoiceCards } from './choice-cards.tsx'
import { AreaField, type FormState, SelectField, TextField } from './text-field.tsx'

interface AgentFieldsProps {
  form: FormState<AgentField>
  judges: Pick<JudgeSetting, 'id' | 'name'>[]
  /** Of the agent that is changed. */
  hasSecret: boolean
}

export function AgentFields({ form, judges, hasSecret }: AgentFieldsProps) {
  return (
    <>
      <TextField form={form} name="name" required maxLength={100} />
      <AreaField form={form} name="description" isOptional maxLength={2000} />
      <div className="grid items-start gap-5 sm:grid-cols-2">
        <SelectField form={form} name="environment" options={environments.map((value) => ({ value, label: value }))} />
        <TextField form={form} name="tags" isOptional hint="Separated by commas." />
      </div>
      <Connector form={form} hasSecret={hasSecret} />
      <SelectField
        form={form}
        name="judgeSettingId"
        hint="A test suite that names its own judge goes before this."
        options={[{ value: '', label: 'The default' }, ...judges.map(({ id, name }) => ({ value: id, label: name }))]}
      />
      <CheckField name="isActive" defaultChecked={form.values.isActive === 'yes'}>
        Active
      </CheckField>
    </>
  )
}

const kinds = {
  http: { label: 'JSON over HTTP', what: 'Any address that takes a message and answers one.' },
  openai: { label: 'OpenAI-compatible', what: 'A server with /chat/completions.' },
}

/** What belongs to one kind shows by CSS alone, so it does without JavaScript too. */
function Connector({ form, hasSecret }: Pick<AgentFieldsProps, 'form' | 'hasSecret'>) {
  return (
    <div className="group/kind grid gap-5 border-t pt-5">
      <ChoiceCards
        legend={agentLabels['connector.type']}
        name="connector.type"
        chosen={form.values['connector.type']}
        options={kinds}
      />
      <TextField
        form={form}
        name="connector.url"
        type="url"
        required
        maxLength={2000}
        spellCheck={false}
        hint={
          <>
            Each message is sent there.
            <span className="hidden group-has-[input[value=openai]:checked]/kind:inline"> Without /chat/completions.</span>
          </>
        }
      />
      <div className="grid gap-2">
        <TextField
          form={form}
          name="connector.secret"
          isOptional
          type="password"
          maxLength={4000}
          autoComplete="new-password"
          hint={hasSecret ? 'One is kept. Leave this empty to keep it.' : 'Stored encrypted, and never shown again.'}
        />
        {hasSecret && <CheckField name="removeSecret">Remove the secret that is kept</CheckField>}
      </div>
      <div className="hidden gap-5 group-has-[input[value=openai]:checked]/kind:grid">
        <OpenaiFields form={form} />
      </div>
      <TextField form={form} name="connector.timeoutSeconds" type="number" min={1} max={120} fieldClass="grid max-w-40 gap-1.5" />
      <div className="hidden gap-5 group-has-[input[value=http]:checked]/kind:grid">
        <HttpFields form={form} />
      </div>
    </div>
  )
}

function OpenaiFields({ form }: Pick<AgentFieldsProps, 'form'>) {
  return (
    <>
      <TextField form={form} name="connector.model" maxLength={200} spellCheck={false} />
      <AreaField form={form} name="connector.systemPrompt" isOptional maxLength={8000} />
      <div className="grid items-start gap-5 sm:grid-cols-2">
        <TextField form={form} name="connector.temperature" isOptional type="number" min={0} max={2} step="any" />
        <TextField form={form} name="connector.maxTokens" isOptional type="number" min={1} step={1} />
      </div>
    </>
  )
}

function HttpFields({ form }: Pick<AgentFieldsProps, 'form'>) {
  const mono = { spellCheck: false, className: 'font-mono text-[0.8125rem] md:text-[0.8125rem]' }
  return (
    <>
      <AreaField
        form={form}
        name="connector.body"
        rows={5}
        maxLength={8000}
        hint="JSON. {{message}}, {{conversationId}} and {{history}} are filled in."
        {...mono}
      />
      <TextField
        form={form}
        name="connector.replyPointer"
        maxLength={500}
        hint="A JSON pointer into the answer, e.g. /choices/0/text. Empty: the whole answer."
        {...mono}
      />
      <details className="group/more" open={hasError(form)}>
        <summary className="rounded-sm text-sm font-medium hover:text-primary">Method and headers</summary>
        <div className="mt-4 grid gap-5">
          <div className="grid items-start gap-5 sm:grid-cols-2">
            <SelectField
              form={form}
              name="connector.method"
              options={['POST', 'PUT'].map((value) => ({ value, label: value }))}
            />
            <TextField form={form} name="connector.secretHeader" maxLength={64} spellCheck={false} />
          </div>
          <AreaField
            form={form}
            name="connector.headers"
            isOptional
            hint="Name: value, one a line. They can be read by everybody here: what is secret goes above."
            {...mono}
          />
        </div>
      </details>
    </>
  )
}

const hasError = ({ problem }: FormState<AgentField>) =>
  problem?.errors?.some(({ path }) => /^connector\.(method|secretHeader|headers)$/.test(path)) ?? false
