// The pieces that inputs and answers of several resources share: text, ids, instants; and what no input may hold.
import { z } from 'zod'

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
const controlCharacter = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/

/** One line of text, trimmed, without control characters. Lengths count UTF-16 code units. */
export function line(max: number, min = 1) {
  return z
    .string()
    .trim()
    .min(min, min === 1 ? 'Must not be empty.' : undefined)
    .max(max, `Must have at most ${max} characters.`)
    .refine((text) => !controlCharacter.test(text), 'Must not contain control characters or line breaks.')
}

export const Id = z.uuid('Must be a UUID.')
export const Instant = z.iso.datetime().describe('An instant in UTC, RFC 3339.')

/** An instant that a caller gives, with any offset. */
export const GivenInstant = z.iso
  .datetime({ offset: true, error: 'Must be an instant such as 2027-01-31T00:00:00Z (RFC 3339).' })
  // An offset can move it out of the years that RFC 3339 and PostgreSQL share.
  .refine((text) => {
    const year = new Date(text).getUTCFullYear()
    return !(year < 1 || year > 9999) // NaN: it is no instant, and the format has said so
  }, 'Must be within the years 1 to 9999 in UTC.')

export const maxDepth = 32
const maxValues = 10_000

/**
 * Looks for what no input may hold, before any schema sees it: NUL, lone surrogates (PostgreSQL stores neither), a
 * `__proto__` key, nesting beyond 32, more than 10,000 values in all.
 * @returns the path and what is wrong there, or undefined.
 */
export function findForbidden(input: unknown): { path: string; message: string } | undefined {
  const rest: { value: unknown; path: string; depth: number }[] = [{ value: input, path: '', depth: 0 }]
  let count = 0
  for (let next = rest.pop(); next; next = rest.pop()) {
    const { value, path, depth } = next
    if (typeof value === 'string') {
      if (value.includes('\0')) return { path, message: 'Must not contain the NUL character.' }
      if (!value.isWellFormed()) return { path, message: 'Must be well-formed Unicode: it contains half of a surrogate pair.' }
    } else if (typeof value === 'object' && value !== null) {
      if (depth >= maxDepth) return { path, message: `Must not be nested deeper than ${maxDepth} levels.` }
      const entries = Object.entries(value)
      count += entries.length
      if (count > maxValues) return { path, message: `Must not have more than ${maxValues.toLocaleString('en')} values in all.` }
      for (const [key, child] of entries) {
        if (key === '__proto__') return { path: join(path, key), message: 'Is not a field.' }
        if (key.includes('\0') || !key.isWellFormed()) return { path, message: 'Has a field whose name is not text.' }
        rest.push({ value: child, path: join(path, key), depth: depth + 1 })
      }
    }
  }
}

function join(path: string, key: string): string {
  return path ? `${path}.${key}` : key
}
