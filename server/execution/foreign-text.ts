// Text that came from outside, made fit to be kept: one that the database stores, without the secret, no longer than it may be.

export type Redact = (text: string) => string

const mark = '[secret removed]'
/** A shorter part of a secret, such as its scheme, says nothing and stands in any text. */
const leastPart = 6

/** Removes a secret from text: whole, and its credential alone; as it is, escaped in JSON or a URL, and in base64. */
export function redactor(secret: string | undefined): Redact {
  if (!secret) return (text) => text
  const credential = secret.slice(secret.indexOf(' ') + 1).trim()
  const parts = credential.length >= leastPart ? [secret, credential] : [secret]
  // The longest first: the one within the other would leave a rest of it.
  const forms = [...new Set(parts.flatMap(formsOf))].sort((a, b) => b.length - a.length)
  const all = new RegExp(forms.map(literal).join('|'), 'gi')
  return (text) => text.replace(all, mark)
}

function formsOf(part: string): string[] {
  const json = JSON.stringify(part).slice(1, -1)
  const ascii = json.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
  const base64 = Buffer.from(part).toString('base64').replaceAll('=', '')
  const isPart = base64.length >= leastPart
  return [
    part,
    json,
    ascii,
    json.replaceAll('/', '\\/'),
    ascii.replaceAll('/', '\\/'),
    encodeURIComponent(part),
    ...(isPart ? [base64, Buffer.from(part).toString('base64url')] : []),
  ]
}

const literal = (text: string) => text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')

/** Without NUL and halves of surrogate pairs, which PostgreSQL takes in no text. */
export const storable = (text: string) => text.replaceAll('\0', '\ufffd').toWellFormed()

/** The first bytes of a text in UTF-8, no character in halves. */
export function firstBytes(text: string, bytes: number): string {
  const all = Buffer.from(text)
  return all.length <= bytes ? text : new TextDecoder().decode(all.subarray(0, bytes), { stream: true })
}

/** The beginning of a text on one line, to be quoted in a message. */
export function excerpt(text: string, length = 200): string {
  const line = storable(text.slice(0, 4 * length))
    .split(/\s/)
    .filter(Boolean)
    .join(' ')
  return line.length <= length ? line : `${line.slice(0, length).toWellFormed()}…`
}
