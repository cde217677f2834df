import { useRouteLoaderData } from 'react-router'
import { type DateStyle, writeDate } from '../lib/dates.ts'
import { useIsHydrated } from '../lib/use-is-hydrated.ts'
import type { loader } from '../root.tsx'

/** How the reader wants dates; ISO 8601 in UTC until the page knows their zone. */
function useDateStyle(): DateStyle {
  const chosen = useRouteLoaderData<typeof loader>('root')?.dates ?? ''
  return useIsHydrated() ? chosen : 'utc'
}

/** An instant as the reader wants it, the exact one in UTC on hover. */
export function LocalTime({ instant }: { instant: string }) {
  const style = useDateStyle()
  const date = new Date(instant)
  const utc = date.toISOString().replace('T', ' ')
  const { day, time } = writeDate(date, style)
  // In a narrow column a line may end between day and time, never within the day.
  return (
    <time dateTime={instant} title={`${utc.slice(0, 19)} UTC`} className="tabular-nums">
      <span className="xl:whitespace-nowrap">
        <span className="whitespace-nowrap">{day}</span> {time}
      </span>
      {style === 'utc' && ' UTC'}
    </time>
  )
}

/** Says once which zone the times on this page are in. */
export function TimeZoneNote() {
  const zone = useDateStyle() === 'utc' ? 'UTC' : Intl.DateTimeFormat().resolvedOptions().timeZone
  return <p className="text-xs text-muted-foreground">Times are in {zone}.</p>
}
