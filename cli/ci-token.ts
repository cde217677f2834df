// A key for a pipeline that stores none: the CI provider's ID token is exchanged for one, and again before that ends.
import { CommandError } from './command-error.ts'
import { plain } from './plain.ts'

/** Where the ID token comes from. */
export interface CiTokenSource {
  /** The id of the trust rule that is meant. */
  ruleId: string | undefined
  /** A token is good once: a source that has only one is asked once. */
  isRenewable: boolean
  getToken(): Promise<string>
}

/** What the environment says of it: GitHub Actions with `id-token: write`, or a token as GitLab hands it on. */
export function findCiTokenSource(env: NodeJS.ProcessEnv, url: string): CiTokenSource | undefined {
  const ruleId = env.MATE_TRUST_RULE?.trim() || undefined
  const token = env.MATE_ID_TOKEN?.trim()
  if (token) return { ruleId, isRenewable: false, getToken: async () => token }
  const { ACTIONS_ID_TOKEN_REQUEST_URL: address, ACTIONS_ID_TOKEN_REQUEST_TOKEN: secret } = env
  if (!address || !secret || !URL.canParse(address)) return undefined
  const asked = new URL(address)
  asked.searchParams.set('audience', env.MATE_AUDIENCE?.trim() || new URL(url).origin)
  return { ruleId, isRenewable: true, getToken: () => askGitHub(asked, secret) }
}

async function askGitHub(url: URL, secret: string): Promise<string> {
  const response = await fetch(url, { headers: { Authorization: `Bearer ${secret}` }, redirect: 'error' })
  const { value } = (await readJson(response)) as { value?: unknown }
  if (response.ok && typeof value === 'string') return value
  throw new CommandError(`GitHub gave no ID token: it answered ${response.status}. Does the job have “id-token: write”?`)
}

interface CiKey {
  key: string
  /** In milliseconds since 1970, by our clock. */
  renewAt: number
}

/** @throws CommandError in the server's words; what `fetch` throws when nobody answers. */
async function exchange(url: string, { ruleId, getToken }: CiTokenSource): Promise<CiKey> {
  const askedAt = Date.now()
  const response = await fetch(`${url}/api/token`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ token: await getToken(), ...(ruleId === undefined ? {} : { ruleId }) }),
    redirect: 'error',
  })
  const answer = (await readJson(response)) as { key?: unknown; expiresAt?: unknown; detail?: unknown }
  const { key, expiresAt, detail } = answer
  if (response.status === 201 && typeof key === 'string' && typeof expiresAt === 'string') {
    // By the server's own clock when it sends the time, so that two clocks that differ do no harm.
    const sentAt = Date.parse(response.headers.get('date') ?? '') || askedAt
    return { key, renewAt: askedAt + (Date.parse(expiresAt) - sentAt) / 2 }
  }
  const words = typeof detail === 'string' ? plain(detail) : `${url} answered ${response.status}, and not as a mate server does.`
  throw new CommandError(`The ID token of this pipeline was not exchanged. ${words}`)
}

async function readJson(response: Response): Promise<object> {
  const body: unknown = await response.json().catch(() => ({}))
  return typeof body === 'object' && body !== null ? body : {}
}

/**
 * A first key, and a `fetch` that sends each request with the one that is good at that time: a run may last longer than a key.
 * @throws CommandError when there is no key.
 */
export async function openCiKey(url: string, source: CiTokenSource): Promise<{ apiKey: string; fetch: typeof fetch }> {
  let current = await exchange(url, source)
  let renewing: Promise<CiKey> | undefined
  const keyNow = async () => {
    if (!source.isRenewable || Date.now() < current.renewAt) return current.key
    renewing ??= exchange(url, source).finally(() => {
      renewing = undefined
    })
    current = await renewing
    return current.key
  }
  return {
    apiKey: current.key,
    fetch: async (input, init) => {
      const headers = new Headers(init?.headers)
      headers.set('X-API-Key', await keyNow())
      return fetch(input, { ...init, headers })
    },
  }
}
