import { Link, useLocation } from 'react-router'
import type { Problem } from '../context.ts'
import { Button } from './ui/button.tsx'

const titles: Record<number, string> = {
  400: 'This request cannot be understood',
  403: 'You may not see this page',
  404: 'There is nothing here',
  503: 'The service is not available right now',
}

const fallback = { title: 'Something went wrong', detail: 'The page could not be shown. Try again, or tell your operator.' }

/** What an error page may say of an error: only what the server chose to say publicly. */
export function describeError(error: unknown): { status: number; title: string; detail: string; requestId?: string } {
  const { status, data } = isResponseLike(error) ? error : { status: 500, data: undefined }
  const problem = isProblem(data) ? data : undefined
  return {
    status,
    title: titles[status] ?? problem?.title ?? fallback.title,
    detail: problem?.errors?.map(({ path, message }) => `${path}: ${message}`).join(' ') ?? problem?.detail ?? fallback.detail,
    ...(problem ? { requestId: problem.requestId } : {}),
  }
}

export function ProblemPage({ error }: { error: unknown }) {
  const { status, title, detail, requestId } = describeError(error)
  const { pathname, search } = useLocation()
  const mayPass = status >= 500
  return (
    <div className="mx-auto grid max-w-xl justify-items-start gap-4 py-12">
      <p className="text-sm font-medium text-muted-foreground">Error {status}</p>
      <h1 tabIndex={-1} className="text-2xl font-semibold tracking-tight outline-none">
        {title}
      </h1>
      <p className="text-muted-foreground">{detail}</p>
      <div className="flex flex-wrap gap-2">
        {mayPass && (
          <Button asChild>
            <Link to={pathname + search} reloadDocument>
              Try again
            </Link>
          </Button>
        )}
        <Button asChild variant="outline">
          <Link to="/">Go to the start page</Link>
        </Button>
      </div>
      {requestId && (
        <p className="text-xs text-muted-foreground">
          Request <code className="font-mono">{requestId}</code>
        </p>
      )}
    </div>
  )
}

function isResponseLike(error: unknown): error is { status: number; data: unknown } {
  return typeof error === 'object' && error !== null && 'status' in error && typeof error.status === 'number' && 'data' in error
}

function isProblem(data: unknown): data is Problem {
  return typeof data === 'object' && data !== null && 'detail' in data && 'requestId' in data
}
