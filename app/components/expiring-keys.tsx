import { KeyRoundIcon } from 'lucide-react'
import { Link } from 'react-router'
import type { ApiKey } from '../lib/api-types.ts'
import { LocalTime } from './local-time.tsx'
import { Alert, AlertDescription, AlertTitle } from './ui/alert.tsx'

/** The soonest first. */
export function ExpiringKeys({ keys }: { keys: ApiKey[] }) {
  return (
    <Alert variant="warning">
      <KeyRoundIcon aria-hidden="true" />
      <AlertTitle>{keys.length === 1 ? 'An API key expires soon' : 'API keys expire soon'}</AlertTitle>
      <AlertDescription>
        <ul className="grid gap-0.5">
          {keys.map(({ id, name, expiresAt }) => (
            <li key={id} className="wrap-anywhere">
              <Link to={`/api-keys/${id}`} className="font-medium text-foreground underline underline-offset-2">
                {name}
              </Link>
              {expiresAt && (
                <>
                  {' '}
                  on <LocalTime instant={expiresAt} />
                </>
              )}
            </li>
          ))}
        </ul>
      </AlertDescription>
    </Alert>
  )
}
