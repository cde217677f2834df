// The typed client of a mate server, for other projects: `mate/client`. Of the server it takes types, and no code.
// tRPC’s declarations name Disposable, which a project’s own lib may lack.
/// <reference lib="esnext.disposable" preserve="true" />
import { createTRPCClient, httpBatchLink, isTRPCClientError, type TRPCClient } from '@trpc/client'
import type { inferRouterInputs, inferRouterOutputs } from '@trpc/server'
import type { AppRouter } from '#server/routers/index.ts'

/** `mate.<resource>.<operation>.query(input)` reads, `.mutate(input)` changes something. */
export type MateClient = TRPCClient<AppRouter>

/** What an operation takes, e.g. `RouterInputs['apiKeys']['create']`. */
export type RouterInputs = inferRouterInputs<AppRouter>

/** What an operation answers, e.g. `RouterOutputs['agents']['list']['items'][number]`. */
export type RouterOutputs = inferRouterOutputs<AppRouter>

/** What went wrong, in the server's words (RFC 9457): `status`, `code`, `detail`, `requestId`, and `errors` by field. */
export type Problem = AppRouter['_def']['_config']['$types']['errorShape']['data']['problem']

export interface MateClientOptions {
  /** Address of the server, e.g. `https://mate.example.com`; with a path where a proxy serves it below one. */
  url: string
  /** An API key of that server. Keep it out of browsers: whoever has it acts with its role. */
  apiKey: string
  /** Id of the tenant to act in, for the keys of a SuperAdmin. Left out: the key's own. */
  tenantId?: string | undefined
  /** Sends the requests instead of the global `fetch`: for a proxy, a timeout, a test. */
  fetch?: typeof globalThis.fetch | undefined
}

const maxBatch = 20 // The server refuses longer ones.
const maxUrlLength = 8000 // Proxies commonly take 8 KiB of request line, the server 16 KiB of headers.

/**
 * Makes a client; nothing is sent before its first call. Calls of the same tick go out together.
 * @throws TypeError when `url` is no http or https address, or `apiKey` can't be one.
 */
export function createMateClient({ url, apiKey, tenantId, fetch }: MateClientOptions): MateClient {
  const headers = { 'X-API-Key': requireKey(apiKey), ...(tenantId === undefined ? {} : { 'X-Tenant-Id': tenantId }) }
  return createTRPCClient<AppRouter>({
    links: [
      httpBatchLink({
        url: endpointOf(url),
        headers,
        maxItems: maxBatch,
        maxURLLength: maxUrlLength,
        // A redirect that was followed would carry the key to wherever it points.
        fetch: (input, init) => (fetch ?? globalThis.fetch)(input, { ...(init as RequestInit), redirect: 'error' }),
      }),
    ],
  })
}

/** The problem that the server answered; undefined when the error came from elsewhere, such as the network. */
export function problemOf(error: unknown): Problem | undefined {
  return isTRPCClientError<AppRouter>(error) ? error.data?.problem : undefined
}

function endpointOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  const isAddress = parsed && /^https?:$/.test(parsed.protocol) && !/[?#]/.test(url) && !parsed.username && !parsed.password
  if (!isAddress) {
    throw new TypeError('createMateClient: url must be an http or https address such as https://mate.example.com, nothing more.')
  }
  return `${parsed.origin}${parsed.pathname.replace(/(?<!\/)\/+$/, '')}/trpc`
}

/** Refuses here what `fetch` would refuse as a header, since it would quote the key. */
function requireKey(apiKey: string): string {
  if (typeof apiKey === 'string' && /^[\x21-\x7e]+$/.test(apiKey)) return apiKey
  throw new TypeError(
    'createMateClient: apiKey must be an API key: it is missing, or has spaces, line breaks or other characters.',
  )
}
