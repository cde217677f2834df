// kill -9 of whoever executes runs, again and again: every case is executed, each result is there once, and the counts are right.
import { eq, inArray, sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Database } from '#db/client.ts'
import { auditLog, results, runs, transcriptMessages } from '#db/schema.ts'
import { startAgent } from './agent.ts'
import {
  type Child,
  makePlace,
  type Place,
  runProcess,
  type Settings,
  sleep,
  startChildServer,
  waitUntil,
} from './child-server.ts'
import { report } from './faults/scale.ts'
import { isPostgres, requester } from './harness.ts'
import { withoutMocks } from './receiver.ts'
import { type RunHouse, seedAgentAt, seedJudge, seedRunHouse, seedSuite, startRun } from './run-seeds.ts'

const rounds = Number(process.env.MATE_RUN_CRASH_ROUNDS ?? (isPostgres ? 3 : 2))
/** Else a test waits as users do: until ten seconds have passed without a word of the dead one. */
const isHurried = rounds < 20
const cases = 6

withoutMocks()
let place: Place
let settings: Settings
let house: RunHouse
let suite: { id: string }
let agent: Awaited<ReturnType<typeof startAgent>>
let agentId: string

beforeAll(async () => {
  place = await makePlace()
  settings = { ...place.settings, MATE_ALLOW_PRIVATE_AGENTS: 'true' }
  agent = await startAgent()
  // Slow enough that a case is in hand at a kill, and runs last for several.
  agent.reply = ({ message }) => new Promise((resolve) => setTimeout(resolve, 20 + 60 * Math.random(), `You said: ${message}`))
  await withDatabase(async (database) => {
    house = await seedRunHouse({ database })
    await seedJudge({ database }, house.id, 'say')
    suite = await seedSuite(
      { database },
      house.id,
      [...Array(cases).keys()].map((i) => (i % 3 === 0 ? { userInput: ['other'] } : {})),
    )
    agentId = (await seedAgentAt({ database }, house.id, agent.url)).id
  })
})
afterAll(() => agent.close())

/** On PGlite only while no server has the folder. */
async function withDatabase<T>(work: (database: Database) => Promise<T>): Promise<T> {
  const database = await place.open()
  try {
    return await work(database)
  } finally {
    await database.close()
  }
}

async function startWorker(): Promise<Child> {
  const child = runProcess(process.execPath, ['build/server/index.js', 'worker'], { ...settings, MATE_WORKERS: '2' })
  await waitUntil(async () => child.output.stdout.includes('mate works'))
  return child
}

/** What the dead one had in hand looks ten seconds older. */
const letTimePass = (database: Database) =>
  database.db.execute(sql`update mate_jobs.job set heartbeat_on = heartbeat_on - interval '11 seconds' where state = 'active'`)

async function verify(database: Database, ids: string[]): Promise<void> {
  const { db } = database
  const all = await db.select().from(runs).where(inArray(runs.id, ids))
  const pass = cases - Math.ceil(cases / 3)
  expect(all.map(({ status, passed, failed, skipped, errors }) => [status, passed, failed, skipped, errors])).toEqual(
    ids.map(() => ['completed', pass, cases - pass, 0, 0]),
  )
  const stored = await db.select().from(results).where(inArray(results.runId, ids))
  expect(stored.length).toBe(ids.length * cases)
  for (const { position, verdict } of stored)
    expect([position, verdict]).toEqual([position, position % 3 === 0 ? 'fail' : 'pass'])
  const said = await db
    .select({ id: transcriptMessages.resultId, count: sql<number>`count(*)::int` })
    .from(transcriptMessages)
    .groupBy(transcriptMessages.resultId)
  expect(said.map(({ count }) => count)).toEqual(stored.map(() => 2))
  const ends = await db.select().from(auditLog).where(eq(auditLog.action, 'run.completed'))
  expect(ends.map(({ entityId }) => entityId).toSorted()).toEqual(ids.toSorted())
}

const resultsSoFar = (database: Database) => database.db.$count(results, sql`verdict is not null`)

