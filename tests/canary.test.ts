// Secrets pushed through every door, into every error: they show up where they are made, and nowhere else.
import { createHash, randomBytes } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Database } from '#db/client.ts'
import { asSuperuser, type ChildServer, makePlace, setupTokenOf, startChildServer, waitUntil } from './child-server.ts'
import { isPostgres, type RequestOptions } from './harness.ts'
import { codeOf, codesOn, secretOn, wrongCodeOf } from './people.ts'

interface Answer {
  /** What was asked for. */
  label: string
  status: number
  /** Status, headers and body. */
  text: string
}

interface Canary {
  text: string
  /** The answers that may show it: those that make it. */
  shownBy: string[]
}

const answers: Answer[] = []
const canaries: Record<string, Canary> = {}
let log = ''
let stdout = ''
let database = ''

/** Marks a row that a trigger refuses with all its values, so that the server has to answer 500. */
const forced = 'forced-500'

/** The ways in which a text may hide in another. */
function needlesOf(text: string): string[] {
  const bytes = Buffer.from(text)
  const sha256 = createHash('sha256').update(text).digest()
  return [
    text,
    encodeURIComponent(text),
    bytes.toString('hex'),
    bytes.toString('base64url'),
    [...bytes].join(','),
    [...sha256].join(','),
  ]
}

const isIn = (haystack: string, text: string) =>
  needlesOf(text).some((needle) => haystack.toLowerCase().includes(needle.toLowerCase()))

