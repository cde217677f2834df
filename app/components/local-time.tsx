import { useIsHydrated } from '../lib/use-is-hydrated.ts'

/** An instant in the reader's zone, the exact one in UTC on hover; in UTC until the page knows the zone. */
export function LocalTime({ instant }: { instant: string }) {
  const isHydrated = useIsHydrated()
  const date = new Date(instant)
  const utc = date.toISOString().replace('T', ' ')
  return (
    <time dateTime={instant} title={`${utc.slice(0, 19)} UTC`} className="whitespace-nowrap tabular-nums">
      {isHydrated ? inZoneOfReader(date) : `${utc.slice(0, 16)} UTC`}
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
