// How long an answer asks to wait.

/** Of a Retry-After header, RFC 9110, section 10.2.3: seconds, or an HTTP date. Undefined when it asks for no wait, or is neither. */
export function secondsOfRetryAfter(header: string | undefined): number | undefined {
  if (!header) return undefined
  const seconds = /^\d{1,9}$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1_000
  return seconds > 0 ? seconds : undefined
}
