import { FingerprintIcon } from 'lucide-react'
import { useRef } from 'react'
import { useSubmit } from 'react-router'
import type { Problem } from '../context.ts'
import { makePasskey } from '../lib/ask-passkey.ts'
import { errorOf } from '../lib/form-fields.ts'
import { FormField } from './form-field.tsx'
import { Trouble, useHasPasskeys, usePasskey } from './passkey-button.tsx'
import { Button } from './ui/button.tsx'
import { Input } from './ui/input.tsx'

/** Makes a passkey and sends it to the page's action, with the intent `passkey`. */
export function AddPasskeyForm({ problem, name }: { problem: Problem | undefined; name: string | undefined }) {
  const form = useRef<HTMLFormElement>(null)
  const submit = useSubmit()
  const { run, isBusy, trouble } = usePasskey(async () => {
    if (!form.current?.reportValidity()) return
    const fields = new FormData(form.current)
    const response = await makePasskey()
    await submit({ intent: 'passkey', name: String(fields.get('name')), response }, { method: 'post' })
  })
  if (!useHasPasskeys()) {
    return (
      <p className="text-sm text-muted-foreground">
        Passkeys need JavaScript, a browser that has them, and mate at a name over https, or at localhost.
      </p>
    )
  }
  return (
    <form
      ref={form}
      className="grid gap-5"
      onSubmit={(event) => {
        event.preventDefault()
        run()
      }}
    >
      <Trouble text={trouble ?? (problem?.errors ? null : problem?.detail)} />
      <FormField
        label="Name of the passkey"
        name="name"
        hint="What holds it, e.g. laptop or security key."
        error={errorOf(problem, 'name')}
        control={(props) => <Input {...props} required maxLength={100} autoComplete="off" defaultValue={name ?? ''} />}
      />
      <Button type="submit" className="justify-self-start" aria-disabled={isBusy || undefined}>
        <FingerprintIcon aria-hidden="true" />
        {isBusy ? 'Waiting for your passkey…' : 'Add passkey'}
      </Button>
    </form>
  )
}
