import { FormField } from './form-field.tsx'
import { Input } from './ui/input.tsx'

interface CodeFieldProps {
  label: string
  hint: string
  error: string | undefined
}

/** Of a code of an authenticator app, or a recovery code. */
export function CodeField({ label, hint, error }: CodeFieldProps) {
  return (
    <FormField
      label={label}
      name="code"
      hint={hint}
      error={error}
      control={(props) => (
        <Input {...props} required maxLength={40} autoComplete="one-time-code" autoCapitalize="none" spellCheck={false} />
      )}
    />
  )
}
