// The server as a process: start, refusal to start, health, a database that goes away and comes back, drain.
import { connect, createServer } from 'node:net'
import { eq, sql } from 'drizzle-orm'
import { describe, expect, test } from 'vitest'
import { apiKeys } from '#db/schema.ts'
import {
  asSuperuser,
  type Child,
  launchServer,
  makeEmptyPlace,
  makeFolder,
  makePlace,
  runProcess,
  type Settings,
  sleep,
  startChildServer,
  waitUntil,
} from './child-server.ts'
import { createTestDatabase, isPostgres, seedKey, seedTenant, seedUser, startTestServer, type TestServer } from './harness.ts'

/** Starts a server that must not come up; the one line that it says on standard error. */
async function refusalOf(settings: Settings): Promise<string> {
  const child = launchServer(settings)
  const exit = await child.exited
  expect(exit).toEqual({ code: 1, signal: null })
  expect(child.output.stdout).toBe('')
  const { stderr } = child.output
  expect(stderr.startsWith('mate can’t start. ')).toBe(true)
  expect(stderr).not.toMatch(/^\s+at |\.js:\d+|\.ts:\d+|node:internal|\[object|undefined/m)
  return stderr.trimEnd()
}

describe('the embedded database serves one process', () => {
  test('a second server on its folder refuses in one clear line, and the first goes on; after kill -9 the folder is free', async () => {
    const settings = { MATE_DATA_DIR: makeFolder() }
    const first = await startChildServer(settings)
    const refusal = await refusalOf(settings)
    expect(refusal).toContain('Another process uses the database in')
    expect(refusal).toContain('DATABASE_URL')
    expect(refusal.split('\n')).toHaveLength(1)
    expect((await first.request('/health/ready')).status).toBe(200)

    await first.kill('SIGKILL')
    const next = await startChildServer(settings)
    expect((await next.request('/health/ready')).status).toBe(200)
    expect(await next.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  })
})

test('two nodes that start at once on one empty database: on PostgreSQL both come up, on the embedded one exactly one', async () => {
  const place = await makeEmptyPlace()
  const started = await Promise.allSettled([startChildServer(place.settings), startChildServer(place.settings)])
  const up = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  expect(up).toHaveLength(isPostgres ? 2 : 1)
  for (const result of started) {
    if (result.status === 'rejected') expect(String(result.reason)).toContain('Another process uses the database in')
  }
  for (const node of up) expect((await node.request('/health/ready')).status).toBe(200)
  for (const node of up) expect(await node.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  const database = await place.open()
  const [counts] = await database.db
    .select({ all: sql<number>`count(*)::int`, different: sql<number>`count(distinct hash)::int` })
    .from(sql`mate_migrations`)
  await database.close()
  expect(counts?.all).toBeGreaterThan(0)
  expect(counts?.different).toBe(counts?.all)
})

describe('a server that can’t start says why in one clear message, without a stack, and exits with 1', () => {
  test.each([
    ['PORT', { PORT: 'abc' }],
    ['MATE_SECRET', { MATE_SECRET: 'short' }],
    ['PUBLIC_URL', { PUBLIC_URL: 'ftp://mate.example.com' }],
    ['MATE_MAX_KEY_DAYS', { MATE_MAX_KEY_DAYS: '0' }],
    ['MATE_ADMIN_PASSWORD', { MATE_ADMIN_EMAIL: 'a@example.com', MATE_ADMIN_PASSWORD: 'short' }],
    ['missing MATE_ADMIN_EMAIL', { MATE_ADMIN_PASSWORD: 'a long enough password' }],
    ['missing MATE_ADMIN_PASSWORD', { MATE_ADMIN_EMAIL: 'a@example.com' }],
    ['MATE_TRUST_PROXY', { MATE_TRUST_PROXY: 'proxy.example.com' }],
    ['DATABASE_URL', { DATABASE_URL: 'mysql://root@localhost/mate' }],
  ])('a wrong %s is named', async (name, wrong: Settings) => {
    const { settings } = name === 'MATE_TRUST_PROXY' ? await makePlace() : { settings: { MATE_DATA_DIR: makeFolder() } }
    const refusal = await refusalOf({ ...settings, ...wrong })
    expect(refusal).toContain(name.replace('missing ', ''))
    expect(refusal).not.toContain('short')
  })

  test('several wrong settings are all named at once', async () => {
    const refusal = await refusalOf({ PORT: '70000', MATE_DB_CONNECTIONS: 'many', MATE_DATA_DIR: makeFolder() })
    expect(refusal).toContain('PORT')
    expect(refusal).toContain('MATE_DB_CONNECTIONS')
  })

  test('a port in use is named', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => other.once('listening', resolve))
    const { port } = other.address() as { port: number }
    const { settings } = await makePlace()
    const refusal = await refusalOf({ ...settings, PORT: String(port) })
    other.close()
    expect(refusal).toContain(`Port ${port} is in use`)
    expect(refusal.split('\n')).toHaveLength(1)
  })

  test.each([
    ['nobody listens', () => 'postgres://mate:canary-of-a-password@127.0.0.1:1/mate'],
    ['nobody listens, on a name with two addresses', () => 'postgres://mate:canary-of-a-password@localhost:1/mate'],
    ['the host does not exist', () => 'postgres://mate:canary-of-a-password@mate.invalid/mate'],
  ])('an unreachable database, where %s: names DATABASE_URL, never its password', async (_, url) => {
    const refusal = await refusalOf({ DATABASE_URL: url() })
    expect(refusal).toContain('DATABASE_URL')
    expect(refusal).not.toContain('canary')
    expect(refusal.split('\n')).toHaveLength(1)
  })

  test('a database that does not exist, or whose user may not sign in', async () => {
    const { settings } = await makePlace()
    // On PGlite there is no PostgreSQL to ask: what can’t be reached is refused in the same words.
    const url = new URL(settings.DATABASE_URL ?? 'postgres://127.0.0.1:1/mate')
    url.pathname = '/mate_no_such_database'
    expect(await refusalOf({ DATABASE_URL: url.href })).toContain('DATABASE_URL')
    url.username = 'mate_no_such_role'
    url.password = 'canary-of-a-password'
    const refusal = await refusalOf({ DATABASE_URL: url.href })
    expect(refusal).toContain('DATABASE_URL')
    expect(refusal).not.toContain('canary')
  })
})

const testOnPostgres = isPostgres ? test : () => {}

testOnPostgres('a database that takes no writes is refused in its own words, without the query', async () => {
  const { settings } = await makePlace()
  const name = new URL(settings.DATABASE_URL ?? '').pathname.slice(1)
  await asSuperuser((admin) => admin.unsafe(`alter database ${name} set default_transaction_read_only = on`))
  expect(await refusalOf(settings)).toBe('mate can’t start. cannot execute CREATE TABLE in a read-only transaction')
})

test('an error that nobody catches ends the process with one line in the log, without the parameters of its query', async () => {
  const { settings } = await makePlace()
  const fault = `process.once('SIGUSR2', () => Promise.reject(new Error('Failed query: select $1\\nparams: canary')))`
  const child = runProcess(process.execPath, ['--import', `data:text/javascript,${fault}`, 'build/server/index.js'], {
    PORT: '0',
    HOST: '127.0.0.1',
    ...settings,
  })
  await waitUntil(async () => child.output.stdout.includes('mate is at'))
  expect(await child.kill('SIGUSR2')).toEqual({ code: 1, signal: null })
  expect(JSON.parse(child.output.stderr)).toMatchObject({ level: 'error', error: { message: 'Failed query: select $1' } })
  expect(child.output.stderr).not.toContain('canary')
})

/** A request whose body comes in two parts. */
function trickle(url: string, key: string, body: string) {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  const answered = new Promise<string>((resolve) => {
    let answer = ''
    socket.setEncoding('utf8').on('data', (text) => {
      answer += text
      if (answer.endsWith('}')) resolve(answer)
    })
    socket.once('close', () => resolve(answer))
  })
  const half = Math.floor(body.length / 2)
  socket.write(
    `POST /api/agents HTTP/1.1\r\nHost: ${hostname}\r\nX-API-Key: ${key}\r\nUser-Agent: trickle\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body.slice(0, half)}`,
  )
  return { finish: () => socket.write(body.slice(half)), answered }
}

async function untilRefused(url: string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const refused = await fetch(`${url}/health/live`, { headers: { connection: 'close' } }).then(
      async (response) => void (await response.arrayBuffer()),
      () => 'refused',
    )
    if (refused) return
    await sleep(25)
  }
  throw new Error('new connections are still accepted')
}

