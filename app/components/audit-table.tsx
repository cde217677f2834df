import { BotIcon, KeyRoundIcon, ShieldCheckIcon, SquareTerminalIcon, UserIcon } from 'lucide-react'
import type { AuditEntry } from '../lib/api-types.ts'
import { actionLabel, entityTypes, shortUserAgent } from '../lib/wording.ts'
import { AuditDetails } from './audit-details.tsx'
import { LocalTime } from './local-time.tsx'
import { Badge } from './ui/badge.tsx'
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from './ui/table.tsx'

export function AuditTable({ entries }: { entries: AuditEntry[] }) {
  return (
    <Table>
      <caption className="sr-only">Audit log</caption>
      <TableHeader>
        <tr>
          {['When', 'Who', 'What', 'On', 'From', 'Outcome'].map((column) => (
            <TableHead key={column}>{column}</TableHead>
          ))}
        </tr>
      </TableHeader>
      <TableBody>
        {entries.map((entry) => (
          <EntryRow key={entry.id} entry={entry} />
        ))}
      </TableBody>
    </Table>
  )
}

function EntryRow({ entry }: { entry: AuditEntry }) {
  const { at, entity, ip, userAgent } = entry
  return (
    <TableRow>
      <TableCell data-label="When" className="lg:w-px">
        <LocalTime instant={at} />
      </TableCell>
      <TableCell data-label="Who" className="lg:max-w-48">
        <Actor actor={entry.actor} />
      </TableCell>
      <TableCell data-label="What" className="lg:w-[38%]">
        <details className="group min-w-0">
          <summary className="rounded-sm hover:text-primary">
            <span className="font-medium">{actionLabel(entry.action)}</span>{' '}
            <code className="font-mono text-xs wrap-anywhere text-muted-foreground">{entry.action}</code>
          </summary>
          <AuditDetails entry={entry} />
        </details>
      </TableCell>
      <TableCell data-label="On" className="lg:max-w-56">
        <div>
          <div className="wrap-anywhere">{entity.name || '–'}</div>
          <div className="text-xs text-muted-foreground">{typeLabel(entity.type)}</div>
        </div>
      </TableCell>
      <TableCell data-label="From" className="lg:max-w-44">
        <div title={userAgent ?? undefined}>
          <div className="lg:min-w-32 wrap-anywhere">{ip ?? '–'}</div>
          {userAgent && <div className="truncate text-xs text-muted-foreground">{shortUserAgent(userAgent)}</div>}
        </div>
      </TableCell>
      <TableCell data-label="Outcome">
        <Outcome entry={entry} />
      </TableCell>
    </TableRow>
  )
}

function typeLabel(type: string): string {
  return Object.entries(entityTypes).find(([known]) => known === type)?.[1] ?? type
}

const actorKinds = {
  user: { label: 'User', Icon: UserIcon },
  key: { label: 'API key', Icon: KeyRoundIcon },
  console: { label: 'Console', Icon: SquareTerminalIcon },
  system: { label: 'System', Icon: BotIcon },
  trust_rule: { label: 'Trust rule', Icon: ShieldCheckIcon },
} as const

function Actor({ actor: { kind, name, role } }: { actor: AuditEntry['actor'] }) {
  const { label, Icon } = actorKinds[kind]
  return (
    <div>
      <div className="flex items-start gap-1.5">
        <Icon aria-hidden="true" className="size-3.5 shrink-0 translate-y-[3px] text-muted-foreground" />
        <span className="wrap-anywhere">{name}</span>
      </div>
      <div className="pl-5 text-xs whitespace-nowrap text-muted-foreground">{role ? `${label}, ${role}` : label}</div>
    </div>
  )
}

function Outcome({ entry: { outcome, occurrences } }: { entry: AuditEntry }) {
  return (
    <div className="flex items-center gap-2">
      {outcome === 'success' ? <Badge variant="success">Success</Badge> : <Badge variant="destructive">Refused</Badge>}
      {occurrences > 1 && (
        <span className="text-xs font-medium" title="Equal refusals within a minute are folded to one entry">
          ×{occurrences}
        </span>
      )}
    </div>
  )
}
