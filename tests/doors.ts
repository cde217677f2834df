// Calls an operation through each door, and knows for every operation an input that succeeds. Shared by the generated tests.
import { randomBytes } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { eq, sql } from 'drizzle-orm'
import { pageContext } from '#app/context.ts'
import { agents, apiKeys, tenants } from '#db/schema.ts'
import { createAuth } from '#server/auth.ts'
import { readEnv } from '#server/env.ts'
import { listOperations, type Operation } from '#server/operations.ts'
import { createPageContext } from '#server/pages.ts'
import type { Problem } from '#server/problem.ts'
import '#server/routers/index.ts'
import { useRuntime } from '#server/runtime.ts'
import { loadSecret } from '#server/secret.ts'
import { type RequestOptions, seedAgent, seedKey, type TestServer } from './harness.ts'

export type Input = Record<string, unknown>

export interface Answer {
  status: number
  /** Empty for the page's door. */
  headers: Headers
  text: string
  output: Input
  /** Of a refusal, whichever door it came through; an empty object on success. */
  problem: Partial<Problem>
}

type Options = Pick<RequestOptions, 'key' | 'headers'>

export const operations = listOperations()
export const mutations = operations.filter(({ kind }) => kind === 'mutation')
export const withPathId = operations.filter(({ meta }) => meta.openapi.path.includes('{id}'))

/** A name that nothing else in the database has. */
export const unique = (what: string) => `${what} ${randomBytes(5).toString('hex')}`

export const anAgent = (): Input => ({
  name: unique('Agent'),
  environment: 'test',
  connector: { type: 'http', url: 'https://agent.example.com/' },
})

type MakeInput = (server: TestServer, tenantId: string) => Promise<Input>

const onKey =
  (more: () => Input = () => ({})): MakeInput =>
  async (server, tenantId) => ({ id: (await seedKey(server, tenantId, 'Viewer')).id, ...more() })
const onAgent =
  (more: () => Input = () => ({})): MakeInput =>
  async (server, tenantId) => ({ id: (await seedAgent(server, tenantId)).id, ...more() })

/** For every operation an input that succeeds, on rows of the tenant that it seeds. */
export const validInputs: Record<string, MakeInput> = {
  'me.get': async () => ({}),
  'agents.list': async () => ({ limit: 5 }),
  'agents.get': onAgent(),
  'agents.create': async () => anAgent(),
  'agents.update': onAgent(anAgent),
  'agents.delete': onAgent(),
  'apiKeys.list': async () => ({ limit: 5, status: 'active' }),
  'apiKeys.get': onKey(),
  'apiKeys.create': async () => ({ name: unique('Key'), role: 'Viewer' }),
  'apiKeys.update': onKey(() => ({ name: unique('Renamed') })),
  'apiKeys.revoke': onKey(() => ({ reason: 'rotated' })),
  'apiKeys.delete': onKey(),
  'auditLog.list': async () => ({ limit: 5 }),
}

export function validInput(server: TestServer, { name }: Operation, tenantId: string): Promise<Input> {
  const make = validInputs[name]
  if (!make) throw new Error(`tests/doors.ts has no input for ${name}.`)
  return make(server, tenantId)
}

export async function callRest(server: TestServer, { meta }: Operation, input: Input, options: Options): Promise<Answer> {
  const { method, path } = meta.openapi
  const rest = { ...input }
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = String(rest[name])
    delete rest[name]
    return encodeURIComponent(value)
  })
  const hasBody = method === 'POST' || method === 'PUT' || method === 'PATCH'
  const query = new URLSearchParams(Object.entries(rest).map(([name, value]) => [name, String(value)])).toString()
  const response = await server.request(`/api${filled}${hasBody || query === '' ? '' : `?${query}`}`, {
    method,
    ...(hasBody ? { json: rest } : {}),
    ...options,
  })
  return readAnswer(response, (body) => body)
}

export async function callTrpc(server: TestServer, { name, kind }: Operation, input: Input, options: Options): Promise<Answer> {
  const query = kind === 'query' ? `?input=${encodeURIComponent(JSON.stringify(input))}` : ''
  const response = await server.request(
    `/trpc/${name}${query}`,
    kind === 'query' ? options : { method: 'POST', json: input, ...options },
  )
  return readAnswer(response, (body) => {
    const { error, result } = body as { error?: { data: { problem: unknown } }; result?: { data?: unknown } }
    return error ? error.data.problem : result?.data
  })
}

async function readAnswer(response: Response, pick: (body: unknown) => unknown): Promise<Answer> {
  const text = await response.text()
  const content = (text === '' ? {} : (pick(JSON.parse(text)) ?? {})) as Input
  return {
    status: response.status,
    headers: response.headers,
    text,
    output: response.ok ? content : {},
    problem: response.ok ? {} : content,
  }
}

