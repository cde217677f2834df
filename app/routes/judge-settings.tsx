import { data, Link } from 'react-router'
import { AddLink } from '../components/add-link.tsx'
import { BackLink } from '../components/back-link.tsx'
import { AddressNotice, EmptyState, Pagination } from '../components/list-chrome.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { Badge } from '../components/ui/badge.tsx'
import { Card } from '../components/ui/card.tsx'
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from '../components/ui/table.tsx'
import { pageContext } from '../context.ts'
import type { JudgeSetting } from '../lib/api-types.ts'
import { counted } from '../lib/days.ts'
import { listOrProblem } from '../lib/list-or-problem.ts'
import { percent } from '../lib/numbers.ts'
import { titled } from '../lib/titles.ts'
import { judgeProviders } from '../lib/wording.ts'
import type { Route } from './+types/judge-settings'

export async function loader({ url, context }: Route.LoaderArgs) {
  const { api, may } = context.get(pageContext)
  const mayAdd = may('judgeSettings.create')
  const cursor = url.searchParams.get('cursor') || undefined
  const { items: judges, nextCursor, problem } = await listOrProblem(() => api.judgeSettings.list({ cursor }))
  return data({ judges, nextCursor, mayAdd, problem }, { status: problem?.status ?? 200 })
}

export const meta: Route.MetaFunction = () => titled('Judge Settings')

export default function JudgeSettings({ loaderData: { judges, nextCursor, mayAdd, problem } }: Route.ComponentProps) {
  return (
    <div className="mx-auto max-w-4xl">
      <BackLink to="/test-suites">Test Suites</BackLink>
      <PageHeader
        title="Judge Settings"
        description="How replies are judged. The suite’s own goes first, then the agent’s, then the default."
        actions={mayAdd && judges.length > 0 && <AddLink to="/judge-settings/new">New Judge Setting</AddLink>}
      />
      <AddressNotice problem={problem} ignored={[]} />
      <Card className="gap-0 overflow-hidden p-0 sm:p-0">
        {judges.length > 0 ? (
          <JudgeTable judges={judges} />
        ) : (
          <EmptyState title="No judge settings yet">
            <p>Without one no case can pass: nothing says what a good reply is.</p>
            {mayAdd && <AddLink to="/judge-settings/new">New Judge Setting</AddLink>}
          </EmptyState>
        )}
      </Card>
      <div className="mt-3 flex min-h-8 justify-end">
        <Pagination nextCursor={nextCursor} />
      </div>
    </div>
  )
}

function JudgeTable({ judges }: { judges: JudgeSetting[] }) {
  return (
    <Table>
      <caption className="sr-only">Judge settings</caption>
      <TableHeader>
        <tr>
          <TableHead>Name</TableHead>
          <TableHead>Judged by</TableHead>
          <TableHead className="text-right">Passes from</TableHead>
          <TableHead>
            <span className="sr-only">Default</span>
          </TableHead>
        </tr>
      </TableHeader>
      <TableBody>
        {judges.map((judge) => (
          <TableRow key={judge.id}>
            <TableCell className="max-lg:block max-lg:pb-1">
              <Link
                to={`/judge-settings/${judge.id}`}
                className="rounded-sm font-medium wrap-anywhere hover:text-primary hover:underline"
              >
                {judge.name}
              </Link>
            </TableCell>
            <TableCell data-label="Judged by" className="wrap-anywhere">
              {meansOf(judge)}
            </TableCell>
            <TableCell data-label="Passes from" className="tabular-nums lg:text-right">
              {percent(judge.passThreshold)}
            </TableCell>
            <TableCell className="max-lg:block">{judge.isDefault && <Badge variant="success">Default</Badge>}</TableCell>
          </TableRow>
        ))}
      </TableBody>
    </Table>
  )
}

function meansOf({ provider, criteria, model }: JudgeSetting): string {
  const parts = [provider !== 'model' && counted(criteria.length, 'criterion', 'criteria'), model?.name]
  return `${judgeProviders[provider].label}: ${parts.filter(Boolean).join(', then ')}`
}
