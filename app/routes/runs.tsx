import { PlayIcon } from 'lucide-react'
import { data, Link } from 'react-router'
import { FilterForm, FilterSelect } from '../components/filter-form.tsx'
import { AddressNotice, EmptyState, Pagination } from '../components/list-chrome.tsx'
import { TimeZoneNote } from '../components/local-time.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { RunTable } from '../components/run-table.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card } from '../components/ui/card.tsx'
import { pageContext } from '../context.ts'
import type { Run } from '../lib/api-types.ts'
import { everyPage } from '../lib/every-page.ts'
import { listOrProblem } from '../lib/list-or-problem.ts'
import { chosen, ignoredOf } from '../lib/search-params.ts'
import { titled } from '../lib/titles.ts'
import { runStatuses } from '../lib/wording.ts'
import type { Route } from './+types/runs'

export async function loader({ url, context }: Route.LoaderArgs) {
  const { api, may } = context.get(pageContext)
  const suites = await everyPage((page) => api.testSuites.list(page))
  const agents = await everyPage((page) => api.agents.list(page))
  const optionsOf = (items: { id: string; name: string }[]) => items.map(({ id, name }) => ({ value: id, label: name }))
  const idsOf = (items: { id: string }[]) => items.map(({ id }) => id)
  const status = chosen(url.searchParams, 'status', Object.keys(runStatuses) as Run['status'][])
  const suite = chosen(url.searchParams, 'suiteId', idsOf(suites))
  const agent = chosen(url.searchParams, 'agentId', idsOf(agents))
  const filters = { status: status.value, suiteId: suite.value, agentId: agent.value }
  const shared = {
    filters,
    ignored: ignoredOf(status, suite, agent),
    suites: optionsOf(suites),
    agents: optionsOf(agents),
    mayRun: may('runs.create'),
  }
  const cursor = url.searchParams.get('cursor') || undefined
  const { items: runs, nextCursor, problem } = await listOrProblem(() => api.runs.list({ ...filters, cursor }))
  return data({ ...shared, runs, nextCursor, problem }, { status: problem?.status ?? 200 })
}

export const meta: Route.MetaFunction = () => titled('Runs')

export default function Runs({ loaderData }: Route.ComponentProps) {
  const { filters, ignored, problem, runs, nextCursor, suites, agents, mayRun } = loaderData
  const isFiltered = Object.values(filters).some(Boolean)
  const isEmpty = runs.length === 0 && !isFiltered && !problem
  return (
    <>
      <PageHeader
        title="Runs"
        description="Test suites executed against agents, newest first."
        actions={mayRun && !isEmpty && <RunLink />}
      />
      <AddressNotice problem={problem} ignored={ignored} />
      {!isEmpty && (
        <FilterForm isFiltered={isFiltered}>
          <FilterSelect label="Test suite" name="suiteId" value={filters.suiteId} options={suites} className="w-full sm:w-52" />
          <FilterSelect label="Agent" name="agentId" value={filters.agentId} options={agents} className="w-full sm:w-52" />
          <FilterSelect
            label="Status"
            name="status"
            value={filters.status}
            options={Object.entries(runStatuses).map(([value, label]) => ({ value, label }))}
            className="w-36"
          />
        </FilterForm>
      )}
      <Card className="gap-0 overflow-hidden p-0 sm:p-0">
        {runs.length > 0 ? (
          <RunTable runs={runs} />
        ) : (
          <EmptyState title={isEmpty ? 'No runs yet' : 'No run matches'}>
            <p>{isEmpty ? 'A run sends each case of a suite to an agent, and judges the replies.' : 'Try fewer filters.'}</p>
            {isEmpty && mayRun && <RunLink />}
          </EmptyState>
        )}
      </Card>
      <div className="mt-3 flex min-h-8 flex-wrap items-center justify-between gap-3">
        <TimeZoneNote />
        <Pagination nextCursor={nextCursor} />
      </div>
    </>
  )
}

function RunLink() {
  return (
    <Button asChild>
      <Link to="/runs/new">
        <PlayIcon aria-hidden="true" />
        Run a Suite
      </Link>
    </Button>
  )
}
