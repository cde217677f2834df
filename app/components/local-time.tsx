import { useIsHydrated } from '../lib/use-is-hydrated.ts'

/** An instant in the reader's zone, the exact one in UTC on hover; in UTC until the page knows the zone. */
export function LocalTime({ instant }: { instant: string }) {
  const isHydrated = useIsHydrated()
  const date = new Date(instant)
  const utc = date.toISOString().replace('T', ' ')
  const [day, time] = (isHydrated ? inZoneOfReader(date) : utc.slice(0, 16)).split(' ')
  // In a narrow column a line may end between day and time, never within the day.
  return (
    <time dateTime={instant} title={`${utc.slice(0, 19)} UTC`} className="tabular-nums">
      <span className="xl:whitespace-nowrap">
        <span className="whitespace-nowrap">{day}</span> {time}
      </span>
      {!isHydrated && ' UTC'}
    </time>
  )
}

/** Says once which zone the times on this page are in. */
export function TimeZoneNote() {
  const zone = useIsHydrated() ? Intl.DateTimeFormat().resolvedOptions().timeZone : 'UTC'
  return <p className="text-xs text-muted-foreground">Times are in {zone}.</p>
}

function inZoneOfReader(date: Date): string {
  const two = (part: number) => String(part).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`
}
