import { TriangleAlertIcon } from 'lucide-react'
import { CopyButton } from './copy-button.tsx'
import { Alert, AlertTitle } from './ui/alert.tsx'
import { Input } from './ui/input.tsx'
import { Label } from './ui/label.tsx'

interface SecretFieldProps {
  id: string
  label: string
  value: string
  /** What it means that it is shown this once. */
  warning: string
}

/** A secret to copy, and that this is the only time. */
export function SecretField({ id, label, value, warning }: SecretFieldProps) {
  return (
    <>
      <div className="grid gap-1.5">
        <Label htmlFor={id}>{label}</Label>
        <div className="flex gap-2 max-sm:flex-col">
          <Input
            id={id}
            readOnly
            value={value}
            autoComplete="off"
            spellCheck={false}
            aria-describedby={`${id}-hint`}
            onFocus={(event) => event.currentTarget.select()}
            className="font-mono text-[0.8125rem] md:text-[0.8125rem]"
          />
          <CopyButton text={value} label={label} variant="default" size="default" />
        </div>
      </div>
      <Alert variant="warning" id={`${id}-hint`}>
        <TriangleAlertIcon aria-hidden="true" />
        <AlertTitle>{warning}</AlertTitle>
      </Alert>
    </>
  )
}
