// What surrounds a list: the notice about a bad address, the empty state, and the way to further pages.
import { InfoIcon } from 'lucide-react'
import type { ReactNode } from 'react'
import { Link, useSearchParams } from 'react-router'
import type { Problem } from '../context.ts'
import { withParams } from '../lib/search-params.ts'
import { Alert, AlertDescription, AlertTitle } from './ui/alert.tsx'
import { Button } from './ui/button.tsx'

interface AddressNoticeProps {
  problem: Problem | undefined
  ignored: string[]
}

/** Someone edited the address, or a link is old. */
export function AddressNotice({ problem, ignored }: AddressNoticeProps) {
  if (!problem && ignored.length === 0) return null
  return (
    <Alert variant="warning" role="status" className="mb-4">
      <InfoIcon aria-hidden="true" />
      <AlertTitle>{problem ? 'The list can’t be shown for this address' : 'Part of the address was ignored'}</AlertTitle>
      <AlertDescription>
        {problem && <p>{problem.errors?.map(({ path, message }) => `${path}: ${message}`).join(' ') ?? problem.detail}</p>}
        {ignored.length > 0 && <p className="wrap-anywhere">There is no such filter: {ignored.join(', ')}.</p>}
        <Link to="?" className="text-foreground underline underline-offset-2">
          Start again without filters
        </Link>
      </AlertDescription>
    </Alert>
  )
}

export function EmptyState({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div className="grid justify-items-center gap-3 px-4 py-14 text-center">
      <h2 className="font-medium">{title}</h2>
      <div className="grid max-w-md justify-items-center gap-4 text-sm text-muted-foreground">{children}</div>
    </div>
  )
}

export function Pagination({ nextCursor }: { nextCursor: string | null }) {
  const [params] = useSearchParams()
  const isFirst = !params.get('cursor')
  if (isFirst && !nextCursor) return null
  return (
    <nav aria-label="Pages" className="flex gap-2">
      {!isFirst && (
        <Button asChild variant="outline" size="sm">
          <Link to={withParams(params, { cursor: undefined })}>First page</Link>
        </Button>
      )}
      {nextCursor && (
        <Button asChild variant="outline" size="sm">
          <Link to={withParams(params, { cursor: nextCursor })} rel="next">
            Next
          </Link>
        </Button>
      )}
    </nav>
  )
}
