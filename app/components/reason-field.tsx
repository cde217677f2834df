import type { Problem } from '../context.ts'
import { errorOf } from '../lib/form-fields.ts'
import { FormField } from './form-field.tsx'
import { Textarea } from './ui/textarea.tsx'

interface ReasonFieldProps {
  problem: Problem | undefined
  /** As it was given before. */
  reason: string | undefined
  hint?: string
}

/** Why something is ended, in the words of who ends it. */
export function ReasonField({ problem, reason = '', hint = 'For the audit log.' }: ReasonFieldProps) {
  return (
    <FormField
      label="Reason (optional)"
      name="reason"
      hint={hint}
      error={errorOf(problem, 'reason')}
      control={(props) => <Textarea {...props} maxLength={500} rows={2} defaultValue={reason} />}
    />
  )
}
