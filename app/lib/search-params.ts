// Filters live in the address, and anybody may edit an address: unknown values are set aside and named, not thrown.

export interface Choice<T> {
  value: T | undefined
  /** Set when the address asks for something that does not exist. */
  ignored?: string
}

export function chosen<const T extends string>(params: URLSearchParams, name: string, options: readonly T[]): Choice<T> {
  const text = params.get(name)
  if (!text) return { value: undefined }
  const value = options.find((option) => option === text)
  return value === undefined ? { value, ignored: `${name}=${text.slice(0, 40)}` } : { value }
}

/** A calendar day as a date field sends it, e.g. 2026-11-24. */
export function chosenDay(params: URLSearchParams, name: string): Choice<string> {
  const text = params.get(name)
  if (!text) return { value: undefined }
  return isDay(text) ? { value: text } : { value: undefined, ignored: `${name}=${text.slice(0, 40)}` }
}

export function ignoredOf(...choices: Choice<unknown>[]): string[] {
  return choices.flatMap((choice) => choice.ignored ?? [])
}

/** The same address with some parameters changed; undefined or '' takes one away. */
export function withParams(params: URLSearchParams, changes: Record<string, string | undefined>): string {
  const next = new URLSearchParams([...params].filter(([name, value]) => value && !(name in changes)))
  for (const [name, value] of Object.entries(changes)) if (value) next.set(name, value)
  return next.size > 0 ? `?${next}` : '?'
}

export function isDay(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\d$/.test(text)) return false
  const date = new Date(`${text}T00:00:00Z`)
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text)
}
