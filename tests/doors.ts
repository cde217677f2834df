// Calls an operation through each door, and knows for every operation an input that succeeds. Shared by the generated tests.
import { createHash, randomBytes } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { eq, getTableColumns, isNotNull, or, type SQL, sql } from 'drizzle-orm'
import type { PgTable } from 'drizzle-orm/pg-core'
import { pageContext } from '#app/context.ts'
import {
  agents,
  apiKeys,
  identityProviders,
  invitations,
  judgeSettings,
  notices,
  results,
  runs,
  tenants,
  testCases,
  testSuites,
  trustRules,
  users,
  webhookDeliveries,
  webhooks,
} from '#db/schema.ts'
import { loadAuditSigner } from '#server/audit-signer.ts'
import { createAuth } from '#server/auth.ts'
import { readEnv } from '#server/env.ts'
import { listOperations, type Operation } from '#server/operations.ts'
import { createPageContext } from '#server/pages.ts'
import type { Problem } from '#server/problem.ts'
import '#server/routers/index.ts'
import { useRuntime } from '#server/runtime.ts'
import { loadSecret } from '#server/secret.ts'
import {
  type RequestOptions,
  seedAgent,
  seedCase,
  seedDelivery,
  seedIdentityProvider,
  seedInvitation,
  seedJudgeSetting,
  seedKey,
  seedNotice,
  seedPerson,
  seedSuite,
  seedTenant,
  seedTrustRule,
  seedWebhook,
  type TestServer,
} from './harness.ts'
import { seedRun, seedSuite as seedSuiteWithCases } from './run-seeds.ts'

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

/** What needs a credential; what needs none is in tests/leaks.test.ts and tests/token-exchange.test.ts. */
export const operations = listOperations().filter(({ meta }) => meta.role !== 'Public')
/** But apiKeys.unfreeze: no key of a tenant can call it when there is something to do. tests/freeze.test.ts has it. */
export const isEffective = ({ name, kind }: Operation) => kind === 'mutation' && name !== 'apiKeys.unfreeze'
/** An export adds a checkpoint, as every minute does, and a test of a connection a message; factors are in tables of people: no row of the tenant's own. */
export const isOnlyAudited = ({ name }: Operation) =>
  ['auditLog.export', 'agents.testConnection', 'identityProviders.test', 'users.resetSecondFactor'].includes(name)
/** What a SuperAdmin does to whole tenants, or the deployment. tests/tenants.test.ts and identity-providers.test.ts have it. */
export const isOfTenants = ({ meta }: Operation) => meta.role === 'SuperAdmin'
export const inTenant = operations.filter((operation) => !isOfTenants(operation))
export const mutations = inTenant.filter(isEffective)
/** The name of the id that an operation is about: `id`, or that of what holds it, as `suiteId`. */
export const pathIdOf = ({ meta }: Operation): string | undefined => /\{(\w+)\}/.exec(meta.openapi.path)?.[1]
export const withPathId = inTenant.filter((operation) => pathIdOf(operation) !== undefined)

/** `api_key` of `apiKeys.revoke`, as the audit log names it. */
export const entityTypeOf = ({ name }: Operation): string => {
  if (name === 'apiKeys.freeze') return 'tenant'
  const types = {
    ...{ agents: 'agent', testSuites: 'test_suite', testCases: 'test_case', judgeSettings: 'judge_setting' },
    ...{ apiKeys: 'api_key', auditLog: 'tenant', notices: 'notice', webhooks: 'webhook', runs: 'run', results: 'result' },
    ...{ trustRules: 'trust_rule' },
    ...{ users: 'user', invitations: 'invitation' },
    ...{ identityProviders: 'identity_provider', signInPolicy: 'tenant' },
  }
  return Object.entries(types).find(([resource]) => name.startsWith(`${resource}.`))?.[1] ?? ''
}

/** A name that nothing else in the database has. */
export const unique = (what: string) => `${what} ${randomBytes(5).toString('hex')}`

