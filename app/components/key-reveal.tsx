import type { ReactNode } from 'react'
import { Link } from 'react-router'
import { useSecretUntilLeft } from '../lib/use-secret-until-left.ts'
import { KeyExamples } from './key-examples.tsx'
import { LocalTime } from './local-time.tsx'
import { PageHeader } from './page-header.tsx'
import { SecretField } from './secret-field.tsx'
import { Button } from './ui/button.tsx'
import { Card } from './ui/card.tsx'

interface Created {
  id: string
  name: string
  role: string
  key: string
  expiresAt: string | null
}

interface KeyRevealProps {
  created: Created
  origin: string
  /** Where the browser goes instead of bringing this page back. */
  startPath: string
  /** What else is to be known now. */
  note?: ReactNode
}

/** The only time that a key is shown. */
export function KeyReveal({ created, origin, startPath, note }: KeyRevealProps) {
  const key = useSecretUntilLeft(created, 'key', startPath)
  const { id, name, role, expiresAt } = created
  return (
    <div className="mx-auto max-w-2xl">
      <PageHeader
        title="Copy your key now"
        description={
          <>
            <strong className="font-medium wrap-anywhere text-foreground">{name}</strong> · {role} ·{' '}
            {expiresAt ? (
              <>
                expires <LocalTime instant={expiresAt} />
              </>
            ) : (
              'never expires'
            )}
            {note && (
              <>
                <br />
                {note}
              </>
            )}
          </>
        }
      />
      <Card>
        <SecretField
          id="key"
          label="API key"
          value={key}
          warning="You will not see it again. mate stores its SHA-256 hash only."
        />
        <div className="flex flex-wrap gap-2">
          <Button asChild variant="outline">
            <Link to="/api-keys">Done</Link>
          </Button>
          <Button asChild variant="ghost">
            <Link to={`/api-keys/${id}`}>Details</Link>
          </Button>
        </div>
      </Card>
      <KeyExamples apiKey={key} origin={origin} />
    </div>
  )
}
