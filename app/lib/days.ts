// Days in UTC, as usage is counted: the same text on the server and in the browser.
const short = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' })

/** `2026-11-24` → `24 Nov`. */
export function shortDay(date: string): string {
  return short.format(new Date(`${date}T00:00:00Z`))
}

export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en-GB')} ${count === 1 ? one : many}`
}