export const anAgent = (): Input => ({
  name: unique('Agent'),
  environment: 'test',
  connector: { type: 'http', url: 'https://agent.example.com/' },
})

/** Called only with MATE_ALLOW_PRIVATE_AGENTS. */
export const privateUrls = ['http://127.0.0.1:8080/', 'http://[::1]/', 'http://10.0.0.1/', 'http://[fd00::1]/', 'http://0x7f.1/']
/** Never called. */
export const forbiddenUrls = ['http://169.254.169.254/latest/', 'http://[fd00:ec2::254]/', 'http://0.0.0.0/']

export const aSuite = (): Input => ({ name: unique('Suite') })
export const aCase = (): Input => ({ name: unique('Case'), userInput: ['Hello'] })
export const aJudgeSetting = (): Input => ({
  name: unique('Judge'),
  provider: 'rubrics',
  criteria: [{ name: 'Greets', type: 'contains', pattern: 'hello' }],
})

/** Fields of a key that has a lower role on trial. */
export const aShadow = () => ({
  shadowRole: 'Viewer' as const,
  shadowSince: new Date(Date.now() - 1_000),
  shadowUntil: new Date(Date.now() + 86_400_000),
})

type MakeInput = (server: TestServer, tenantId: string) => Promise<Input>

const onKey =
  (more: () => Input = () => ({})): MakeInput =>
  async (server, tenantId) => ({ id: (await seedKey(server, tenantId, 'Viewer')).id, ...more() })
const onShadow =
  (more: () => Input = () => ({})): MakeInput =>
  async (server, tenantId) => ({ id: (await seedKey(server, tenantId, 'Tester', aShadow())).id, ...more() })
const onAgent =
  (more: () => Input = () => ({})): MakeInput =>
  async (server, tenantId) => ({ id: (await seedAgent(server, tenantId)).id, ...more() })

const onSuite =
  (more: () => Input = () => ({})): MakeInput =>
  async (server, tenantId) => ({ id: (await seedSuite(server, tenantId)).id, ...more() })
const inSuite =
  (more: () => Input): MakeInput =>
  async (server, tenantId) => ({ suiteId: (await seedSuite(server, tenantId)).id, ...more() })
const onCase =
  (more: () => Input = () => ({})): MakeInput =>
  async (server, tenantId) => ({ id: (await seedCase(server, tenantId)).id, ...more() })
const onJudgeSetting =
  (more: () => Input = () => ({})): MakeInput =>
  async (server, tenantId) => ({ id: (await seedJudgeSetting(server, tenantId)).id, ...more() })

export const aWebhook = (): Input => ({ url: `https://hooks.example.invalid/${randomBytes(4).toString('hex')}`, events: ['*'] })

export const aTrustRule = (): Input => ({
  name: unique('Rule'),
  issuer: 'https://token.actions.githubusercontent.com',
  audience: 'https://mate.example.com',
  conditions: { repository: ['acme/app'], ref: ['refs/heads/main'] },
  role: 'Viewer',
})

const onTrustRule =
  (more: () => Input = () => ({})): MakeInput =>
  async (server, tenantId) => ({ id: (await seedTrustRule(server, tenantId)).id, ...more() })

const onWebhook =
  (more: () => Input = () => ({})): MakeInput =>
  async (server, tenantId) => ({ id: (await seedWebhook(server, tenantId)).id, ...more() })

const onPerson =
  (more: () => Input = () => ({}), fields: Parameters<typeof seedPerson>[3] = {}): MakeInput =>
  async (server, tenantId) => ({ id: (await seedPerson(server, tenantId, 'Viewer', fields)).id, ...more() })

export const aProvider = (): Input => ({
  name: unique('Provider'),
  clientId: 'mate',
  tenantClaim: 'tid',
  clientSecret: 'a client’s secret',
})

const onProvider =
  (more: () => Input = () => ({})): MakeInput =>
  async (server, tenantId) => ({ id: (await seedIdentityProvider(server, tenantId)).id, ...more() })

