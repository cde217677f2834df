// The headers that every answer has, whichever door it leaves by; pages replace some of them.
import { getRuntime } from './runtime.ts'

/** For `writeHead`, in one piece: set one after the other they cost a refusal a tenth of its time. */
export function commonHeaders(requestId: string): Record<string, string> {
  const isTls = getRuntime().env.PUBLIC_URL?.startsWith('https:') ?? false
  return {
    'X-Request-Id': requestId,
    'X-Content-Type-Options': 'nosniff',
    'Cache-Control': 'no-store',
    'Referrer-Policy': 'same-origin',
    'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
    ...(isTls ? { 'Strict-Transport-Security': 'max-age=31536000; includeSubDomains' } : {}),
  }
}
