import type { MetricsSummary } from '../lib/api-types.ts'
import { counted, shortDay } from '../lib/days.ts'
import { duration, percent } from '../lib/numbers.ts'
import { BarChart } from './bar-chart.tsx'
import { Figure, Figures } from './figures.tsx'
import { Card, CardTitle } from './ui/card.tsx'

type Day = MetricsSummary['byDay'][number]

export function RunsOverTime({ summary }: { summary: MetricsSummary }) {
  const { days, runs, passRate, medianLatencyMs, byDay } = summary
  const [first, last] = [byDay[0], byDay.at(-1)]
  const judged = byDay.reduce((sum, day) => sum + day.judged, 0)
  return (
    <Card>
      <CardTitle>The last {days} days</CardTitle>
      <Figures>
        <Figure term="Runs">{runs.total.toLocaleString('en-GB')}</Figure>
        <Figure term="Cases judged">{judged.toLocaleString('en-GB')}</Figure>
        <Figure term="Pass rate">{percent(passRate)}</Figure>
        <Figure term="Median latency">{duration(medianLatencyMs)}</Figure>
      </Figures>
      <div className="grid gap-3">
        <p className="flex gap-4 text-sm text-muted-foreground">
          <Legend className="bg-success">Cases passed</Legend>
          <Legend className="bg-destructive">Not passed</Legend>
        </p>
        <BarChart
          bars={byDay.map((day) => ({
            key: day.day,
            title: `${shortDay(day.day)}: ${wordsOf(day)}`,
            base: day.passed,
            top: day.judged - day.passed,
          }))}
          label={`Cases a day in the last ${days} days: ${counted(judged, 'case')} judged. The table below has the days.`}
          from={first ? shortDay(first.day) : ''}
          to={last ? shortDay(last.day) : ''}
          baseClass="fill-success"
        />
      </div>
      <Days days={byDay} />
    </Card>
  )
}

const wordsOf = ({ runs, passed, judged }: Day) => `${counted(runs, 'run')}, ${passed} of ${counted(judged, 'case')} passed`

function Legend({ className, children }: { className: string; children: string }) {
  return (
    <span className="inline-flex items-center gap-1.5">
      <span aria-hidden="true" className={`size-2.5 rounded-[2px] ${className}`} />
      {children}
    </span>
  )
}

function Days({ days }: { days: Day[] }) {
  const used = days.filter(({ runs }) => runs > 0).reverse()
  return (
    <details className="text-sm">
      <summary className="rounded-sm text-muted-foreground hover:text-foreground">Days as a table</summary>
      <table className="mt-3 w-full max-w-sm tabular-nums">
        <caption className="sr-only">Days with runs, newest first, in UTC</caption>
        <thead className="text-xs text-muted-foreground">
          <tr>
            {['Day (UTC)', 'Runs', 'Cases', 'Passed'].map((column, i) => (
              <th key={column} scope="col" className={`py-1 font-medium ${i === 0 ? 'text-left' : 'text-right'}`}>
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {used.map(({ day, runs, judged, passed }) => (
            <tr key={day} className="border-t">
              <th scope="row" className="py-1 text-left font-normal">
                {day}
              </th>
              {[runs, judged, passed].map((count, i) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: columns of a fixed order
                <td key={i} className="py-1 text-right">
                  {count.toLocaleString('en-GB')}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  )
}