const onRun =
  (fields: Parameters<typeof seedRun>[2] = {}, more: Input = {}): MakeInput =>
  async (server, tenantId) => ({ id: (await seedRun(server, tenantId, fields)).id, ...more })
const onResult =
  (more: Input = {}): MakeInput =>
  async (server, tenantId) => ({ id: (await seedRun(server, tenantId)).resultId, ...more })

const onTenant =
  (more: () => Input = () => ({}), isActive = true): MakeInput =>
  async (server) => {
    const { id } = await seedTenant(server, { isActive })
    return { id, ...more() }
  }

/** Whose rows and whose log an operation is about: the caller's tenant, but for what is done to tenants. */
export const subjectOf = (operation: Operation, input: Input, output: Input, tenantId: string): string =>
  operation.name.startsWith('tenants.') && isOfTenants(operation) ? String(input.id ?? output.id ?? tenantId) : tenantId

/** For every operation an input that succeeds, on rows of the tenant that it seeds. */
export const validInputs: Record<string, MakeInput> = {
  'me.get': async () => ({}),
  'agents.list': async () => ({ limit: 5 }),
  'agents.get': onAgent(),
  'agents.create': async () => anAgent(),
  'agents.update': onAgent(anAgent),
  'agents.replaceConnector': async (server, tenantId) => {
    const { id, connectorId } = await seedAgent(server, tenantId)
    return { id, connectorId, connector: { type: 'http', url: 'https://agent.example.com/v2' } }
  },
  'agents.delete': onAgent(),
  'testSuites.list': async () => ({ limit: 5 }),
  'testSuites.get': onSuite(),
  'testSuites.create': async () => aSuite(),
  'testSuites.update': onSuite(aSuite),
  'testSuites.delete': onSuite(),
  'testCases.list': inSuite(() => ({ limit: 5 })),
  'testCases.get': onCase(),
  'testCases.create': inSuite(aCase),
  'testCases.update': onCase(aCase),
  'testCases.delete': onCase(),
  'judgeSettings.list': async () => ({ limit: 5 }),
  'judgeSettings.get': onJudgeSetting(),
  'judgeSettings.create': async () => aJudgeSetting(),
  'judgeSettings.update': onJudgeSetting(aJudgeSetting),
  'judgeSettings.delete': onJudgeSetting(),
  'metrics.getSummary': async () => ({ days: 7 }),
  // Of an agent at an address that is refused where it stands: nothing is sent, which is an answer too.
  'agents.testConnection': async (server, tenantId) => ({
    agentId: (await seedAgent(server, tenantId, 'http://169.254.1.1/')).id,
  }),
  'apiKeys.list': async () => ({ limit: 5, status: 'active' }),
  'apiKeys.get': onKey(),
  'apiKeys.create': async () => ({ name: unique('Key'), role: 'Viewer' }),
  'apiKeys.update': onKey(() => ({ name: unique('Renamed') })),
  'apiKeys.revoke': onKey(() => ({ reason: 'rotated' })),
  'apiKeys.delete': onKey(),
  'apiKeys.rotate': onKey(() => ({ overlapHours: 24 })),
  'apiKeys.getFreeze': async () => ({}),
  'apiKeys.freeze': async () => ({ reason: 'a drill' }),
  // Of keys that are not frozen, since no key of a tenant can unfreeze it: in order, and nothing to do.
  'apiKeys.unfreeze': async () => ({ reason: 'the end of a drill' }),
  'apiKeys.bulkRevoke': async (server, tenantId) => {
    const { id } = await seedKey(server, tenantId, 'Viewer')
    return { ids: [id], digest: createHash('sha256').update(id).digest('base64url') }
  },
  'apiKeys.getUsage': onKey(() => ({ days: 5 })),
  'apiKeys.listPermissions': onKey(),
  'apiKeys.startShadow': onShadow(() => ({ role: 'Viewer', days: 3 })),
  'apiKeys.dropShadow': onShadow(),
  'apiKeys.applyShadow': onShadow(),
  'roles.list': async () => ({}),
  'tenants.getCurrent': async () => ({}),
  'tenants.list': async () => ({ limit: 5 }),
  'tenants.get': onTenant(),
  'tenants.create': async () => ({ name: unique('Tenant'), maxAgents: 5 }),
  'tenants.update': onTenant(() => ({ maxUsers: 5, maxRunsPerMonth: null })),
  'tenants.deactivate': onTenant(() => ({ reason: 'unpaid' })),
  'tenants.reactivate': onTenant(() => ({ reason: 'paid' }), false),
  'runs.list': async () => ({ limit: 5 }),
  'runs.get': onRun({}, { wait: 1 }),
  'runs.create': async (server, tenantId) => ({
    suiteId: (await seedSuiteWithCases(server, tenantId, 2)).id,
    agentId: (await seedAgent(server, tenantId)).id,
  }),
  'runs.cancel': onRun({ status: 'pending', passed: 0, startedAt: null, completedAt: null }),
  'runs.delete': onRun(),
  'results.list': onRun({}, { limit: 5 }),
  'results.get': onResult(),
  'results.getTranscript': onResult(),
  'results.setHumanVerdict': onResult({ verdict: 'fail', note: 'It was rude.' }),
  'auditLog.list': async () => ({ limit: 5 }),
  'auditLog.getChain': async () => ({}),
  'auditLog.setRetention': async () => ({ retentionDays: 30 + Math.floor(Math.random() * 30_000) }),
  'auditLog.export': async () => ({ format: 'ndjson' }),
  'notices.list': async () => ({ limit: 5 }),
  'notices.dismiss': async (server, tenantId) => ({ id: await seedNotice(server, tenantId) }),
  'webhooks.list': async () => ({ limit: 5 }),
  'webhooks.get': onWebhook(),
  'webhooks.create': async () => aWebhook(),
  'webhooks.update': onWebhook(aWebhook),
  'webhooks.delete': onWebhook(),
  'webhooks.rotate': onWebhook(),
  'webhooks.test': onWebhook(),
  'webhooks.listDeliveries': onWebhook(() => ({ limit: 5 })),
  'webhooks.redeliver': async (server, tenantId) => {
    // Inactive: so that no attempt is made meanwhile.
    const { id } = await seedWebhook(server, tenantId, { isActive: false })
    return { id, deliveryId: await seedDelivery(server, tenantId, id) }
  },
  'users.list': async () => ({ limit: 5 }),
  'users.get': onPerson(),
  'users.listKeys': onPerson(),
  'users.update': onPerson(() => ({ name: unique('Renamed') })),
  'users.deactivate': onPerson(() => ({ reason: 'left' })),
  'users.reactivate': onPerson(undefined, { isActive: false }),
  'users.resetSecondFactor': onPerson(() => ({ reason: 'lost' })),
  'users.delete': onPerson(undefined, { isActive: false }),
  'invitations.list': async () => ({ limit: 5 }),
  'invitations.create': async () => ({ email: `${randomBytes(6).toString('hex')}@example.com`, role: 'Viewer' }),
  'invitations.revoke': async (server, tenantId) => ({ id: (await seedInvitation(server, tenantId)).id }),
  'identityProviders.list': async () => ({ limit: 5 }),
  'identityProviders.get': onProvider(),
  'identityProviders.create': async () => ({ ...aProvider(), issuer: 'https://id.example.com/realms/one' }),
  'identityProviders.update': onProvider(aProvider),
  'identityProviders.delete': onProvider(),
  'identityProviders.test': onProvider(),
  'signInPolicy.get': async () => ({}),
  // Whatever it was, it is another one then.
  'signInPolicy.update': async ({ database: { db } }, tenantId) => {
    const [tenant] = await db.select().from(tenants).where(eq(tenants.id, tenantId))
    return { isSsoOnly: false, requiresSecondFactor: !tenant?.requiresSecondFactor }
  },
  'trustRules.list': async () => ({ limit: 5 }),
  'trustRules.get': onTrustRule(),
  'trustRules.create': async () => aTrustRule(),
  'trustRules.update': onTrustRule(aTrustRule),
  'trustRules.delete': onTrustRule(),
}

