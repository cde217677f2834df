import { SnowflakeIcon } from 'lucide-react'
import { Link } from 'react-router'
import type { KeyFreeze } from '../lib/api-types.ts'
import { LocalTime } from './local-time.tsx'
import { Alert, AlertDescription, AlertTitle } from './ui/alert.tsx'
import { Button } from './ui/button.tsx'

/** That all keys are refused, and the way to undo it; nothing while they work. */
export function FreezeNotice({ freeze: { frozenAt, frozenBy, frozenReason } }: { freeze: KeyFreeze }) {
  if (!frozenAt) return null
  return (
    <Alert variant="warning" className="mb-5">
      <SnowflakeIcon aria-hidden="true" />
      <AlertTitle>All API keys are frozen</AlertTitle>
      <AlertDescription className="grid gap-2.5">
        <p className="wrap-anywhere">
          Each is refused since <LocalTime instant={frozenAt} />, by {frozenBy}
          {frozenReason && `: ${frozenReason}`}
        </p>
        <Button asChild size="sm" className="justify-self-start">
          <Link to="/api-keys/freeze">Unfreeze…</Link>
        </Button>
      </AlertDescription>
    </Alert>
  )
}
