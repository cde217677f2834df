import type { ReactNode } from 'react'
import { Link } from 'react-router'
import type { ApiKey } from '../lib/api-types.ts'
import { limitLabels } from '../lib/limits-form.ts'
import { KeyStatus } from './key-status.tsx'
import { LocalTime } from './local-time.tsx'

/** Name, key, role and status: which key a question is about. */
export function KeySummary({ apiKey: { name, prefix, role, status } }: { apiKey: ApiKey }) {
  return (
    <div className="flex flex-wrap items-center gap-x-4 gap-y-1 rounded-md bg-muted px-4 py-3 text-sm">
      <span className="font-medium wrap-anywhere">{name}</span>
      <span className="font-mono text-[0.8125rem] text-muted-foreground">{prefix}…</span>
      <span className="text-muted-foreground">{role}</span>
      <KeyStatus status={status} />
    </div>
  )
}

/** Terms beside their values where there is room. The column of terms is as wide as the longest of them. */
export function Facts({ children }: { children: ReactNode }) {
  return <dl className="grid items-baseline gap-x-6 gap-y-2.5 text-sm sm:grid-cols-[auto_minmax(0,1fr)]">{children}</dl>
}

export function Fact({ term, children }: { term: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-muted-foreground max-sm:-mb-2">{term}</dt>
      <dd className="wrap-anywhere">{children}</dd>
    </>
  )
}

const makers = { user: '', key: ' (API key)', console: ' (operator’s console)', trust_rule: ' (trust rule)' } as const

/** All that is known of a key. */
export function KeyFacts({ apiKey }: { apiKey: ApiKey }) {
  const { id, prefix, role, status, createdAt, createdBy, owner, expiresAt, lastUsedAt, lastUsedIp, lastUsedUserAgent } = apiKey
  return (
    <Facts>
      <Fact term="Key">
        <span className="font-mono text-[0.8125rem]">{prefix}…</span>
      </Fact>
      <Fact term="Role">{role}</Fact>
      <Fact term="Status">
        <KeyStatus status={status} />
      </Fact>
      <Fact term="Created">
        <LocalTime instant={createdAt} /> by {createdBy.name}
        {makers[createdBy.kind]}
      </Fact>
      <Fact term="Owner">
        {owner ? (
          <Link to={`/users/${owner.id}`} className="underline underline-offset-2">
            {owner.name ?? 'A person of another tenant'}
          </Link>
        ) : (
          'The tenant'
        )}
      </Fact>
      <Fact term="Expires">{expiresAt ? <LocalTime instant={expiresAt} /> : 'Never'}</Fact>
      <Fact term="Last used">
        {lastUsedAt ? <LocalTime instant={lastUsedAt} /> : 'Never'}
        {lastUsedIp && ` from ${lastUsedIp}`}
      </Fact>
      {lastUsedUserAgent && <Fact term="Last used with">{lastUsedUserAgent}</Fact>}
      <LimitFacts apiKey={apiKey} />
      <RotationFacts apiKey={apiKey} />
      <RevocationFacts apiKey={apiKey} />
      <Fact term="Id">
        <span className="font-mono text-[0.8125rem]">{id}</span>
      </Fact>
    </Facts>
  )
}

/** Only the limits that there are. */
function LimitFacts({ apiKey: { allowedIps, requestsPerMinute, scopes } }: { apiKey: ApiKey }) {
  return (
    <>
      {scopes && <Fact term={limitLabels.scopes}>{scopes.join(', ')}</Fact>}
      {allowedIps && <Fact term={limitLabels.allowedIps}>{allowedIps.join(', ')}</Fact>}
      {requestsPerMinute && <Fact term={limitLabels.requestsPerMinute}>{requestsPerMinute.toLocaleString('en')}</Fact>}
    </>
  )
}

function RotationFacts({ apiKey: { status, rotatesOutAt, replacedById, replacesId } }: { apiKey: ApiKey }) {
  return (
    <>
      {rotatesOutAt && status !== 'active' && (
        <Fact term="Rotated out">
          <LocalTime instant={rotatesOutAt} />
        </Fact>
      )}
      {replacedById && <Fact term="Successor">{keyLink(replacedById, 'The key that replaces it')}</Fact>}
      {replacesId && <Fact term="Replaces">{keyLink(replacesId, 'The key before it')}</Fact>}
    </>
  )
}

const keyLink = (id: string, text: string) => (
  <Link to={`/api-keys/${id}`} className="underline underline-offset-2">
    {text}
  </Link>
)

function RevocationFacts({ apiKey: { revokedAt, revokedBy, revokedReason } }: { apiKey: ApiKey }) {
  if (!revokedAt) return null
  return (
    <>
      <Fact term="Revoked">
        <LocalTime instant={revokedAt} />
        {revokedBy && ` by ${revokedBy.name}`}
      </Fact>
      {revokedReason && <Fact term="Reason">{revokedReason}</Fact>}
    </>
  )
}
