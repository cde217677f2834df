import { LocalTime } from './local-time.tsx'
import { PostForm, SubmitButton } from './post-form.tsx'
import { Badge } from './ui/badge.tsx'
import { Card, CardDescription, CardTitle } from './ui/card.tsx'

interface ShownSession {
  id: string
  isCurrent: boolean
  device: string
  ip: string | null
  createdAt: string
  lastSeenAt: string
}

/** Where one is signed in, this session first; each of the others can be ended. */
export function AccountSessions({ sessions }: { sessions: ShownSession[] }) {
  return (
    <Card>
      <div className="grid gap-1">
        <CardTitle>Sessions</CardTitle>
        <CardDescription>Where you are signed in. When each was last seen is known to the hour.</CardDescription>
      </div>
      <ul className="grid divide-y text-sm">
        {sessions.map(({ id, isCurrent, device, ip, createdAt, lastSeenAt }) => (
          <li key={id} className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2 py-3">
            <div className="grid min-w-0 gap-0.5">
              <span className="flex flex-wrap items-center gap-2 font-medium wrap-anywhere">
                {device}
                {isCurrent && <Badge variant="success">This session</Badge>}
              </span>
              <span className="text-muted-foreground wrap-anywhere">
                {ip ?? 'Unknown address'}, since <LocalTime instant={createdAt} />, last seen <LocalTime instant={lastSeenAt} />
              </span>
            </div>
            {!isCurrent && (
              <PostForm>
                <input type="hidden" name="id" value={id} />
                <SubmitButton pending="Ending…" name="intent" value="end-session" variant="outline" size="sm">
                  End<span className="sr-only"> the session of {device}</span>
                </SubmitButton>
              </PostForm>
            )}
          </li>
        ))}
      </ul>
      {sessions.length > 1 && (
        <PostForm>
          <SubmitButton pending="Ending…" name="intent" value="end-others" variant="outline" size="sm">
            End all other sessions
          </SubmitButton>
        </PostForm>
      )}
    </Card>
  )
}