const isSettled = (child: Child) => Promise.race([child.exited.then(() => true), sleep(200).then(() => false)])

test('SIGTERM drains: no new connection, the request under way gets its answer, last use is written, exit code 0', async () => {
  const place = await makePlace()
  const before = await place.open()
  const tenant = await seedTenant({ database: before })
  const { id, key } = await seedKey({ database: before }, tenant.id, 'TenantAdmin')
  await before.close()

  const server = await startChildServer(place.settings)
  // A connection that stays open without a request must not hold the process.
  const idle = connect(Number(new URL(server.url).port), '127.0.0.1')
  idle.on('error', () => {})
  await new Promise((resolve) => idle.once('connect', resolve))
  const json = { name: 'Slow', environment: 'test', connector: { type: 'http', url: 'https://agent.example.com/' } }
  const request = trickle(server.url, key, JSON.stringify(json))
  await sleep(300)
  server.process.kill('SIGTERM')
  await untilRefused(server.url)
  expect(await isSettled(server)).toBe(false)

  request.finish()
  const answer = await request.answered
  const from = Date.now()
  expect(answer).toMatch(/^HTTP\/1\.1 201 /)
  expect(answer).toContain('"name":"Slow"')
  // The client keeps both connections open, and they do not hold the process.
  expect(await server.exited).toEqual({ code: 0, signal: null })
  expect(Date.now() - from).toBeLessThan(4_000)

  const after = await place.open()
  const [row] = await after.db.select().from(apiKeys).where(eq(apiKeys.id, id))
  await after.close()
  expect(row?.lastUsedAt).toBeInstanceOf(Date)
  expect(row?.lastUsedIp).toBe('127.0.0.1')
  expect(row?.lastUsedUserAgent).toBe('trickle')
})

