import type { Run } from '../lib/api-types.ts'
import { counted } from '../lib/days.ts'
import { duration, percent } from '../lib/numbers.ts'
import type { LatencyBin, TagRate } from '../lib/run-figures.ts'
import { BarChart } from './bar-chart.tsx'
import { Card, CardTitle } from './ui/card.tsx'
import { VerdictBar } from './verdict-bar.tsx'

export function RatesByTag({ rates }: { rates: TagRate[] }) {
  if (rates.length === 0) return null
  return (
    <Card>
      <CardTitle>Pass rate by tag</CardTitle>
      <table className="w-full text-sm tabular-nums">
        <caption className="sr-only">Pass rate by tag, the worst first</caption>
        <thead className="text-left text-xs text-muted-foreground">
          <tr>
            <th scope="col" className="pb-1 font-medium">
              Tag
            </th>
            <th scope="col" className="w-1/3 pb-1 font-medium max-sm:hidden">
              <span className="sr-only">As a bar</span>
            </th>
            <th scope="col" className="pb-1 text-right font-medium">
              Passed
            </th>
            <th scope="col" className="pb-1 text-right font-medium">
              Rate
            </th>
          </tr>
        </thead>
        <tbody>
          {rates.map(({ tag, passed, counted: all }) => (
            <tr key={tag} className="border-t">
              <th scope="row" className="py-1.5 pr-3 text-left font-normal wrap-anywhere">
                {tag}
              </th>
              <td className="py-1.5 align-middle max-sm:hidden">
                <VerdictBar counts={{ total: all, passed, failed: all - passed, errors: 0, skipped: 0 }} className="h-1.5" />
              </td>
              <td className="py-1.5 pl-3 text-right whitespace-nowrap">
                {passed} of {all}
              </td>
              <td className="py-1.5 pl-3 text-right whitespace-nowrap">{percent(passed / all)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  )
}

interface LatenciesProps {
  bins: LatencyBin[]
  latency: Run['latency']
}

/** Of the agent's answers in each case, together. */
export function Latencies({ bins, latency: { averageMs, medianMs, p95Ms } }: LatenciesProps) {
  const last = bins.at(-1)
  if (!last) return null
  const all = bins.reduce((sum, { count }) => sum + count, 0)
  return (
    <Card>
      <CardTitle>Latency</CardTitle>
      <BarChart
        bars={bins.map((bin) => ({
          key: String(bin.fromMs),
          title: `${rangeOf(bin)}: ${counted(bin.count, 'case')}`,
          base: bin.count,
        }))}
        label={`How many of ${counted(all, 'case')} took how long, from 0 to ${duration(last.toMs)}. The table below has the numbers.`}
        from="0"
        to={duration(last.toMs)}
      />
      {medianMs !== null && (
        <p className="text-sm text-muted-foreground tabular-nums">
          Median {duration(medianMs)}, average {duration(averageMs)}, 95 % within {duration(p95Ms)}
        </p>
      )}
      <details className="text-sm">
        <summary className="rounded-sm text-muted-foreground hover:text-foreground">As a table</summary>
        <table className="mt-3 w-full max-w-xs tabular-nums">
          <caption className="sr-only">Cases by latency</caption>
          <thead className="text-left text-xs text-muted-foreground">
            <tr>
              <th scope="col" className="py-1 font-medium">
                Latency
              </th>
              <th scope="col" className="py-1 text-right font-medium">
                Cases
              </th>
            </tr>
          </thead>
          <tbody>
            {bins.map((bin) => (
              <tr key={bin.fromMs} className="border-t">
                <th scope="row" className="py-1 text-left font-normal">
                  {rangeOf(bin)}
                </th>
                <td className="py-1 text-right">{bin.count}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </Card>
  )
}

const rangeOf = ({ fromMs, toMs }: LatencyBin) => `${duration(fromMs)} – ${duration(toMs)}`