async function ask(server: ChildServer, label: string, path: string, options: RequestOptions = {}): Promise<Response> {
  const response = await server.request(path, options)
  const copy = response.clone()
  const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`).join('\n')
  answers.push({ label, status: response.status, text: `${response.status}\n${headers}\n${await copy.text()}` })
  return response
}

function form(server: ChildServer, cookie: string, fields: Record<string, string>, headers = {}): RequestOptions {
  return {
    method: 'POST',
    headers: { cookie, origin: server.url, 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: new URLSearchParams(fields).toString(),
  }
}

const cookieOf = (response: Response) => response.headers.getSetCookie()[0]?.split(';')[0] ?? ''
const tokenIn = (cookie: string) => decodeURIComponent(cookie.split('=')[1] ?? '').split('.')[0] ?? ''

const agentWith = (name: string, secret: string) => ({
  name,
  environment: 'test',
  connector: { type: 'http', url: 'https://agent.example.com/', secret },
})

const forcedTables = [
  ...['tenants', 'users', 'sessions', 'agents', 'judge_settings', 'api_keys', 'audit_log', 'webhooks', 'invitations'],
  'identity_providers',
]

async function installFaults(opened: Database): Promise<void> {
  await opened.db.execute(sql`
    create function force_500() returns trigger language plpgsql as $$
    begin
      if to_jsonb(new)::text like '%forced-500%' then
        raise exception 'forced' using detail = to_jsonb(new)::text;
      end if;
      return new;
    end $$`)
  for (const table of forcedTables) {
    await opened.db.execute(
      sql`create trigger force_500 before insert or update on ${sql.identifier(table)} for each row execute function force_500()`,
    )
  }
}

/** Every row of every table as text, bytes in hex. */
async function dump(opened: Database): Promise<string> {
  const tables = await opened.db
    .select({ name: sql<string>`format('%I.%I', schemaname, tablename)` })
    .from(sql`pg_tables`)
    .where(sql`schemaname not in ('pg_catalog', 'information_schema')`)
  const texts: string[] = []
  for (const { name } of tables) {
    const rows = await opened.db.select({ row: sql<string>`row_to_json(t)::text` }).from(sql`${sql.raw(name)} t`)
    texts.push(...rows.map(({ row }) => `${name} ${row}`))
  }
  return texts.join('\n')
}

async function setUp(server: ChildServer): Promise<string> {
  const token = await setupTokenOf(server)
  const password = `canary-password-${randomBytes(9).toString('hex')}`
  canaries.setupToken = { text: token, shownBy: ['set-up form', 'set-up form, wrong', 'set-up form, 500'] }
  canaries.password = { text: password, shownBy: [] }
  const path = `/setup?token=${token}`
  const fields = { tenantName: 'Canary', name: 'Ada', email: 'ada@example.com', password }
  await ask(server, 'set-up form', path)
  await ask(server, 'set-up form, wrong', path, form(server, '', { ...fields, email: 'no address' }))
  await ask(server, 'set-up form, 500', path, form(server, '', { ...fields, name: forced }))
  const done = await ask(server, 'set-up', path, form(server, '', fields))
  expect(done.status).toBe(302)
  const cookie = cookieOf(done)
  canaries.firstSession = { text: tokenIn(cookie), shownBy: ['set-up'] }
  await ask(server, 'set-up again', `/setup?token=${token}`, form(server, '', fields))
  canaries.setupToken.shownBy.push('set-up again')
  return cookie
}

async function signIn(server: ChildServer): Promise<string> {
  const fields = { email: 'ada@example.com', password: canaries.password?.text ?? '' }
  await ask(server, 'sign-in, wrong address', '/sign-in', form(server, '', { ...fields, email: 'eve@example.com' }))
  await ask(server, 'sign-in, password as address', '/sign-in', form(server, '', { email: '', password: fields.password }))
  await ask(server, 'sign-in, 500', '/sign-in', form(server, '', fields, { 'user-agent': forced }))
  await ask(server, 'sign-in, from another site', '/sign-in', form(server, '', fields, { origin: 'https://evil.example' }))
  await ask(server, 'sign-in.data, wrong', '/sign-in.data', form(server, '', { ...fields, email: 'eve@example.com' }))
  const done = await ask(server, 'sign-in', '/sign-in', form(server, '', fields))
  expect(done.status).toBe(302)
  const cookie = cookieOf(done)
  canaries.session = { text: tokenIn(cookie), shownBy: ['sign-in'] }
  return cookie
}

async function makeKeys(server: ChildServer, cookie: string): Promise<string> {
  const fields = { name: 'by page', role: 'SuperAdmin', expiry: 'never', day: '' }
  const formId = () => crypto.randomUUID()
  const page = await ask(server, 'page', '/api-keys/new', form(server, cookie, { ...fields, formId: formId() }))
  const key = /mate_[0-9A-Za-z]{49}/.exec(await page.text())?.[0] ?? ''
  expect(page.status).toBe(201)
  canaries.pageKey = { text: key, shownBy: ['page'] }
  await ask(server, 'page, 500', '/api-keys/new', form(server, cookie, { ...fields, name: forced, formId: formId() }))

  const rest = await ask(server, 'REST', '/api/admin/api-keys', {
    method: 'POST',
    key,
    json: { name: 'by REST', role: 'Viewer' },
  })
  const json = { name: 'by tRPC', role: 'Viewer' }
  const trpc = await ask(server, 'tRPC', '/trpc/apiKeys.create', { method: 'POST', key, json })
  canaries.restKey = { text: (await rest.json()).key, shownBy: ['REST'] }
  canaries.trpcKey = { text: (await trpc.json()).result.data.key, shownBy: ['tRPC'] }
  await ask(server, 'REST, 500', '/api/admin/api-keys', { method: 'POST', key, json: { name: forced, role: 'Viewer' } })
  return key
}

/** A key where it does belong: in a leak's report, with and without an error. */
async function reportLeaks(server: ChildServer, key: string): Promise<void> {
  const made = await ask(server, 'REST, to report', '/api/admin/api-keys', {
    method: 'POST',
    key,
    json: { name: 'to report', role: 'Viewer' },
  })
  const leaked: string = (await made.json()).key
  canaries.leakedKey = { text: leaked, shownBy: ['REST, to report'] }
  const report = (name: string, path: string, json: unknown, headers = {}) =>
    ask(server, name, path, { method: 'POST', json, headers })
  await report('report, 500', '/api/keys/report-leak', { key: leaked }, { 'user-agent': forced })
  await report('report by tRPC, 500', '/trpc/apiKeys.reportLeak', { key: leaked }, { 'user-agent': forced })
  for (const json of [{ key: [leaked] }, { key: `${leaked}\0` }, leaked, { key: leaked, and: leaked }]) {
    await report('report, wrong', '/api/keys/report-leak', json)
    await report('report by tRPC, wrong', '/trpc/apiKeys.reportLeak', json)
  }
  await report('report, cut', '/api/keys/report-leak', { key: leaked.slice(0, -1) })
  await report('report', '/api/keys/report-leak', { key: leaked })
  await report('report by tRPC', '/trpc/apiKeys.reportLeak', { key: leaked })
}

async function keepModelSecret(server: ChildServer, key: string): Promise<void> {
  const secret = `canary-model-${randomBytes(9).toString('hex')}`
  canaries.modelSecret = { text: secret, shownBy: [] }
  const model = { url: 'https://models.example.com/v1', name: 'm', secret }
  const judge = (fields = {}) => ({ name: 'Judge', provider: 'model', model, ...fields })
  const post = (label: string, path: string, json: unknown) => ask(server, label, path, { method: 'POST', key, json })
  const { id } = await (await post('judge', '/api/judgesettings', judge())).json()
  await post('judge, name in use', '/api/judgesettings', judge())
  await post('judge, 500', '/api/judgesettings', judge({ name: forced }))
  await post('judge by tRPC, 500', '/trpc/judgeSettings.create', judge({ name: forced }))
  await post(
    'judge, wrong',
    '/api/judgesettings',
    judge({ provider: secret, criteria: [{ type: 'regex', pattern: `(${secret}` }] }),
  )
  await ask(server, 'judge, replaced', `/api/judgesettings/${id}`, { method: 'PUT', key, json: judge({ name: 'Judge 2' }) })
  for (const path of ['/api/judgesettings', `/api/judgesettings/${id}`]) await ask(server, path, path, { key })
}

/** What is shown once and kept sealed or hashed: a webhook's secret, a link that lets in, what a provider and an app know. */
async function makeSecrets(server: ChildServer, cookie: string, key: string): Promise<void> {
  const post = async (label: string, path: string, json: unknown) =>
    (await ask(server, label, path, { method: 'POST', key, json })).json()
  const webhook = (description: string) => ({ url: 'https://hooks.example.com/', description, events: ['*'], isActive: false })
  canaries.webhookSecret = {
    text: (await post('webhook', '/api/admin/webhooks', webhook('ours'))).secret,
    shownBy: ['webhook'],
  }
  await post('webhook, 500', '/api/admin/webhooks', webhook(forced))
  await ask(server, 'webhooks', '/api/admin/webhooks', { key })

  const guest = { email: 'grace@example.com', role: 'Viewer' }
  const { link } = await post('invitation', '/api/admin/invitations', guest)
  const token = new URL(link, server.url).searchParams.get('token') ?? ''
  canaries.invitation = { text: token, shownBy: ['invitation', 'invitation form', 'invitation form, wrong'] }
  await post('invitation, 500', '/api/admin/invitations', { ...guest, email: `${forced}@example.com` })
  await ask(server, 'invitation form', `/invitation?token=${token}`)
  await ask(server, 'invitation form, wrong', `/invitation?token=${token}`, form(server, '', { name: '', password: 'short' }))
  await ask(server, 'invitations', '/api/admin/invitations', { key })

  const clientSecret = `canary-client-${randomBytes(9).toString('hex')}`
  canaries.clientSecret = { text: clientSecret, shownBy: [] }
  const provider = (name: string) => ({
    name,
    issuer: 'https://id.example.com/',
    clientId: 'mate',
    tenantClaim: 'tid',
    clientSecret,
  })
  expect(await post('provider', '/api/admin/identity-providers', provider('Provider'))).toMatchObject({ name: 'Provider' })
  await post('provider, 500', '/api/admin/identity-providers', provider(forced))
  await post('provider, wrong', '/api/admin/identity-providers', { ...provider('B'), scopes: { clientSecret } })
  await ask(server, 'providers', '/api/admin/identity-providers', { key })

  const path = '/account/authenticator'
  const { secret, sealed } = secretOn(await (await ask(server, 'app', path, { headers: { cookie } })).text())
  canaries.appSecret = { text: secret, shownBy: ['app', 'app, wrong'] }
  const setUpApp = (label: string, code: string) =>
    ask(server, label, path, form(server, cookie, { intent: 'totp', sealed, code }))
  await setUpApp('app, wrong', wrongCodeOf(secret))
  const [code = ''] = codesOn(await (await setUpApp('app, right', codeOf(secret))).text())
  canaries.recoveryCode = { text: code, shownBy: ['app, right'] }
  await ask(server, 'account', '/account', { headers: { cookie } })
}

async function useEverything(server: ChildServer, cookie: string, key: string): Promise<void> {
  const secret = `canary-secret-${randomBytes(9).toString('hex')}`
  canaries.connectorSecret = { text: secret, shownBy: [] }
  const post = (name: string, path: string, json: unknown) => ask(server, name, path, { method: 'POST', key, json })
  const made = await post('agent', '/api/agents', agentWith('Agent', secret))
  const { id, connector } = await made.json()
  const path = `/api/agents/${id}/connectors/${connector.id}`
  const replace = (label: string, json: unknown) => ask(server, label, path, { method: 'PUT', key, json })
  const kept = { type: 'openai', url: 'https://agent.example.com/v1', secret }
  await replace('connector', { connector: { ...kept, model: 'm' } })
  await replace('connector, 500', { connector: { ...kept, model: forced } })
  await replace('connector, wrong', { connector: { ...kept, model: { secret }, temperature: secret } })
  await replace('connector, elsewhere', { connector: { type: 'openai', url: 'https://evil.example/', model: 'm' } })
  await post('agent, name in use', '/api/agents', agentWith('Agent', secret))
  await post('agent, 500', '/api/agents', agentWith(forced, secret))
  await post('agent by tRPC, 500', '/trpc/agents.create', agentWith(forced, secret))
  await post('agent by tRPC, batch, 500', '/trpc/agents.create?batch=1', { 0: agentWith(forced, secret) })
  await post('agent, wrong', '/api/agents', { ...agentWith('B', secret), environment: secret, tags: secret, isActive: secret })
  await post('agent by tRPC, wrong', '/trpc/agents.create', { ...agentWith('B', secret), environment: secret })
  await ask(server, 'agent, replaced', `/api/agents/${id}`, { method: 'PUT', key, json: agentWith('Agent 2', secret) })
  await ask(server, 'agent, replaced, 500', `/api/agents/${id}`, { method: 'PUT', key, json: agentWith(forced, secret) })
  await ask(server, 'agents', '/api/agents', { key })
  await keepModelSecret(server, key)
  await ask(server, 'agent, got', `/api/agents/${id}`, { key })

  for (const [label, headers] of [
    ['ApiKey', { authorization: `ApiKey ${key}` }],
    ['Bearer', { authorization: `bearer ${key}` }],
    ['Basic', { authorization: `Basic ${key}` }],
    ['two credentials', { 'x-api-key': key, authorization: `ApiKey ${canaries.restKey?.text}` }],
    ['cut key', { 'x-api-key': key.slice(0, -1) }],
    ['as a cookie', { cookie: `mate.session_token=${key}` }],
    ['tenant', { 'x-api-key': key, 'x-tenant-id': key }],
  ] as const) {
    await ask(server, `me, ${label}`, '/api/me', { headers })
    await ask(server, `me by tRPC, ${label}`, '/trpc/me.get?input=%7B%7D', { headers })
    await ask(server, `page, ${label}`, '/api-keys', { headers })
  }
  await post('key as role', '/api/admin/api-keys', { name: 'x', role: key })
  await post('key as id', '/trpc/apiKeys.revoke', { id: key })
  await ask(server, 'not JSON', '/api/agents', {
    method: 'POST',
    key,
    body: `{"name":"${key}`,
    headers: { 'content-type': 'application/json' },
  })
  await ask(server, 'wrong type', '/api/agents', { method: 'POST', key, body: key, headers: { 'content-type': 'text/plain' } })
  await ask(server, 'wrong method', '/api/me', { method: 'DELETE', key })
  for (const path of ['/', '/api-keys', '/api-keys/new', '/api-keys.data', '/audit-log', '/audit-log.data', '/nothing']) {
    await ask(server, `page ${path}`, path, { headers: { cookie } })
  }
  for (const path of ['/api/admin/api-keys', '/api/admin/audit-log', '/openapi/v1.json', '/scalar/v1', '/health/ready']) {
    await ask(server, path, path, { key })
  }
}