/** Lets all keys and sessions be used again that an earlier call shut out. */
export async function thaw({ database: { db } }: Pick<TestServer, 'database'>): Promise<void> {
  await db
    .update(tenants)
    .set({ keysFrozenAt: null, requiresSecondFactor: false })
    .where(or(isNotNull(tenants.keysFrozenAt), eq(tenants.requiresSecondFactor, true)))
}

export async function validInput(server: TestServer, { name }: Operation, tenantId: string): Promise<Input> {
  const make = validInputs[name]
  if (!make) throw new Error(`tests/doors.ts has no input for ${name}.`)
  await thaw(server)
  return make(server, tenantId)
}

/** As it stands in a URL. */
const textOf = (value: unknown): string => (typeof value === 'object' ? JSON.stringify(value) : String(value))

/** A path with the ids of an input in it. */
export const pathWith = (path: string, input: Input): string =>
  path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(textOf(input[name])))

export async function callRest(server: TestServer, { meta }: Operation, input: Input, options: Options): Promise<Answer> {
  const { method, path } = meta.openapi
  const rest = { ...input }
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = textOf(rest[name])
    delete rest[name]
    return encodeURIComponent(value.toWellFormed())
  })
  const hasBody = method === 'POST' || method === 'PUT' || method === 'PATCH'
  const query = new URLSearchParams(Object.entries(rest).map(([name, value]) => [name, textOf(value)])).toString()
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
  const isJson = response.headers.get('content-type')?.includes('json') && !response.headers.has('content-disposition')
  const content = (text === '' || !isJson ? {} : (pick(JSON.parse(text)) ?? {})) as Input
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
  useRuntime({ env, database, secret, auditSigner: await loadAuditSigner(database, env, secret) })
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

