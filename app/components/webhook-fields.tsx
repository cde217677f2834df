import type { Problem } from '../context.ts'
import type { WebhookEvent } from '../lib/api-types.ts'
import { errorOf } from '../lib/form-fields.ts'
import { webhookEvents } from '../lib/wording.ts'
import { FieldError, FormField } from './form-field.tsx'
import { Input } from './ui/input.tsx'

export interface WebhookValues {
  url: string
  description: string
  events: string[]
}

export const webhookLabels = { url: 'Address', description: 'Description', events: 'Events' }

/** Only kinds that there are: a form may send anything. */
export function eventsOf(form: FormData): WebhookEvent[] {
  const chosen = form.getAll('events')
  return (Object.keys(webhookEvents) as WebhookEvent[]).filter((event) => chosen.includes(event))
}

/** The fields that a new webhook and an existing one share. */
export function WebhookFields({ values, problem }: { values: WebhookValues; problem: Problem | undefined }) {
  return (
    <>
      <FormField
        label={webhookLabels.url}
        name="url"
        hint="Events are sent there by POST, signed. https is best."
        error={errorOf(problem, 'url')}
        control={(props) => (
          <Input
            {...props}
            type="url"
            required
            maxLength={2000}
            autoComplete="off"
            spellCheck={false}
            defaultValue={values.url}
          />
        )}
      />
      <FormField
        label="Description (optional)"
        name="description"
        error={errorOf(problem, 'description')}
        control={(props) => <Input {...props} maxLength={200} autoComplete="off" defaultValue={values.description} />}
      />
      <EventChoice chosen={values.events} error={errorOf(problem, 'events')} />
    </>
  )
}

function EventChoice({ chosen, error }: { chosen: string[]; error: string | undefined }) {
  return (
    <fieldset id="events" tabIndex={-1} className="grid gap-2 outline-none" aria-describedby={error ? 'events-error' : undefined}>
      <legend className="mb-1.5 text-sm font-medium">{webhookLabels.events}</legend>
      <FieldError id="events-error" error={error} />
      {Object.entries(webhookEvents).map(([event, label]) => (
        <label key={event} className="flex items-start gap-2.5 text-sm">
          <input
            type="checkbox"
            name="events"
            value={event}
            defaultChecked={chosen.includes(event)}
            className="mt-0.5 size-4 shrink-0 accent-primary"
          />
          {label}
        </label>
      ))}
    </fieldset>
  )
}
