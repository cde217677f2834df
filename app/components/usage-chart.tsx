import type { KeyUsage } from '../lib/api-types.ts'
import { counted, shortDay } from '../lib/days.ts'
import { BarChart } from './bar-chart.tsx'

type Day = KeyUsage['days'][number]

/** Calls by day; the table below it has them too. */
export function UsageChart({ days }: { days: Day[] }) {
  const [first, last] = [days[0], days.at(-1)]
  return (
    <BarChart
      bars={days.map((day) => ({
        key: day.date,
        title: `${shortDay(day.date)}: ${wordsOf(day)}`,
        base: day.calls,
        top: day.refusals,
      }))}
      label={summaryOf(days)}
      from={first ? shortDay(first.date) : ''}
      to={last ? shortDay(last.date) : ''}
    />
  )
}

const wordsOf = ({ calls, refusals }: Pick<Day, 'calls' | 'refusals'>) => `${counted(calls, 'call')}, ${refusals} refused`

function summaryOf(days: Day[]): string {
  const calls = days.reduce((sum, day) => sum + day.calls, 0)
  const refusals = days.reduce((sum, day) => sum + day.refusals, 0)
  return `Calls a day in the last ${days.length} days: ${wordsOf({ calls, refusals })}. The table below has the days.`
}