/** Keys where they do not belong: in the address. What is asked is that they reach no log and no table. */
async function putIntoAddresses(server: ChildServer, cookie: string, key: string): Promise<void> {
  for (const path of [
    `/api/me?api_key=${key}`,
    `/api/agents/${key}`,
    `/api/${key}`,
    `/trpc/me.get?api_key=${key}`,
    `/trpc/${key}`,
    `/${key}`,
    `/api-keys/${key}`,
    `/api-keys?search=${key}`,
    `/audit-log?search=${key}`,
    `/api-keys?key=${key}`,
    `/health/${key}`,
    `/openapi/v1.json?key=${key}`,
    `/${key}%`,
  ]) {
    for (const headers of [{}, { 'x-api-key': key }, { cookie }] as Record<string, string>[]) {
      await (await server.request(path, { headers })).arrayBuffer()
      const post = { method: 'POST', headers: { ...headers, origin: server.url } }
      await (await server.request(path, { ...post, body: new URLSearchParams({ a: 'b' }) })).arrayBuffer()
    }
  }
}

async function withoutDatabase(server: ChildServer, url: string, work: () => Promise<void>): Promise<void> {
  const name = new URL(url).pathname.slice(1)
  await asSuperuser(async (admin) => {
    await admin.unsafe(`alter database ${name} allow_connections false`)
    await admin`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name}`
  })
  await work()
  await asSuperuser((admin) => admin.unsafe(`alter database ${name} allow_connections true`))
  await waitUntil(async () => (await server.request('/health/ready')).status === 200)
}