/** What is written behind a call's back: last uses, and what a delivery finds. */
const isUnsteady = (name: string) => /^last(Used|SignedIn)/.test(name) || name === 'failingSince'

/** All rows of a table that are `of` it, in one text; without the columns that are written behind a call's back. */
function asJson(table: PgTable, of: SQL): SQL {
  const columns = Object.entries(getTableColumns(table))
  const unsteady = columns.flatMap(([name, column]) => (isUnsteady(name) ? [column.name] : []))
  return sql`(select jsonb_agg(to_jsonb(each) - ${sql.param(`{${unsteady}}`)}::text[] order by each.id) from ${table} each where ${of})`
}

const tablesOfTenant = [
  ...[agents, testSuites, testCases, judgeSettings, apiKeys, users, invitations, trustRules, runs, results, notices, webhooks],
]

/** A delivery that is done, and then pending, was asked for again; its first attempts are made behind a call's back. */
const isRepeated = sql`each.status = 'pending' and each.attempts > 0 and each.retries = 0`

/** Every row of a tenant but its audit log, as text; without what is written behind a call's back. */
export async function rowsOf({ database: { db } }: TestServer, tenantId: string): Promise<string> {
  const parts = [
    asJson(tenants, sql`each.id = ${tenantId}`),
    ...tablesOfTenant.map((table) => asJson(table, sql`each.tenant_id = ${tenantId}`)),
    sql`(select jsonb_agg(jsonb_build_array(each.id, each.event, each.body, ${isRepeated}) order by each.id)
      from ${webhookDeliveries} each where each.tenant_id = ${tenantId})`,
    // Of the whole deployment.
    asJson(identityProviders, sql`true`),
  ]
  const [row] = await db
    .select({ text: sql<string>`jsonb_pretty(jsonb_build_array(${sql.join(parts, sql`, `)}))` })
    .from(sql`(select) as once`)
  return row?.text ?? ''
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
