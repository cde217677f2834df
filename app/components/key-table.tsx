import { ArrowDownIcon, ArrowUpIcon } from 'lucide-react'
import { Link, useSearchParams } from 'react-router'
import type { ApiKey, KeyQuery } from '../lib/api-types.ts'
import { cn } from '../lib/cn.ts'
import { withParams } from '../lib/search-params.ts'
import { KeyStatus } from './key-status.tsx'
import { LocalTime } from './local-time.tsx'
import { Button } from './ui/button.tsx'
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from './ui/table.tsx'

type Sort = NonNullable<KeyQuery['sort']>
type Order = NonNullable<KeyQuery['order']>

interface KeyTableProps {
  keys: ApiKey[]
  sort: Sort
  order: Order
  /** The roles whose keys the user may change. */
  grantableRoles: string[]
}

export function KeyTable({ keys, sort, order, grantableRoles }: KeyTableProps) {
  const sorted = { sort, order }
  return (
    <Table>
      <caption className="sr-only">API keys</caption>
      <TableHeader>
        <tr>
          <SortableHead by="name" first="asc" label="Name" sorted={sorted} />
          <TableHead>Key</TableHead>
          <SortableHead by="role" first="asc" label="Role" sorted={sorted} />
          <TableHead>Status</TableHead>
          <SortableHead by="createdAt" first="desc" label="Created" sorted={sorted} />
          <SortableHead by="expiresAt" first="asc" label="Expires" sorted={sorted} />
          <SortableHead by="lastUsedAt" first="desc" label="Last used" sorted={sorted} />
          <TableHead>
            <span className="sr-only">Actions</span>
          </TableHead>
        </tr>
      </TableHeader>
      <TableBody>
        {keys.map((key) => (
          <KeyRow key={key.id} apiKey={key} mayChange={grantableRoles.includes(key.role)} />
        ))}
      </TableBody>
    </Table>
  )
}

interface SortableHeadProps {
  by: Sort
  first: Order
  label: string
  sorted: { sort: Sort; order: Order }
}

function SortableHead({ by, first, label, sorted }: SortableHeadProps) {
  const [params] = useSearchParams()
  const isSorted = sorted.sort === by
  const next = isSorted ? (sorted.order === 'asc' ? 'desc' : 'asc') : first
  const Icon = sorted.order === 'asc' ? ArrowUpIcon : ArrowDownIcon
  return (
    <TableHead aria-sort={isSorted ? (sorted.order === 'asc' ? 'ascending' : 'descending') : undefined}>
      <Link
        to={withParams(params, { sort: by, order: next, cursor: undefined })}
        preventScrollReset
        className={cn('inline-flex items-center gap-1 rounded-sm hover:text-foreground', isSorted && 'text-foreground')}
      >
        {label}
        {isSorted && <Icon aria-hidden="true" className="size-3" />}
      </Link>
    </TableHead>
  )
}

function KeyRow({ apiKey, mayChange }: { apiKey: ApiKey; mayChange: boolean }) {
  const { id, name, prefix, role, status, createdAt, createdBy, expiresAt, rotatesOutAt } = apiKey
  const isActive = status === 'active'
  return (
    <TableRow className={cn(!isActive && 'text-muted-foreground')}>
      <TableCell className="max-lg:block max-lg:pb-1 lg:max-w-64 lg:min-w-36">
        <Link to={`/api-keys/${id}`} className="rounded-sm font-medium wrap-anywhere hover:text-primary hover:underline">
          {name}
        </Link>
      </TableCell>
      <TableCell data-label="Key">
        <span className="font-mono text-[0.8125rem] whitespace-nowrap">{prefix}…</span>
      </TableCell>
      <TableCell data-label="Role">{role}</TableCell>
      <TableCell data-label="Status">
        <div>
          <KeyStatus status={status} />
          {isActive && rotatesOutAt && (
            <div className="text-xs text-muted-foreground">
              until <LocalTime instant={rotatesOutAt} />
            </div>
          )}
        </div>
      </TableCell>
      <TableCell data-label="Created">
        <div>
          <LocalTime instant={createdAt} />
          <div className="max-w-44 truncate text-xs text-muted-foreground">by {createdBy.name}</div>
        </div>
      </TableCell>
      <TableCell data-label="Expires">{expiresAt ? <LocalTime instant={expiresAt} /> : 'Never'}</TableCell>
      <TableCell data-label="Last used">
        <LastUse apiKey={apiKey} />
      </TableCell>
      <TableCell className="max-lg:block max-lg:pt-2 lg:text-right">
        {mayChange ? <KeyActions apiKey={apiKey} /> : <span className="text-xs text-muted-foreground">{role} only</span>}
      </TableCell>
    </TableRow>
  )
}

function LastUse({ apiKey: { lastUsedAt, lastUsedIp, lastUsedUserAgent } }: { apiKey: ApiKey }) {
  if (!lastUsedAt) return <span className="text-muted-foreground">Never</span>
  return (
    <div title={lastUsedUserAgent ?? undefined}>
      <LocalTime instant={lastUsedAt} />
      {lastUsedIp && <div className="max-w-44 truncate text-xs text-muted-foreground">from {lastUsedIp}</div>}
    </div>
  )
}

function KeyActions({ apiKey: { id, name, status } }: { apiKey: ApiKey }) {
  return (
    <div className="flex gap-1.5 lg:justify-end">
      {status === 'active' && (
        <Button asChild variant="outline" size="xs">
          <Link to={`/api-keys/${id}/revoke`}>
            Revoke<span className="sr-only"> {name}</span>
          </Link>
        </Button>
      )}
      <Button asChild variant="ghost" size="xs" className="text-destructive hover:text-destructive max-lg:border">
        <Link to={`/api-keys/${id}/delete`}>
          Delete<span className="sr-only"> {name}</span>
        </Link>
      </Button>
    </div>
  )
}