async function pushThroughNoDatabase(server: ChildServer, cookie: string, key: string): Promise<void> {
  const secret = canaries.connectorSecret?.text ?? ''
  const fields = { email: 'ada@example.com', password: canaries.password?.text ?? '' }
  await ask(server, 'no database, REST', '/api/me', { key })
  await ask(server, 'no database, agent', '/api/agents', { method: 'POST', key, json: agentWith('C', secret) })
  await ask(server, 'no database, tRPC', '/trpc/agents.create', { method: 'POST', key, json: agentWith('C', secret) })
  await ask(server, 'no database, page', '/api-keys', { headers: { cookie } })
  await ask(server, 'no database, sign-in', '/sign-in', form(server, '', fields))
  await ask(server, 'no database, set-up form', '/setup?token=unknown')
  await ask(server, 'no database, set-up', '/setup?token=unknown', form(server, '', { ...fields, tenantName: 'A', name: 'B' }))
  await ask(server, 'no database, sign-out', '/sign-out', form(server, cookie, {}))
}

beforeAll(async () => {
  const place = await makePlace()
  const before = await place.open()
  await installFaults(before)
  await before.close()
  const server = await startChildServer({ ...place.settings, MATE_SIGN_IN_ATTEMPTS: '1000' })
  await setUp(server)
  const cookie = await signIn(server)
  const key = await makeKeys(server, cookie)
  await useEverything(server, cookie, key)
  await reportLeaks(server, key)
  await makeSecrets(server, cookie, key)
  await putIntoAddresses(server, cookie, key)
  const { DATABASE_URL } = place.settings
  if (DATABASE_URL) await withoutDatabase(server, DATABASE_URL, () => pushThroughNoDatabase(server, cookie, key))
  expect((await server.kill('SIGTERM')).code).toBe(0)
  log = server.output.stderr
  stdout = server.output.stdout
  const after = await place.open()
  database = await dump(after)
  await after.close()
}, 180_000)

