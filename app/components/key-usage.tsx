import type { ReactNode } from 'react'
import { Link } from 'react-router'
import type { KeyUsage as Usage } from '../lib/api-types.ts'
import { counted } from '../lib/days.ts'
import { LocalTime } from './local-time.tsx'
import { Card, CardTitle } from './ui/card.tsx'
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from './ui/table.tsx'
import { UsageChart } from './usage-chart.tsx'

interface KeyUsageProps {
  usage: Usage
  /** The days are of this one alone. */
  operation: string | undefined
}

/** What the key was used for: by day, by operation, and what of it was refused last. */
export function KeyUsage({ usage: { days, operations, refusals }, operation }: KeyUsageProps) {
  const calls = days.reduce((sum, day) => sum + day.calls, 0)
  const refused = days.reduce((sum, day) => sum + day.refusals, 0)
  return (
    <Card>
      <div className="flex flex-wrap items-baseline justify-between gap-x-4 gap-y-1">
        <CardTitle>Usage in {days.length} days</CardTitle>
        {operations.length > 0 && (
          <p className="flex gap-4 text-sm text-muted-foreground">
            <Legend className="bg-primary">{counted(calls, 'call')}</Legend>
            <Legend className="bg-destructive">{refused.toLocaleString('en-GB')} refused</Legend>
          </p>
        )}
      </div>
      {operations.length === 0 ? (
        <p className="text-sm text-muted-foreground">No calls yet. They appear here within seconds.</p>
      ) : (
        <>
          {operation && (
            <p className="text-sm text-muted-foreground">
              <span className="font-mono text-[0.8125rem] wrap-anywhere text-foreground">{operation}</span> alone.{' '}
              <Link to="?" preventScrollReset className="underline underline-offset-2 hover:text-foreground">
                All operations
              </Link>
            </p>
          )}
          <UsageChart days={days} />
          <Days days={days} />
          <Operations operations={operations} />
          {refusals.length > 0 && <Refusals refusals={refusals} />}
        </>
      )}
    </Card>
  )
}

function Legend({ className, children }: { className: string; children: ReactNode }) {
  return (
    <span className="inline-flex items-center gap-1.5">
      <span aria-hidden="true" className={`size-2.5 rounded-[2px] ${className}`} />
      {children}
    </span>
  )
}

function Days({ days }: Pick<Usage, 'days'>) {
  const used = days.filter(({ calls, refusals }) => calls + refusals > 0).reverse()
  return (
    <details className="text-sm">
      <summary className="rounded-sm text-muted-foreground hover:text-foreground">Days as a table</summary>
      <table className="mt-3 w-full max-w-xs tabular-nums">
        <caption className="sr-only">Days with calls, newest first, in UTC</caption>
        <thead className="text-left text-xs text-muted-foreground">
          <tr>
            <th scope="col" className="py-1 font-medium">
              Day (UTC)
            </th>
            <th scope="col" className="py-1 text-right font-medium">
              Calls
            </th>
            <th scope="col" className="py-1 text-right font-medium">
              Refused
            </th>
          </tr>
        </thead>
        <tbody>
          {used.map(({ date, calls, refusals }) => (
            <tr key={date} className="border-t">
              <th scope="row" className="py-1 text-left font-normal">
                {date}
              </th>
              <td className="py-1 text-right">{calls.toLocaleString('en-GB')}</td>
              <td className="py-1 text-right">{refusals.toLocaleString('en-GB')}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  )
}

function Operations({ operations }: Pick<Usage, 'operations'>) {
  return (
    <Table className="border-t">
      <caption className="sr-only">Operations used, most used first</caption>
      <TableHeader>
        <tr>
          <TableHead className="lg:pl-0 xl:pl-0">Operation</TableHead>
          <TableHead className="text-right">Calls</TableHead>
          <TableHead className="text-right">Refused</TableHead>
          <TableHead>Last</TableHead>
        </tr>
      </TableHeader>
      <TableBody>
        {operations.map(({ operation, calls, refusals, lastAt, lastIp }) => (
          <TableRow key={operation} className="max-lg:px-0">
            <TableCell className="font-mono text-[0.8125rem] wrap-anywhere max-lg:block lg:pl-0 xl:pl-0">
              <Link
                to={`?operation=${encodeURIComponent(operation)}`}
                preventScrollReset
                className="rounded-sm hover:text-primary hover:underline"
              >
                {operation}
              </Link>
            </TableCell>
            <TableCell data-label="Calls" className="tabular-nums lg:text-right">
              {calls.toLocaleString('en-GB')}
            </TableCell>
            <TableCell data-label="Refused" className="tabular-nums lg:text-right">
              {refusals.toLocaleString('en-GB')}
            </TableCell>
            <TableCell data-label="Last">
              <div>
                <LocalTime instant={lastAt} />
                {lastIp && <div className="text-xs wrap-anywhere text-muted-foreground">from {lastIp}</div>}
              </div>
            </TableCell>
          </TableRow>
        ))}
      </TableBody>
    </Table>
  )
}

function Refusals({ refusals }: Pick<Usage, 'refusals'>) {
  return (
    <details className="border-t pt-4 text-sm">
      <summary className="rounded-sm text-muted-foreground hover:text-foreground">Recent refusals</summary>
      <ul className="mt-3 grid gap-3">
        {refusals.map(({ at, operation, reason, occurrences, ip }) => (
          <li key={`${at} ${operation}`}>
            <p className="wrap-anywhere">{reason}</p>
            <p className="text-xs text-muted-foreground">
              <LocalTime instant={at} />
              {ip && ` from ${ip}`}
              {occurrences > 1 && `, ${occurrences} times`}
            </p>
          </li>
        ))}
      </ul>
    </details>
  )
}
