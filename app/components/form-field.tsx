import type { ReactNode } from 'react'
import { Label } from './ui/label.tsx'

export interface ControlProps {
  id: string
  name: string
  'aria-describedby': string | undefined
  'aria-invalid': true | undefined
}

interface FormFieldProps {
  label: string
  name: string
  hint?: ReactNode
  error: string | undefined
  className?: string
  control: (props: ControlProps) => ReactNode
}

/** A label, a control, a hint and an error, tied together for assistive technology. */
export function FormField({ label, name, hint, error, className = 'grid gap-1.5', control }: FormFieldProps) {
  const hintId = hint ? `${name}-hint` : ''
  const errorId = error ? `${name}-error` : ''
  return (
    <div className={className}>
      <Label htmlFor={name}>{label}</Label>
      {control({
        id: name,
        name,
        'aria-describedby': [errorId, hintId].filter(Boolean).join(' ') || undefined,
        'aria-invalid': error ? true : undefined,
      })}
      <FieldError id={errorId} error={error} />
      {hint && (
        <p id={hintId} className="text-sm text-muted-foreground">
          {hint}
        </p>
      )}
    </div>
  )
}

export function FieldError({ id, error }: { id: string; error: string | undefined }) {
  if (!error) return null
  return (
    <p id={id} className="text-sm font-medium text-destructive">
      {error}
    </p>
  )
}
