import { data, Link } from 'react-router'
import { AddLink } from '../components/add-link.tsx'
import { AddressNotice, EmptyState, Pagination } from '../components/list-chrome.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card } from '../components/ui/card.tsx'
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from '../components/ui/table.tsx'
import { pageContext } from '../context.ts'
import type { TestSuite } from '../lib/api-types.ts'
import { listOrProblem } from '../lib/list-or-problem.ts'
import { percent } from '../lib/numbers.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/test-suites'

export async function loader({ url, context }: Route.LoaderArgs) {
  const { api, may } = context.get(pageContext)
  const mayAdd = may('testSuites.create')
  const cursor = url.searchParams.get('cursor') || undefined
  const { items: suites, nextCursor, problem } = await listOrProblem(() => api.testSuites.list({ cursor }))
  return data({ suites, nextCursor, mayAdd, problem }, { status: problem?.status ?? 200 })
}

export const meta: Route.MetaFunction = () => titled('Test Suites')

export default function TestSuites({ loaderData: { suites, nextCursor, mayAdd, problem } }: Route.ComponentProps) {
  return (
    <>
      <PageHeader
        title="Test Suites"
        description="Cases that are run together against an agent."
        actions={
          <>
            <Button asChild variant="outline">
              <Link to="/judge-settings">Judge settings</Link>
            </Button>
            {mayAdd && suites.length > 0 && <AddLink to="/test-suites/new">New Test Suite</AddLink>}
          </>
        }
      />
      <AddressNotice problem={problem} ignored={[]} />
      <Card className="gap-0 overflow-hidden p-0 sm:p-0">
        {suites.length > 0 ? (
          <SuiteTable suites={suites} />
        ) : (
          <EmptyState title="No test suites yet">
            <p>{mayAdd ? 'Make one for each thing that your agent should be good at.' : 'An admin writes them.'}</p>
            {mayAdd && <AddLink to="/test-suites/new">New Test Suite</AddLink>}
          </EmptyState>
        )}
      </Card>
      <div className="mt-3 flex min-h-8 justify-end">
        <Pagination nextCursor={nextCursor} />
      </div>
    </>
  )
}

function SuiteTable({ suites }: { suites: TestSuite[] }) {
  return (
    <Table>
      <caption className="sr-only">Test suites</caption>
      <TableHeader>
        <tr>
          <TableHead>Name</TableHead>
          <TableHead className="text-right">Cases</TableHead>
          <TableHead className="text-right">Passes from</TableHead>
          <TableHead>Tags</TableHead>
        </tr>
      </TableHeader>
      <TableBody>
        {suites.map(({ id, name, description, caseCount, passThreshold, tags }) => (
          <TableRow key={id}>
            <TableCell className="max-lg:block max-lg:pb-1 lg:w-1/2">
              <Link to={`/test-suites/${id}`} className="rounded-sm font-medium wrap-anywhere hover:text-primary hover:underline">
                {name}
              </Link>
              {description && <div className="line-clamp-1 text-xs wrap-anywhere text-muted-foreground">{description}</div>}
            </TableCell>
            <TableCell data-label="Cases" className="tabular-nums lg:text-right">
              {caseCount}
            </TableCell>
            <TableCell data-label="Passes from" className="tabular-nums lg:text-right">
              {percent(passThreshold)}
            </TableCell>
            <TableCell data-label="Tags" className="wrap-anywhere">
              {tags.join(', ') || '–'}
            </TableCell>
          </TableRow>
        ))}
      </TableBody>
    </Table>
  )
}
