import { CheckIcon, MinusIcon } from 'lucide-react'
import type { Permission } from '../lib/api-types.ts'
import { Card, CardTitle } from './ui/card.tsx'

const headings: Record<string, string> = {
  me: 'Itself',
  agents: 'Agents',
  testsuites: 'Test suites',
  judgesettings: 'Judge settings',
  runs: 'Runs',
  metrics: 'Metrics',
  'api-keys': 'API keys',
  roles: 'Roles',
  'audit-log': 'Audit log',
}

/** Every operation, by what it is about: allowed, or why not. */
export function PermissionList({ permissions }: { permissions: Permission[] }) {
  const tags = [...new Set(permissions.map(({ tag }) => tag))]
  return (
    <Card className="gap-6">
      {tags.map((tag) => (
        <section key={tag} className="grid gap-1">
          <CardTitle>{headings[tag] ?? tag}</CardTitle>
          <ul className="divide-y text-sm">
            {permissions
              .filter((permission) => permission.tag === tag)
              .map((permission) => (
                <PermissionItem key={permission.operation} permission={permission} />
              ))}
          </ul>
        </section>
      ))}
    </Card>
  )
}

function PermissionItem({ permission }: { permission: Permission }) {
  const { allowed, summary, method, path, reason } = permission
  return (
    <li className="flex items-start gap-3 py-2">
      {allowed ? (
        <CheckIcon aria-hidden="true" className="size-4 shrink-0 translate-y-0.5 text-success" />
      ) : (
        <MinusIcon aria-hidden="true" className="size-4 shrink-0 translate-y-0.5 text-muted-foreground" />
      )}
      <span className="sr-only">{allowed ? 'Allowed: ' : 'Not allowed: '}</span>
      <div className="grid min-w-0 grow gap-x-6 sm:grid-cols-[minmax(0,1fr)_auto]">
        <span className={allowed ? undefined : 'text-muted-foreground'}>{summary}</span>
        {reason && <span className="text-muted-foreground sm:row-span-2 sm:text-right">{reason}</span>}
        <span className="font-mono text-xs wrap-anywhere text-muted-foreground sm:col-start-1">
          {method} {path}
        </span>
      </div>
    </li>
  )
}
