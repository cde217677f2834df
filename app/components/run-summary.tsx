import { Link } from 'react-router'
import type { Run } from '../lib/api-types.ts'
import { counted } from '../lib/days.ts'
import { duration, percent } from '../lib/numbers.ts'
import { useIsHydrated } from '../lib/use-is-hydrated.ts'
import { Figure, Figures } from './figures.tsx'
import { isGoing, RunStatus } from './run-status.tsx'
import { Button } from './ui/button.tsx'
import { Card } from './ui/card.tsx'
import { VerdictBar } from './verdict-bar.tsx'

/** How it ended, or how far it is. */
export function RunSummary({ run }: { run: Run }) {
  return (
    <Card>
      {isGoing(run) ? <Progress run={run} /> : <Outcome run={run} />}
      <VerdictBar counts={run.counts} />
    </Card>
  )
}

const executedOf = ({ counts: { passed, failed, skipped, errors } }: Run) => passed + failed + skipped + errors

function Outcome({ run }: { run: Run }) {
  const { counts, passRate, passThreshold, latency, startedAt, completedAt } = run
  const executed = executedOf(run)
  return (
    <Figures>
      <Figure term="Outcome">
        <span className="text-base font-medium tracking-normal">
          <RunStatus run={run} />
        </span>
      </Figure>
      {passRate !== null && (
        <Figure term="Pass rate" note={`needs ${percent(passThreshold)}`}>
          {percent(passRate)}
        </Figure>
      )}
      <Figure term="Cases" note={executed < counts.total ? `${executed} executed` : undefined}>
        {counts.total}
      </Figure>
      {latency.medianMs !== null && (
        <Figure term="Median latency" note={`95 % within ${duration(latency.p95Ms)}`}>
          {duration(latency.medianMs)}
        </Figure>
      )}
      {startedAt && completedAt && <Figure term="Took">{duration(Date.parse(completedAt) - Date.parse(startedAt))}</Figure>}
    </Figures>
  )
}

/** With JavaScript the page follows by itself; without it, a link asks again. */
function Progress({ run }: { run: Run }) {
  const isHydrated = useIsHydrated()
  return (
    <div className="flex min-h-7 flex-wrap items-center gap-x-4 gap-y-2">
      <RunStatus run={run} />
      <p role="status" className="text-sm text-muted-foreground tabular-nums">
        {run.status === 'pending'
          ? 'It starts in a moment, or when others have ended.'
          : `${executedOf(run)} of ${counted(run.counts.total, 'case')} executed.`}
      </p>
      {!isHydrated && (
        <Button asChild variant="outline" size="xs" className="ml-auto">
          <Link to={`/runs/${run.id}`} reloadDocument>
            Refresh
          </Link>
        </Button>
      )}
    </div>
  )
}