afterAll(() => {
  answers.length = 0
})

const names = [
  'setupToken',
  'password',
  'firstSession',
  'session',
  'pageKey',
  'restKey',
  'trpcKey',
  'leakedKey',
  'connectorSecret',
  'modelSecret',
  'webhookSecret',
  'invitation',
  'clientSecret',
  'appSecret',
  'recoveryCode',
]
const keys = ['pageKey', 'restKey', 'trpcKey']

const textOf = (name: string) => {
  const text = canaries[name]?.text ?? ''
  expect(text.length).toBeGreaterThan(18)
  return text
}

test('the errors were real: 500 where the database refused the row, 503 where it was gone, and each is in the log', () => {
  const statusesOf = (part: string) => answers.filter(({ label }) => label.includes(part)).map(({ status }) => status)
  expect(statusesOf('500')).toHaveLength(16)
  expect(new Set(statusesOf('500'))).toEqual(new Set([500]))
  expect(new Set(statusesOf('no database'))).toEqual(new Set(isPostgres ? [503] : []))
  const errors = log.split('\n').filter((line) => line.includes('"level":"error"'))
  expect(errors.length).toBeGreaterThanOrEqual(statusesOf('500').length + statusesOf('no database').length)
  expect(log).toContain('forced')
})

test('each line of the log is one JSON object; each 5xx has an error there, with its request id, and its operation if it had one', () => {
  const entries = log
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  for (const entry of entries) {
    expect(entry).toMatchObject({ level: expect.stringMatching(/^(info|warn|error)$/), message: expect.any(String) })
    expect(new Date(String(entry.time)).toISOString()).toBe(entry.time)
  }
  const failed = answers.filter(({ status }) => status >= 500)
  expect(failed.length).toBeGreaterThanOrEqual(8)
  const operationOf = (answer: Answer) => {
    const requestId = /x-request-id: (\S+)/.exec(answer.text)?.[1]
    const found = entries.filter((entry) => entry.requestId === requestId && entry.level === 'error')
    expect(found, answer.label).not.toEqual([])
    return found[0]?.operation
  }
  const operations = Object.fromEntries(failed.map((answer) => [answer.label, operationOf(answer)]))
  expect(operations).toMatchObject({
    'set-up form, 500': 'set up',
    'sign-in, 500': 'sign in',
    'page, 500': 'apiKeys.create',
    'REST, 500': 'apiKeys.create',
    'agent by tRPC, 500': 'agents.create',
    ...(isPostgres ? { 'no database, REST': 'me.get', 'no database, set-up': 'set up' } : {}),
  })
})

