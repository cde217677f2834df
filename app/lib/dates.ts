// How dates are written: as ISO 8601 has it unless somebody chose a language.

/** Empty is ISO 8601 in the reader's zone, `utc` the same in UTC, `browser` as the browser is set; else a language (BCP 47). */
export const dateStyles = [
  { value: '', label: '2027-01-31 14:05' },
  { value: 'utc', label: '2027-01-31 13:05 (UTC)' },
  { value: 'browser', label: 'As my browser does' },
  { value: 'en-GB', label: 'English (UK)' },
  { value: 'en-US', label: 'English (US)' },
  { value: 'de', label: 'Deutsch' },
  { value: 'fr', label: 'Français' },
  { value: 'es', label: 'Español' },
  { value: 'it', label: 'Italiano' },
  { value: 'nl', label: 'Nederlands' },
  { value: 'pl', label: 'Polski' },
  { value: 'pt-BR', label: 'Português (Brasil)' },
  { value: 'ja', label: '日本語' },
] as const
export type DateStyle = (typeof dateStyles)[number]['value']

export function asDateStyle(value: unknown): DateStyle {
  return dateStyles.find((style) => style.value === value)?.value ?? ''
}

const two = (part: number) => String(part).padStart(2, '0')

/** Day and time apart, in the zone of this machine but for `utc`. */
export function writeDate(date: Date, style: DateStyle): { day: string; time: string } {
  if (style === 'utc') {
    const [day = '', time = ''] = date.toISOString().slice(0, 16).split('T')
    return { day, time }
  }
  if (style === '') {
    const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
    return { day, time: `${two(date.getHours())}:${two(date.getMinutes())}` }
  }
  const language = style === 'browser' ? undefined : style
  const day = new Intl.DateTimeFormat(language, { dateStyle: 'medium' }).format(date)
  return { day, time: new Intl.DateTimeFormat(language, { timeStyle: 'short' }).format(date) }
}
