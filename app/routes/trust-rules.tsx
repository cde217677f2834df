import { data, Link } from 'react-router'
import { ListPage } from '../components/list-page.tsx'
import { LocalTime } from '../components/local-time.tsx'
import { Badge } from '../components/ui/badge.tsx'
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from '../components/ui/table.tsx'
import { pageContext } from '../context.ts'
import type { TrustRule } from '../lib/api-types.ts'
import { listOrProblem } from '../lib/list-or-problem.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/trust-rules'

export async function loader({ url, context }: Route.LoaderArgs) {
  const { api } = context.get(pageContext)
  const cursor = url.searchParams.get('cursor') || undefined
  const { items: rules, nextCursor, problem } = await listOrProblem(() => api.trustRules.list({ cursor }))
  return data({ rules, nextCursor, problem }, { status: problem?.status ?? 200 })
}

export const meta: Route.MetaFunction = () => titled('Trust Rules')

export default function TrustRules({ loaderData: { rules, nextCursor, problem } }: Route.ComponentProps) {
  return (
    <ListPage
      title="Trust Rules"
      description="A CI pipeline proves who it is by its provider’s token, and gets a key for 15 minutes: nothing to store."
      add={{ to: '/trust-rules/new', label: 'Add Rule' }}
      empty={{
        title: 'No trust rules yet',
        text: 'Add one for each repository whose pipeline calls mate, instead of a key among its secrets.',
      }}
      isEmpty={rules.length === 0}
      problem={problem}
      nextCursor={nextCursor}
    >
      <RuleTable rules={rules} />
    </ListPage>
  )
}

function RuleTable({ rules }: { rules: TrustRule[] }) {
  return (
    <Table>
      <caption className="sr-only">Trust rules</caption>
      <TableHeader>
        <tr>
          {['Name', 'Takes', 'Role', 'Status', 'Last used'].map((column) => (
            <TableHead key={column}>{column}</TableHead>
          ))}
        </tr>
      </TableHeader>
      <TableBody>
        {rules.map(({ id, name, issuer, conditions, role, isActive, lastUsedAt }) => (
          <TableRow key={id}>
            <TableCell className="max-lg:block max-lg:pb-1">
              <Link to={`/trust-rules/${id}`} className="rounded-sm font-medium wrap-anywhere hover:text-primary hover:underline">
                {name}
              </Link>
              <div className="text-xs wrap-anywhere text-muted-foreground">{issuer}</div>
            </TableCell>
            <TableCell data-label="Takes">
              <div className="grid gap-0.5">
                {Object.entries(conditions).map(([claim, values]) => (
                  <div key={claim} className="font-mono text-xs wrap-anywhere">
                    {claim}: {values.join(' or ')}
                  </div>
                ))}
              </div>
            </TableCell>
            <TableCell data-label="Role">{role}</TableCell>
            <TableCell data-label="Status">
              {isActive ? <Badge variant="success">Active</Badge> : <Badge variant="muted">Inactive</Badge>}
            </TableCell>
            <TableCell data-label="Last used">{lastUsedAt ? <LocalTime instant={lastUsedAt} /> : 'Never'}</TableCell>
          </TableRow>
        ))}
      </TableBody>
    </Table>
  )
}
