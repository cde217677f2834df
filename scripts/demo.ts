// npm run demo: mate on a database of its own, with a scripted agent, a suite, a first run, and a key for the command line.
import { randomBytes } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { hashPassword } from 'better-auth/crypto'
import { type Database, openDatabase } from '#db/client.ts'
import { lockFolder } from '#db/folder-lock.ts'
import type { App } from '#server/app.ts'
import type { Actor } from '#server/audit.ts'
import { type Env, readEnv } from '#server/env.ts'
import { createTenant, createUser, findTenant, hasUser } from '#server/first-run.ts'
import { prepareRuntime } from '#server/prepare.ts'
import { createMateClient } from '../client/index.ts'
import { build } from './build.ts'
import { type DemoAgent, startDemoAgent } from './demo-agent.ts'
import { agentName, fillDemo, suiteName } from './demo-content.ts'
import { isBuilt } from './source-hash.ts'

const help = `npm run demo [-- OPTIONS]     mate with a demo tenant and a scripted agent, to try it

  --data FOLDER          folder of its embedded database (./data/demo)
  --fresh                starts over: what the demo kept is deleted
  --agent-port PORT      port of the agent on loopback (3100)

Settings: PORT and HOST, as for npm start.
`

const tenantName = 'Demo Bookshop'
const email = 'demo@example.com'
const consoleActor: Actor = { kind: 'console', id: 'console', name: 'console', role: 'SuperAdmin' }

interface Options {
  folder: string
  isFresh: boolean
  agentPort: number
}

function readOptions(): Options | undefined {
  const types = {
    data: { type: 'string', default: 'data/demo' },
    fresh: { type: 'boolean', default: false },
    'agent-port': { type: 'string', default: '3100' },
    help: { type: 'boolean', short: 'h' },
  } as const
  const { values } = parseArgs({ options: types })
  if (values.help) return undefined
  const agentPort = Number(values['agent-port'])
  if (!Number.isInteger(agentPort) || agentPort < 0 || agentPort > 65_535) throw new Error('--agent-port: must be a port.')
  return { folder: resolve(values.data), isFresh: values.fresh, agentPort }
}

/** The demo's own database: no setting leads it to another one. */
function demoEnv(folder: string): Env {
  const { PORT, HOST } = process.env
  return readEnv({ PORT, HOST, MATE_DATA_DIR: folder, MATE_ALLOW_PRIVATE_AGENTS: 'true' })
}

async function openDemo(env: Env, isFresh: boolean): Promise<Database> {
  const folder = env.MATE_DATA_DIR
  if (isFresh) deleteDemo(folder)
  const database = await openDatabase({ dataDir: folder })
  try {
    await prepareRuntime(database, env)
    return database
  } catch (error) {
    await database.close()
    throw error
  }
}

/** Nothing but the database, and not while somebody uses it. */
function deleteDemo(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const unlock = lockFolder(folder)
  rmSync(join(folder, 'pglite'), { recursive: true, force: true })
  unlock()
}

/** @returns the password when the demo's person was made now. */
async function ensurePerson(database: Database): Promise<{ tenantId: string; password: string | undefined }> {
  const password = randomBytes(12).toString('base64url')
  const hash = await hashPassword(password)
  return database.transaction(async (tx) => {
    const found = await findTenant(tx, tenantName)
    if (found) return { tenantId: found.id, password: undefined }
    if (await hasUser(tx)) throw new Error('This folder holds another database than the demo’s. Name another one with --data.')
    const { id: tenantId } = await createTenant(tx, tenantName, consoleActor)
    await createUser(tx, { name: 'Demo Admin', email, password: hash, role: 'SuperAdmin', tenantId }, consoleActor)
    return { tenantId, password }
  })
}

async function startServer(env: Env, database: Database): Promise<App> {
  if (!isBuilt()) {
    process.stdout.write('Building (once; the next start takes a second) …\n')
    build()
  }
  const { startServer: start } = await import(new URL('../build/server/index.js', import.meta.url).href)
  return start(env, database)
}

const firstRunWithinMs = 60_000

/** One run as the key's, which shows that the key works. @returns what came of it, for people. */
async function runOnce(url: string, apiKey: string): Promise<string> {
  const mate = createMateClient({ url, apiKey })
  const [suites, agents] = await Promise.all([mate.testSuites.list.query({}), mate.agents.list.query({})])
  const suiteId = suites.items.find(({ name }) => name === suiteName)?.id
  const agentId = agents.items.find(({ name }) => name === agentName)?.id
  if (!suiteId || !agentId) return 'There was no first run: its suite or its agent is gone.'
  let run = await mate.runs.create.mutate({ suiteId, agentId })
  for (const from = Date.now(); run.completedAt === null && Date.now() - from < firstRunWithinMs; ) {
    run = await mate.runs.get.query({ id: run.id, wait: 10 })
  }
  const { passed, total } = run.counts
  const finding = run.completedAt === null ? 'goes on' : passed < total ? 'has found the wrong answer' : 'has passed'
  return `A first run ${finding}: ${passed} of ${total} cases passed. ${url}/runs/${run.id}`
}

function instructions(app: App, agent: DemoAgent, password: string | undefined, key: string | undefined): string {
  const setKey = key
    ? `export MATE_API_KEY=${key}`
    : 'export MATE_API_KEY=…   the key of the first start; or make one on the page'
  const setUrl = app.url === 'http://localhost:3000' ? '' : `export MATE_URL=${app.url}\n  `
  return `
  Sign in      ${email}
  Password     ${password ?? 'as at the first start; lost: npm run demo -- --fresh'}
  Agent        ${agent.url}/v1 has two faults, ${agent.url}/v2 has none

Run the suite from another terminal${key ? ', with the key of a Tester that is shown only now' : ''}:
  ${setUrl}${setKey}
  npx mate run --suite ${suiteName} --agent "${agentName}" --wait

Ctrl-C ends both.
`
}

async function main(): Promise<void> {
  const options = readOptions()
  if (!options) return void process.stdout.write(help)
  const env = demoEnv(options.folder)
  const agent = await startDemoAgent(options.agentPort)
  const database = await openDemo(env, options.isFresh)
  const { tenantId, password } = await ensurePerson(database)
  const { key } = await fillDemo(tenantId, agent.url)
  const app = await startServer(env, database)
  let isStopping = false
  const stop = () => {
    // npm hands on a Ctrl-C that the terminal has sent to everybody already.
    if (isStopping) return
    isStopping = true
    Promise.all([app.stop(), agent.close()]).then(
      () => process.exit(0),
      () => process.exit(1),
    )
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, stop)
  process.stdout.write(`mate is at ${app.url}\n${instructions(app, agent, password, key)}`)
  if (key) process.stdout.write(`${await runOnce(app.url, key)}\n`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await main()
  } catch (error) {
    process.stderr.write(`The demo can’t start. ${error instanceof Error ? error.message : error}\n`)
    process.exit(1)
  }
}
