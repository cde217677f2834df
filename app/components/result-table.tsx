import { UserCheckIcon } from 'lucide-react'
import { Link } from 'react-router'
import type { Result } from '../lib/api-types.ts'
import { duration, score } from '../lib/numbers.ts'
import { verdicts } from '../lib/wording.ts'
import { VerdictBadge } from './run-status.tsx'
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from './ui/table.tsx'

export function ResultTable({ results }: { results: Result[] }) {
  return (
    <Table>
      <caption className="sr-only">Results, in the order of the cases</caption>
      <TableHeader>
        <tr>
          <TableHead>Case</TableHead>
          <TableHead>Verdict</TableHead>
          <TableHead className="text-right">Score</TableHead>
          <TableHead className="text-right">Latency</TableHead>
          <TableHead>Tags</TableHead>
        </tr>
      </TableHeader>
      <TableBody>
        {results.map((result) => (
          <TableRow key={result.id}>
            <TableCell className="max-lg:block max-lg:pb-1 lg:w-2/5">
              <ResultLink result={result} />
            </TableCell>
            <TableCell data-label="Verdict">
              <div>
                <VerdictBadge verdict={result.verdict} />
                {result.human && <HumanNote human={result.human} />}
              </div>
            </TableCell>
            <TableCell data-label="Score" className="tabular-nums lg:text-right">
              {score(result.overallScore)}
            </TableCell>
            <TableCell data-label="Latency" className="whitespace-nowrap tabular-nums lg:text-right">
              {duration(result.latencyMs)}
            </TableCell>
            <TableCell data-label="Tags" className="wrap-anywhere text-muted-foreground">
              {result.tags.join(', ') || '–'}
            </TableCell>
          </TableRow>
        ))}
      </TableBody>
    </Table>
  )
}

/** What was not executed has nothing to show. */
function ResultLink({ result: { id, runId, name, verdict } }: { result: Result }) {
  if (!verdict) return <span className="wrap-anywhere">{name}</span>
  return (
    <Link to={`/runs/${runId}/results/${id}`} className="rounded-sm font-medium wrap-anywhere hover:text-primary hover:underline">
      {name}
    </Link>
  )
}

function HumanNote({ human: { verdict, byName } }: { human: NonNullable<Result['human']> }) {
  return (
    <div className="flex items-center gap-1 text-xs text-muted-foreground">
      <UserCheckIcon aria-hidden="true" className="size-3.5 shrink-0" />
      {byName}: {verdicts[verdict].toLowerCase()}
    </div>
  )
}
