import { CircleAlertIcon, FingerprintIcon } from 'lucide-react'
import { type ComponentProps, useState } from 'react'
import { useFetcher, useSearchParams } from 'react-router'
import { PasskeyTrouble, type Purpose, showPasskey } from '../lib/ask-passkey.ts'
import { useIsHydrated } from '../lib/use-is-hydrated.ts'
import type { action } from '../routes/passkey-show.ts'
import { Alert, AlertTitle } from './ui/alert.tsx'
import { Button } from './ui/button.tsx'

/** Passkeys need JavaScript, a browser that has them, and a name in place of a numeric address. */
export function useHasPasskeys(): boolean {
  const isHydrated = useIsHydrated()
  return isHydrated && 'PublicKeyCredential' in window && !/^[\d.]+$|:/.test(window.location.hostname)
}

/** Runs what talks with the authenticator, once at a time, and keeps what went wrong for people to read. */
export function usePasskey(work: () => Promise<void>) {
  const [trouble, setTrouble] = useState<string | null>(null)
  const [isBusy, setBusy] = useState(false)
  const run = async () => {
    if (isBusy) return
    setBusy(true)
    setTrouble(null)
    try {
      await work()
    } catch (error) {
      if (!(error instanceof PasskeyTrouble)) throw error
      setTrouble(error.message)
    } finally {
      setBusy(false)
    }
  }
  return { run, isBusy, trouble }
}

export function Trouble({ text }: { text: string | null | undefined }) {
  if (!text) return null
  return (
    <Alert variant="destructive" role="alert">
      <CircleAlertIcon aria-hidden="true" />
      <AlertTitle>{text}</AlertTitle>
    </Alert>
  )
}

interface PasskeyButtonProps extends Pick<ComponentProps<typeof Button>, 'variant'> {
  purpose: Exclude<Purpose, 'add'>
  children: string
}

/** Shows a passkey, then goes where the address says. Absent where there are none. */
export function PasskeyButton({ purpose, children, variant = 'outline' }: PasskeyButtonProps) {
  const fetcher = useFetcher<typeof action>()
  const [params] = useSearchParams()
  const { run, isBusy, trouble } = usePasskey(async () => {
    const response = await showPasskey(purpose)
    const fields = { purpose, response, redirectTo: params.get('redirectTo') ?? '/' }
    await fetcher.submit(fields, { method: 'post', action: '/passkeys/show' })
  })
  if (!useHasPasskeys()) return null
  return (
    <div className="grid gap-3">
      <Trouble text={trouble ?? fetcher.data?.problem.detail} />
      <Button type="button" variant={variant} aria-disabled={isBusy || undefined} onClick={run}>
        <FingerprintIcon aria-hidden="true" />
        {isBusy ? 'Waiting for your passkey…' : children}
      </Button>
    </div>
  )
}

/** Below the form of the password. */
export function PasskeySignIn() {
  if (!useHasPasskeys()) return null
  return (
    <div className="mt-5 grid gap-5 border-t pt-5">
      <PasskeyButton purpose="sign-in">Sign in with a passkey</PasskeyButton>
    </div>
  )
}
