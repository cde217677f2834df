import { TriangleAlertIcon } from 'lucide-react'
import type { ApiKey } from '../lib/api-types.ts'
import { LocalTime } from './local-time.tsx'
import { Alert, AlertDescription, AlertTitle } from './ui/alert.tsx'

const recentMs = 7 * 86_400_000

/** Whether something probably still depends on the key. */
export function isUsedRecently({ status, lastUsedAt }: ApiKey, now = Date.now()): boolean {
  return status === 'active' && lastUsedAt !== null && now - new Date(lastUsedAt).getTime() < recentMs
}

export function KeyUseWarning({ apiKey: { lastUsedAt, lastUsedIp, lastUsedUserAgent } }: { apiKey: ApiKey }) {
  if (!lastUsedAt) return null
  return (
    <Alert variant="warning">
      <TriangleAlertIcon aria-hidden="true" />
      <AlertTitle>This key was used in the last 7 days</AlertTitle>
      <AlertDescription>
        Last at <LocalTime instant={lastUsedAt} />
        {lastUsedIp && (
          <>
            {' '}
            from <strong className="font-medium text-foreground">{lastUsedIp}</strong>
          </>
        )}
        {lastUsedUserAgent && <span className="wrap-anywhere"> with {lastUsedUserAgent}</span>}. Whatever uses it will be refused.
      </AlertDescription>
    </Alert>
  )
}
