import { Link } from 'react-router'
import type { AuditEntry } from '../lib/api-types.ts'
import { Fact, Facts } from './key-facts.tsx'

export function AuditDetails({ entry }: { entry: AuditEntry }) {
  const { details, actor, entity, requestId, userAgent, seq, hash } = entry
  return (
    <div className="mt-3 mb-1 grid gap-4 border-l-2 pl-4">
      <Changes before={details.before} after={details.after} />
      <Facts>
        {details.reason && <Fact term="Reason">{details.reason}</Fact>}
        {details.operation && (
          <Fact term="Operation">
            <Mono>{details.operation}</Mono>
          </Fact>
        )}
        <Fact term="Who">
          <SearchLink text={actor.id} />
        </Fact>
        {entity.id && (
          <Fact term="On">
            <SearchLink text={entity.id} />
          </Fact>
        )}
        <Fact term="Request">
          <SearchLink text={requestId} />
        </Fact>
        {userAgent && <Fact term="User agent">{userAgent}</Fact>}
        <Fact term={`Entry ${seq}`}>
          <Mono>{`SHA-256 ${hash}`}</Mono>
        </Fact>
      </Facts>
    </div>
  )
}

/** To all entries about the same thing. */
function SearchLink({ text }: { text: string }) {
  return (
    <Link to={`/audit-log?search=${encodeURIComponent(text)}`} className="rounded-sm hover:underline">
      <Mono>{text}</Mono>
    </Link>
  )
}

function Mono({ children }: { children: string }) {
  return <span className="font-mono text-xs wrap-anywhere">{children}</span>
}

type Fields = AuditEntry['details']['before']

function Changes({ before, after }: { before: Fields; after: Fields }) {
  const fields = Object.keys({ ...before, ...after })
  if (fields.length === 0) return null
  return (
    <table className="w-full table-fixed text-left">
      <caption className="sr-only">What changed</caption>
      <thead className="text-xs text-muted-foreground">
        <tr>
          <th scope="col" className="py-1 pr-3 font-medium">
            Field
          </th>
          {before && (
            <th scope="col" className="py-1 pr-3 font-medium">
              Before
            </th>
          )}
          {after && (
            <th scope="col" className="py-1 font-medium">
              After
            </th>
          )}
        </tr>
      </thead>
      <tbody>
        {fields.map((field) => (
          <tr key={field} className="border-t align-top">
            <th scope="row" className="py-1 pr-3 font-normal wrap-anywhere text-muted-foreground">
              {field}
            </th>
            {before && <td className="py-1 pr-3 wrap-anywhere">{shown(before[field])}</td>}
            {after && <td className="py-1 wrap-anywhere">{shown(after[field])}</td>}
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function shown(value: unknown): string {
  if (value === null || value === undefined) return '–'
  return typeof value === 'string' ? value : JSON.stringify(value)
}