describe.each(names)('%s', (name) => {
  test('is in no answer but the one that makes it', () => {
    const text = textOf(name)
    const seen = answers.filter((answer) => isIn(answer.text, text)).map((answer) => answer.label)
    expect(seen.filter((label) => !canaries[name]?.shownBy.includes(label))).toEqual([])
  })

  test('is not in the log', () => {
    expect(isIn(log, textOf(name))).toBe(false)
  })

  test('is not on standard output, but for the set-up link', () => {
    const rest = name === 'setupToken' ? stdout.replace(`/setup?token=${textOf(name)}`, '') : stdout
    expect(isIn(rest, textOf(name))).toBe(false)
  })

  test('is in no table; a session only in its own row', () => {
    const text = textOf(name)
    const isSession = name === 'session' || name === 'firstSession'
    const lines = database.split('\n').filter((line) => isIn(line, text))
    expect(lines.map((line) => line.split(' ')[0])).toEqual(isSession ? ['public.sessions'] : [])
  })
})

test('the search would have found them: keys in the answers that make them, their prefix and the names in the tables', () => {
  for (const name of keys) {
    const seen = answers.filter((answer) => isIn(answer.text, textOf(name))).map((answer) => answer.label)
    expect(seen).toEqual(canaries[name]?.shownBy)
    expect(database).toContain(textOf(name).slice(0, 12))
  }
  expect(database).toContain('Agent 2')
  expect(database).toContain('ada@example.com')
  expect(isIn(`x${Buffer.from(textOf('pageKey')).toString('hex')}x`, textOf('pageKey'))).toBe(true)
})

test('no SQL, no stack, no parameter and nothing of the database’s own words leaves with any answer', () => {
  for (const { label, text } of answers) {
    const found =
      /Failed query|insert into|select "|params:|\$1|plpgsql|force_500|"forced"|node_modules|PostgresError|\b55000\b/.exec(text)
    expect(`${label}: ${found?.[0]}`).toBe(`${label}: undefined`)
  }
})