test('health: live and ready answer 200 as JSON without a key, any other name is a 404 problem', async () => {
  const server = await startChildServer((await makePlace()).settings)
  for (const path of ['/health/live', '/health/ready']) {
    const response = await server.request(path)
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({ status: 'ok' })
    // Longer than a balancer's own: it must be the one to give an idle connection up.
    expect(response.headers.get('keep-alive')).toBe('timeout=75')
  }
  expect((await server.request('/health/other')).status).toBe(404)
  expect(await server.kill('SIGINT')).toEqual({ code: 0, signal: null })
})

/** Takes the database away from a server in this process; the returned function gives it back, where that is possible. */
async function takeAway(server: TestServer, url: string | undefined): Promise<(() => Promise<void>) | undefined> {
  if (!url) {
    await server.database.close()
    return undefined
  }
  const name = new URL(url).pathname.slice(1)
  await asSuperuser(async (admin) => {
    await admin.unsafe(`alter database ${name} allow_connections false`)
    await admin`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name}`
  })
  return () => asSuperuser(async (admin) => void (await admin.unsafe(`alter database ${name} allow_connections true`)))
}

test('without its database: live stays 200; ready, REST, tRPC and pages are 503 and say when to come back; then it recovers', async () => {
  const { database, url } = await createTestDatabase()
  const server = await startTestServer({}, database)
  const tenant = await seedTenant(server)
  const { key } = await seedKey(server, tenant.id, 'TenantAdmin')
  const { cookie } = await seedUser(server, tenant.id, 'TenantAdmin')
  expect((await server.request('/api/me', { key })).status).toBe(200)
  const giveBack = await takeAway(server, url)

  expect((await server.request('/health/live')).status).toBe(200)
  const agent = { name: 'A', environment: 'test', connector: { type: 'http', url: 'https://agent.example.com/' } }
  const calls: [string, Promise<Response>][] = [
    ['/health/ready', server.request('/health/ready')],
    ['REST query', server.request('/api/me', { key })],
    ['REST list', server.request('/api/admin/api-keys', { key })],
    ['REST mutation', server.request('/api/agents', { method: 'POST', key, json: agent })],
    ['tRPC query', server.request('/trpc/me.get?input=%7B%7D', { key })],
    ['tRPC mutation', server.request('/trpc/agents.create', { method: 'POST', key, json: agent })],
    ['page', server.request('/api-keys', { headers: { cookie } })],
    ['page, data', server.request('/api-keys.data', { headers: { cookie } })],
  ]
  for (const [name, calling] of calls) {
    const response = await calling
    const text = await response.text()
    expect(`${name} ${response.status}`).toBe(`${name} 503`)
    expect(`${name} ${response.headers.get('retry-after')}`).toMatch(/ \d+$/)
    expect(text).not.toMatch(/select|insert|55000|57P0|PGlite|postgres|node_modules/i)
    if (name.startsWith('REST')) {
      expect(response.headers.get('content-type')).toBe('application/problem+json')
      expect(JSON.parse(text)).toMatchObject({ status: 503, code: 'service_unavailable', title: 'Service unavailable' })
    }
    if (name.startsWith('tRPC')) expect(JSON.parse(text).error.data.problem).toMatchObject({ status: 503 })
  }

  if (giveBack) {
    await giveBack()
    await expect.poll(async () => (await server.request('/health/ready')).status, { timeout: 20_000 }).toBe(200)
    expect((await server.request('/api/me', { key })).status).toBe(200)
    expect((await server.request('/api-keys', { headers: { cookie } })).status).toBe(200)
    await server.stop()
  } else {
    // The embedded database ends only with its process; what was closed stays closed, and is said to be.
    expect((await server.request('/health/ready')).status).toBe(503)
    server.app.server.close()
  }
})

test('a request that never ends does not hold a stop for longer than 10 seconds', async () => {
  const place = await makePlace()
  const before = await place.open()
  const tenant = await seedTenant({ database: before })
  const { key } = await seedKey({ database: before }, tenant.id, 'TenantAdmin')
  await before.close()
  const server = await startChildServer(place.settings)
  const request = trickle(server.url, key, '{"name":"Never"}')
  await sleep(300)
  const from = Date.now()
  expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  expect(Date.now() - from).toBeGreaterThan(9_000)
  expect(Date.now() - from).toBeLessThan(15_000)
  expect(await request.answered).toBe('')
})