/** The page's door: the caller that loaders and actions are given, for the session of a cookie, on the server's database. */
export async function openPageDoor({ database }: TestServer) {
  const env = readEnv({})
  const secret = await loadSecret(database, env)
  useRuntime({ env, database, secret })
  const auth = createAuth(database, env, secret)
  return async ({ name }: Operation, input: Input, cookie: string): Promise<Answer> => {
    const call = { requestId: crypto.randomUUID(), ip: '127.0.0.1', userAgent: 'a browser' }
    const session = await auth.findSession(cookie)
    const context = createPageContext(auth, { call, cookie, nonce: '', origin: 'http://localhost', session })
    const [router = '', procedure = ''] = name.split('.')
    const { api } = context.get(pageContext)
    // The typed caller, called by the name that the metadata gives.
    const routers = api as unknown as Record<string, Record<string, (input: Input) => Promise<Input | undefined>>>
    const headers = new Headers()
    try {
      const output = (await routers[router]?.[procedure]?.(input)) ?? {}
      return { status: 200, headers, text: JSON.stringify(output), output, problem: {} }
    } catch (thrown) {
      if (thrown instanceof Error) throw thrown
      const { data, init } = thrown as { data: Problem; init: { status: number } }
      return { status: init.status, headers, text: JSON.stringify(data), output: {}, problem: data }
    }
  }
}

export interface RawRequest {
  method?: string
  path: string
  /** Name, value, name, value …, sent exactly so, doubled ones too. */
  headers?: string[]
  body?: string | Buffer
  /** Sends the body in chunks, without saying how long it is. */
  isChunked?: boolean
}

export interface RawAnswer {
  status: number
  headers: Record<string, string>
  text: string
}

/** Sends what fetch would not, and resolves once the answer is there, whether or not the body was taken. */
export function sendRaw(
  { url }: Pick<TestServer, 'url'>,
  { method = 'GET', path, headers = [], body = '', isChunked = false }: RawRequest,
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const { hostname, port, host } = new URL(url)
    const lengthOf = isChunked ? ['Transfer-Encoding', 'chunked'] : ['Content-Length', String(Buffer.byteLength(body))]
    const isLengthGiven = headers.some((name, i) => i % 2 === 0 && name.toLowerCase() === 'content-length')
    const framing = (body === '' && !isChunked) || isLengthGiven ? [] : lengthOf
    const all = ['Host', host, ...framing, ...headers]
    const request = httpRequest({ hostname, port, path, method, agent: false, headers: all }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk) => {
        text += chunk
      })
      response.on('end', () => {
        const flat = Object.entries(response.headers).map(([name, value]) => [name, String(value)])
        resolve({ status: response.statusCode ?? 0, headers: Object.fromEntries(flat), text })
        request.destroy()
      })
    })
    request.on('error', reject)
    request.flushHeaders()
    if (isChunked) for (let at = 0; at < body.length; at += 65_536) request.write(body.slice(at, at + 65_536))
    // A body that is shorter than it was said to be is left unfinished: only an answer that does not wait for it comes.
    else if (body !== '') request.write(body)
    if (!isLengthGiven) request.end()
  })
}

/** Every row of a tenant but its audit log, as text; without what is written behind a call's back (last use). */
export async function rowsOf({ database: { db } }: TestServer, tenantId: string): Promise<string> {
  const ofTenant = [
    await db.select().from(tenants).where(eq(tenants.id, tenantId)),
    await db.select().from(agents).where(eq(agents.tenantId, tenantId)).orderBy(agents.id),
    await db.select().from(apiKeys).where(eq(apiKeys.tenantId, tenantId)).orderBy(apiKeys.id),
  ]
  return JSON.stringify(ofTenant, (name, value) => (name.startsWith('lastUsed') ? undefined : value), 1)
}

/** How many rows there are in the whole database, so that nothing lands in a tenant that nobody looked at. */
export async function countRows({ database: { db } }: TestServer): Promise<string> {
  const [counts] = await db
    .select({
      text: sql<string>`(select count(*) from agents) || ' agents, ' || (select count(*) from api_keys) || ' keys, ' || (select count(*) from tenants) || ' tenants'`,
    })
    .from(sql`(select) as once`)
  return counts?.text ?? ''
}

/** Tries again until it is true, for at most ten seconds: what the server writes in batches appears within seconds. */
export async function eventually<T>(read: () => Promise<T>, isThere: (value: T) => boolean): Promise<T> {
  const deadline = Date.now() + 10_000
  for (;;) {
    const value = await read()
    if (isThere(value) || Date.now() > deadline) return value
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** Waits over the end of a minute, so that refusals which follow fall into one. */
export async function settleInMinute(): Promise<void> {
  const left = 60_000 - (Date.now() % 60_000)
  if (left < 5_000) await new Promise((resolve) => setTimeout(resolve, left + 50))
}
