import { TriangleAlertIcon } from 'lucide-react'
import { Link } from 'react-router'
import { useSecretUntilLeft } from '../lib/use-secret-until-left.ts'
import { CopyButton } from './copy-button.tsx'
import { PageHeader } from './page-header.tsx'
import { Alert, AlertTitle } from './ui/alert.tsx'
import { Button } from './ui/button.tsx'
import { Card } from './ui/card.tsx'

/** The only time that recovery codes are shown. `codes` are parted by spaces, so that they stand in the page's script as they are here. */
export function RecoveryCodes({ shown, to }: { shown: { codes: string }; to: string }) {
  const codes = useSecretUntilLeft(shown, 'codes', to)
  return (
    <div className="mx-auto max-w-xl">
      <PageHeader title="Keep these recovery codes" description="Each signs you in once when your second factor is lost." />
      <Card>
        <pre className="rounded-md bg-muted px-4 py-3 font-mono text-[0.8125rem] leading-6">{codes.replaceAll(' ', '\n')}</pre>
        <div className="flex">
          <CopyButton text={codes.replaceAll(' ', '\n')} label="recovery codes" variant="default" size="default" />
        </div>
        <Alert variant="warning">
          <TriangleAlertIcon aria-hidden="true" />
          <AlertTitle>You will not see them again. Print them, or keep them in a password manager.</AlertTitle>
        </Alert>
        <Button asChild variant="outline" className="self-start">
          <Link to={to}>I have kept them</Link>
        </Button>
      </Card>
    </div>
  )
}
