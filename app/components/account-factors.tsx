import type { ReactNode } from 'react'
import { Link } from 'react-router'
import { LocalTime } from './local-time.tsx'
import { Button } from './ui/button.tsx'
import { Card, CardDescription, CardTitle } from './ui/card.tsx'

interface AccountFactorsProps {
  hasPassword: boolean
  factors: {
    totpSince: string | null
    codesLeft: number
    passkeys: { id: string; name: string; lastUsedAt: string | null }[]
  }
}

/** How one signs in: password, passkeys, authenticator app, recovery codes. */
export function AccountFactors({ hasPassword, factors: { totpSince, codesLeft, passkeys } }: AccountFactorsProps) {
  const hasFactor = totpSince !== null || passkeys.length > 0
  return (
    <Card>
      <div className="grid gap-1">
        <CardTitle>Sign-in</CardTitle>
        <CardDescription>
          {hasFactor
            ? 'A second factor is asked for after your password. A passkey alone is enough.'
            : 'Add a second factor, so that a stolen password opens nothing.'}
        </CardDescription>
      </div>
      <ul className="grid divide-y text-sm">
        <Row title="Password" note={hasPassword ? 'At least 12 characters' : 'You sign in by your company’s provider'}>
          {hasPassword && <RowLink to="/account/password">Change password</RowLink>}
        </Row>
        <Row title="Authenticator app" note={totpSince ? <Since instant={totpSince} /> : 'Not set up'}>
          {totpSince ? (
            <RowLink to="/account/factors/totp/remove">Remove app</RowLink>
          ) : (
            <RowLink to="/account/authenticator">Set up app</RowLink>
          )}
        </Row>
        <Row title="Passkeys" note={passkeys.length === 0 ? 'None yet' : `${passkeys.length}`}>
          <RowLink to="/account/passkeys/new">Add passkey</RowLink>
        </Row>
        {passkeys.map(({ id, name, lastUsedAt }) => (
          <Row key={id} title={name} note={lastUsedAt ? <LastUsed instant={lastUsedAt} /> : 'Never used'} isBelow>
            <RowLink to={`/account/factors/${id}/remove`} about={name}>
              Remove
            </RowLink>
          </Row>
        ))}
        {hasFactor && (
          <Row title="Recovery codes" note={`${codesLeft} of 10 left`}>
            <RowLink to="/account/recovery-codes">Make new codes</RowLink>
          </Row>
        )}
      </ul>
    </Card>
  )
}

function Since({ instant }: { instant: string }) {
  return (
    <>
      Since <LocalTime instant={instant} />
    </>
  )
}

function LastUsed({ instant }: { instant: string }) {
  return (
    <>
      Last used <LocalTime instant={instant} />
    </>
  )
}

interface RowProps {
  title: string
  note: ReactNode
  isBelow?: boolean
  children: ReactNode
}

function Row({ title, note, isBelow = false, children }: RowProps) {
  return (
    <li className="flex min-h-13 flex-wrap items-center justify-between gap-x-4 gap-y-2 py-2.5">
      <div className={isBelow ? 'grid min-w-0 gap-0.5 pl-4' : 'grid min-w-0 gap-0.5'}>
        <span className="font-medium wrap-anywhere">{title}</span>
        <span className="text-muted-foreground">{note}</span>
      </div>
      {children}
    </li>
  )
}

function RowLink({ to, about, children }: { to: string; about?: string; children: string }) {
  return (
    <Button asChild variant="outline" size="sm">
      <Link to={to}>
        {children}
        {about && <span className="sr-only"> {about}</span>}
      </Link>
    </Button>
  )
}
