import { Link } from 'react-router'
import type { Api } from '#server/pages.ts'
import { ExplorerLinks } from '../components/api-explorer.tsx'
import { ExpiringKeys } from '../components/expiring-keys.tsx'
import { FirstSteps } from '../components/first-steps.tsx'
import { TimeZoneNote } from '../components/local-time.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { RunTable } from '../components/run-table.tsx'
import { RunsOverTime } from '../components/runs-over-time.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card, CardDescription, CardTitle } from '../components/ui/card.tsx'
import { pageContext } from '../context.ts'
import type { Run } from '../lib/api-types.ts'
import { expiringSoon } from '../lib/expiry.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/home'

export async function loader({ context }: Route.LoaderArgs) {
  const { api, may } = context.get(pageContext)
  const summary = await api.metrics.getSummary({ days: 30 })
  const runs = await api.runs.list({ limit: 5 })
  const isAdmin = may('apiKeys.list')
  const keys = isAdmin ? await api.apiKeys.list({ status: 'active', sort: 'expiresAt', order: 'asc', limit: 5 }) : { items: [] }
  return {
    summary,
    runs: runs.items,
    keys: expiringSoon(keys.items),
    isAdmin,
    mayRun: may('runs.create'),
    stepsTaken: runs.items.length === 0 ? await findStepsTaken(api) : undefined,
  }
}

/** Which of the first steps are taken: asked for only while there is no run. */
async function findStepsTaken(api: Api) {
  const agents = await api.agents.list({ limit: 1 })
  const suites = await api.testSuites.list({ limit: 1 })
  const judges = await api.judgeSettings.list({ limit: 1 })
  return { agent: agents.items.length > 0, suite: suites.items.length > 0, judge: judges.items.length > 0 }
}

export const meta: Route.MetaFunction = () => titled('Overview')

export default function Home({ loaderData: { summary, runs, keys, isAdmin, mayRun, stepsTaken } }: Route.ComponentProps) {
  return (
    <>
      <PageHeader title="Overview" />
      <div className="grid gap-6">
        {keys.length > 0 && <ExpiringKeys keys={keys} />}
        {stepsTaken ? (
          <FirstSteps has={stepsTaken} isAdmin={isAdmin} mayRun={mayRun} />
        ) : (
          <>
            <RunsOverTime summary={summary} />
            <LastRuns runs={runs} />
            <TimeZoneNote />
          </>
        )}
        {!isAdmin && <ForPrograms />}
      </div>
    </>
  )
}

function LastRuns({ runs }: { runs: Run[] }) {
  return (
    <Card className="gap-0 overflow-hidden p-0 sm:p-0">
      <div className="flex min-h-13 items-center justify-between gap-3 border-b px-4 py-2">
        <CardTitle>Last runs</CardTitle>
        <Button asChild variant="link" size="sm" className="-mr-3">
          <Link to="/runs">All runs</Link>
        </Button>
      </div>
      <RunTable runs={runs} />
    </Card>
  )
}

/** Of those who may not make a key themselves. */
function ForPrograms() {
  return (
    <Card>
      <div className="grid gap-1">
        <CardTitle>API</CardTitle>
        <CardDescription>
          Pipelines do all of this with an API key. An admin makes one: say what it is for and which role it needs.
        </CardDescription>
      </div>
      <ExplorerLinks />
    </Card>
  )
}
