import { CircleAlertIcon } from 'lucide-react'
import { data, Link, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { AddressNotice, EmptyState, Pagination } from '../components/list-chrome.tsx'
import { LocalTime, TimeZoneNote } from '../components/local-time.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { ResultTable } from '../components/result-table.tsx'
import { RunActions } from '../components/run-actions.tsx'
import { Latencies, RatesByTag } from '../components/run-statistics.tsx'
import { isGoing } from '../components/run-status.tsx'
import { RunSummary } from '../components/run-summary.tsx'
import { Alert, AlertDescription, AlertTitle } from '../components/ui/alert.tsx'
import { Card } from '../components/ui/card.tsx'
import { VerdictLinks } from '../components/verdict-links.tsx'
import { pageContext, problemOf } from '../context.ts'
import type { Run, Verdict } from '../lib/api-types.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { everyPage } from '../lib/every-page.ts'
import { latencyBins, ratesByTag } from '../lib/run-figures.ts'
import { chosen, ignoredOf } from '../lib/search-params.ts'
import { titled } from '../lib/titles.ts'
import { useRefresh } from '../lib/use-refresh.ts'
import { verdicts } from '../lib/wording.ts'
import type { Route } from './+types/run'

const resultsAtOnce = 100

export async function loader({ url, params: { id }, context }: Route.LoaderArgs) {
  const { api, may } = context.get(pageContext)
  const run = await api.runs.get({ id })
  const all = await everyPage((page) => api.results.list({ id, ...page }))
  const verdict = chosen(url.searchParams, 'verdict', Object.keys(verdicts) as Verdict[])
  const matching = verdict.value ? all.filter((result) => result.verdict === verdict.value) : all
  const from = Math.max(0, Math.trunc(Number(url.searchParams.get('cursor'))) || 0)
  const to = from + resultsAtOnce
  return {
    run,
    results: matching.slice(from, to),
    nextCursor: to < matching.length ? String(to) : null,
    verdict: verdict.value,
    ignored: ignoredOf(verdict),
    rates: ratesByTag(all),
    bins: latencyBins(all),
    may: { cancel: may('runs.cancel'), run: may('runs.create'), delete: may('runs.delete') },
  }
}

export async function action({ params: { id }, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  try {
    await page.api.runs.cancel({ id })
    return redirect(`/runs/${id}`, { headers: await flashHeaders(page, 'The run is cancelled.') })
  } catch (thrown) {
    const problem = problemOf(thrown)
    return data({ problem }, { status: problem.status })
  }
}

export const meta: Route.MetaFunction = ({ loaderData }) => titled(loaderData ? `Run of ${loaderData.run.suiteName}` : 'Run')

export default function RunPage({ loaderData, actionData }: Route.ComponentProps) {
  const { run, results, nextCursor, verdict, ignored, rates, bins, may } = loaderData
  useRefresh(isGoing(run), 2_000)
  return (
    <>
      <BackLink to="/runs">Runs</BackLink>
      <PageHeader title={run.suiteName} description={<Circumstances run={run} />} actions={<RunActions run={run} may={may} />} />
      <AddressNotice problem={undefined} ignored={ignored} />
      <div className="grid gap-6">
        <Trouble message={actionData?.problem.detail ?? run.errorMessage} />
        <RunSummary run={run} />
        {!isGoing(run) && (
          <div className="grid items-start gap-6 empty:hidden lg:grid-cols-2">
            <RatesByTag rates={rates} />
            <Latencies bins={bins} latency={run.latency} />
          </div>
        )}
        <Card className="gap-0 overflow-hidden p-0 sm:p-0">
          <VerdictLinks counts={run.counts} chosen={verdict} />
          {results.length > 0 ? (
            <ResultTable results={results} />
          ) : (
            <EmptyState title="No such result">
              <Link to="?" className="underline underline-offset-2">
                Show all
              </Link>
            </EmptyState>
          )}
        </Card>
        <div className="-mt-3 flex min-h-8 flex-wrap items-center justify-between gap-3">
          <TimeZoneNote />
          <Pagination nextCursor={nextCursor} />
        </div>
      </div>
    </>
  )
}

function Circumstances({ run: { agentId, agentName, requestedBy, createdAt } }: { run: Run }) {
  return (
    <>
      Against{' '}
      {agentId ? (
        <Link to={`/agents/${agentId}`} className="underline underline-offset-2 hover:text-foreground">
          {agentName}
        </Link>
      ) : (
        agentName
      )}
      , asked for by {requestedBy.name} at <LocalTime instant={createdAt} />
    </>
  )
}

function Trouble({ message }: { message: string | null | undefined }) {
  if (!message) return null
  return (
    <Alert variant="destructive" role="alert">
      <CircleAlertIcon aria-hidden="true" />
      <AlertTitle>Something went wrong</AlertTitle>
      <AlertDescription className="wrap-anywhere">{message}</AlertDescription>
    </Alert>
  )
}
