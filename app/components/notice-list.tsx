import type { ReactNode } from 'react'
import { Link, useFetcher } from 'react-router'
import type { Notice } from '../lib/api-types.ts'
import { LocalTime } from './local-time.tsx'
import { Button } from './ui/button.tsx'

/** The newest of the open notices, above another page; nothing when there are none. */
export function OpenNotices({ notices, hasMore, isFrozen }: { notices: Notice[]; hasMore: boolean; isFrozen: boolean }) {
  // That the keys are frozen stands above as long as they are, and that they worked again once would contradict it.
  const shown = isFrozen ? notices.filter(({ kind }) => !kind.startsWith('api_keys.')) : notices
  if (shown.length === 0) return null
  return (
    <section aria-label="Notices" className="mb-5 overflow-hidden rounded-lg border bg-card">
      <NoticeList notices={shown} />
      {hasMore && (
        <p className="border-t px-4 py-2 text-sm">
          <Link to="/notices" className="rounded-sm text-primary hover:underline">
            All notices
          </Link>
        </p>
      )}
    </section>
  )
}

/** Each notice with what it is about, and a button that takes it away for everybody. */
export function NoticeList({ notices }: { notices: Notice[] }) {
  return (
    <ul className="divide-y divide-border">
      {notices.map((notice) => (
        <li key={notice.id} className="flex flex-wrap items-baseline gap-x-4 gap-y-1 px-4 py-2.5 text-sm">
          <span className="min-w-0 flex-1 basis-64 wrap-anywhere">
            <NoticeText notice={notice} />
          </span>
          <span className="text-xs text-muted-foreground">
            <LocalTime instant={notice.at} />
          </span>
          {notice.dismissedAt ? (
            <span className="text-xs text-muted-foreground">dismissed by {notice.dismissedBy}</span>
          ) : (
            <DismissButton notice={notice} />
          )}
        </li>
      ))}
    </ul>
  )
}

function DismissButton({ notice: { id, about } }: { notice: Notice }) {
  const fetcher = useFetcher()
  return (
    <fetcher.Form method="post" action="/notices">
      <input type="hidden" name="id" value={id} />
      <Button type="submit" variant="ghost" size="xs" aria-disabled={fetcher.state !== 'idle' || undefined}>
        Dismiss{about && <span className="sr-only"> the notice about {about.name}</span>}
      </Button>
    </fetcher.Form>
  )
}

function NoticeText({ notice }: { notice: Notice }): ReactNode {
  const { kind, about, facts } = notice
  const key = about && <Subject to={`/api-keys/${about.id}`} name={about.name} />
  switch (kind) {
    case 'api_key.expiring':
      return (
        <>
          {key} expires on <LocalTime instant={String(facts.expiresAt)} />.
        </>
      )
    case 'api_key.unused':
      return (
        <>
          {key} has not been used for {facts.days} days. Is it needed?
        </>
      )
    case 'api_key.leaked':
      return <>{key} was reported as leaked.</>
    case 'api_key.tripwire':
      return (
        <>
          {key} was used after its end{facts.ip ? `, from ${facts.ip}` : ''}
          {facts.userAgent && ` with ${facts.userAgent}`}. It was refused.
        </>
      )
    case 'api_keys.frozen':
      return 'All keys were frozen.'
    case 'api_keys.unfrozen':
      return 'The keys work again.'
    case 'webhook.deactivated':
      return (
        <>
          The webhook {about && <Subject to={`/webhooks/${about.id}`} name={about.name} />} was deactivated. {facts.reason}
        </>
      )
  }
}

function Subject({ to, name }: { to: string; name: string }) {
  return (
    <Link to={to} className="rounded-sm font-medium hover:text-primary hover:underline">
      {name}
    </Link>
  )
}
