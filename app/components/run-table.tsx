import { Link } from 'react-router'
import type { Run } from '../lib/api-types.ts'
import { percent } from '../lib/numbers.ts'
import { LocalTime } from './local-time.tsx'
import { RunStatus } from './run-status.tsx'
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from './ui/table.tsx'
import { VerdictBar } from './verdict-bar.tsx'

interface RunTableProps {
  runs: Run[]
  /** Its name stands above already. */
  isOfOneSuite?: boolean
}

/** Newest first. */
export function RunTable({ runs, isOfOneSuite = false }: RunTableProps) {
  const columns = ['Run', isOfOneSuite ? [] : 'Test suite', 'Agent', 'Outcome', 'Cases passed', 'Asked for by'].flat()
  return (
    <Table>
      <caption className="sr-only">Runs, newest first</caption>
      <TableHeader>
        <tr>
          {columns.map((column) => (
            <TableHead key={column}>{column}</TableHead>
          ))}
        </tr>
      </TableHeader>
      <TableBody>
        {runs.map((run) => (
          <TableRow key={run.id}>
            <TableCell className="max-lg:block max-lg:pb-1 lg:w-48">
              <Link to={`/runs/${run.id}`} className="rounded-sm font-medium hover:text-primary hover:underline">
                <LocalTime instant={run.createdAt} />
              </Link>
            </TableCell>
            {!isOfOneSuite && (
              <TableCell data-label="Test suite" className="wrap-anywhere">
                {run.suiteName}
              </TableCell>
            )}
            <TableCell data-label="Agent" className="wrap-anywhere">
              {run.agentName}
            </TableCell>
            <TableCell data-label="Outcome">
              <RunStatus run={run} />
            </TableCell>
            <TableCell data-label="Cases passed">
              <CasesPassed run={run} />
            </TableCell>
            <TableCell data-label="Asked for by" className="wrap-anywhere text-muted-foreground">
              {run.requestedBy.name}
            </TableCell>
          </TableRow>
        ))}
      </TableBody>
    </Table>
  )
}

function CasesPassed({ run: { counts, passRate } }: { run: Run }) {
  return (
    <div className="grid max-w-44 min-w-28 gap-1">
      <span className="tabular-nums">
        {counts.passed} of {counts.total}
        {passRate !== null && <span className="text-muted-foreground"> · {percent(passRate)}</span>}
      </span>
      <VerdictBar counts={counts} className="h-1.5" />
    </div>
  )
}