/** PostgreSQL: a server that executes nothing, and workers, of which one is killed and started again in each round. */
async function killWorkers(): Promise<string[]> {
  const server = await startChildServer({ ...settings, MATE_WORKERS: '0' })
  const workers = [await startWorker(), await startWorker()]
  const database = await place.open()
  try {
    const ids: string[] = []
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < 3; i++) ids.push(await startRun(server, house, suite.id, agentId))
      const before = await resultsSoFar(database)
      const enough = before + 1 + Math.floor(8 * Math.random())
      await waitUntil(async () => (await resultsSoFar(database)) >= enough)
      await sleep(50 * Math.random())
      const victim = round % 2
      expect(await workers[victim]?.kill('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' })
      if (isHurried) await letTimePass(database)
      workers[victim] = await startWorker()
    }
    const unfinished = () => database.db.$count(runs, sql`completed_at is null`)
    await waitUntil(async () => (await unfinished()) === 0, 120_000)
    await verify(database, ids)
    for (const worker of workers) expect(await worker.kill('SIGTERM')).toEqual({ code: 0, signal: null })
    expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null })
    return ids
  } finally {
    await database.close()
  }
}

/** PGlite: the one server, killed and started again. */
async function killServer(): Promise<string[]> {
  const ids: string[] = []
  for (let round = 0; round < rounds; round++) {
    const server = await startChildServer(settings)
    const before = agent.asked.length
    for (let i = 0; i < 3; i++) ids.push(await startRun(server, house, suite.id, agentId))
    const enough = before + 1 + Math.floor(8 * Math.random())
    await waitUntil(async () => agent.asked.length >= enough)
    await sleep(50 * Math.random())
    expect(await server.kill('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' })
    if (isHurried) await withDatabase(letTimePass)
  }
  const server = await startChildServer(settings)
  const request = requester(server.url)
  const unfinished = async () => {
    const pages = await Promise.all(
      ['pending', 'running'].map((status) => request(`/api/runs?limit=1&status=${status}`, { key: house.tester.key })),
    )
    const bodies = (await Promise.all(pages.map((page) => page.json()))) as { items: unknown[] }[]
    return bodies.flatMap(({ items }) => items).length
  }
  await waitUntil(async () => (await unfinished()) === 0, 120_000)
  expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  await withDatabase((database) => verify(database, ids))
  return ids
}

test(`kill -9 while runs are executed, ${rounds} times: every case executed, each result once, the counts right`, {
  timeout: 1_800_000,
}, async () => {
  const ids = await (isPostgres ? killWorkers() : killServer())
  const what = isPostgres ? 'one of two workers' : 'the server'
  const seen = `${ids.length} runs of ${cases} cases: each result once, the counts right; ${agent.asked.length} cases begun`
  report(`kill -9 of ${what} while it executes runs, ${rounds} times, on ${isPostgres ? 'PostgreSQL' : 'PGlite'}`, seen)
  expect(agent.asked.length).toBeGreaterThanOrEqual(ids.length * cases)
})

test.runIf(isPostgres)('a worker that is told to stop ends the case in hand, and leaves the rest to another', async () => {
  const server = await startChildServer({ ...settings, MATE_WORKERS: '0' })
  const worker = await startWorker()
  const before = agent.asked.length
  const id = await startRun(server, house, suite.id, agentId)
  await waitUntil(async () => agent.asked.length > before + 1)
  const from = Date.now()
  expect(await worker.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  expect(Date.now() - from).toBeLessThan(5_000)
  const asked = agent.asked.length
  await withDatabase(async ({ db }) => {
    // What was begun is stored, so the next worker begins with the case after it.
    expect(await db.$count(results, sql`run_id = ${id} and verdict is not null`)).toBe(asked - before)
  })
  const another = await startWorker()
  const done = await server.request(`/api/runs/${id}?wait=30`, { key: house.tester.key })
  expect(await done.json()).toMatchObject({ status: 'completed', counts: { total: cases } })
  expect(agent.asked.length - before).toBe(cases)
  for (const child of [another, server]) expect(await child.kill('SIGTERM')).toEqual({ code: 0, signal: null })
})

test('a worker without PostgreSQL, or that may execute nothing, says what to do and ends', async () => {
  const start = (more: Settings) => runProcess(process.execPath, ['build/server/index.js', 'worker'], more)
  const embedded = start({ MATE_DATA_DIR: '/nonexistent' })
  expect(await embedded.exited).toEqual({ code: 1, signal: null })
  expect(embedded.output).toEqual({ stdout: '', stderr: expect.stringContaining('A worker needs PostgreSQL: set DATABASE_URL.') })
  const idle = start({ DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none', MATE_WORKERS: '0' })
  expect(await idle.exited).toEqual({ code: 1, signal: null })
  expect(idle.output.stderr).toContain('MATE_WORKERS is 0')
})
