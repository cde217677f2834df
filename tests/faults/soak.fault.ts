// A long mixed load at full speed, every operation by every door: memory, handles and connections stay flat.
import { readdirSync } from 'node:fs'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Database } from '#db/client.ts'
import { type ChildServer, sleep, startChildServer } from '../child-server.ts'
import { callRest, callTrpc, operations, validInput } from '../doors.ts'
import {
  createTestDatabase,
  type SeededKey,
  type SeededUser,
  seedKey,
  seedTenant,
  seedUser,
  type TestServer,
} from '../harness.ts'
import { inspect } from './inspector.ts'
import { count, isFull, report } from './scale.ts'

const lastsMs = count(20 * 60_000)
const samples = isFull ? 20 : 4
const workers = 8
const pages = ['/api-keys', '/api-keys/new', '/audit-log', '/agents-that-are-not-there', '/', '/openapi/v1.json', '/health/ready']

let database: Database
let url: string
let server: ChildServer

beforeAll(async () => {
  const made = await createTestDatabase()
  database = made.database
  url = made.url ?? ''
  server = await startChildServer({ DATABASE_URL: url, MATE_DB_CONNECTIONS: '10', NODE_OPTIONS: '--inspect=127.0.0.1:0' })
})

afterAll(async () => {
  await server?.kill('SIGKILL')
  await database?.close()
})

/** To this database: the server's, and at most 21 of the test's own. */
async function countConnections(): Promise<number> {
  const [row] = await database.db
    .select({ n: sql<number>`count(*)::int` })
    .from(sql`pg_stat_activity`)
    .where(sql`datname = current_database() and backend_type = 'client backend'`)
  return row?.n ?? 0
}

/** One operation by REST, by tRPC, and one page; their statuses. */
async function turn(on: TestServer, tenantId: string, key: SeededKey, user: SeededUser, i: number): Promise<number[]> {
  const operation = operations[i % operations.length]
  if (!operation) throw new Error('there is no operation')
  const page = await on.request(pages[i % pages.length] ?? '/', { headers: { cookie: user.cookie } })
  await page.arrayBuffer()
  const statuses = [page.status]
  for (const call of [callRest, callTrpc]) {
    const input = await validInput(on, operation, tenantId)
    statuses.push((await call(on, operation, input, { key: key.key })).status)
  }
  return statuses
}

interface Sample {
  heap: number
  handles: number
  connections: number
}

test(`${lastsMs / 1_000} s of mixed load: memory after collection, handles and connections are flat`, {
  timeout: lastsMs + 300_000,
}, async () => {
  const asTestServer = { request: server.request, database } as unknown as TestServer
  const tenant = await seedTenant({ database })
  const key = await seedKey({ database }, tenant.id, 'SuperAdmin')
  const user = await seedUser(asTestServer, tenant.id, 'SuperAdmin')
  const inspector = await inspect(server)
  const statuses: Record<number, number> = {}
  let isOver = false
  const working = Promise.all(
    Array.from({ length: workers }, async (_, worker) => {
      for (let i = worker; !isOver; i++)
        for (const status of await turn(asTestServer, tenant.id, key, user, i)) statuses[status] = (statuses[status] ?? 0) + 1
    }),
  )

  const sample = async (): Promise<Sample> => ({
    heap: await inspector.heapAfterCollection(),
    handles: readdirSync(`/proc/${server.process.pid}/fd`).length,
    connections: await countConnections(),
  })
  // The first fifth warms up: compiled code, caches of statements, pools.
  await sleep(lastsMs / 5)
  const heapBefore = isFull ? await inspector.heapByConstructor() : new Map<string, number>()
  const seen: Sample[] = []
  for (let i = 0; i < samples; i++) {
    seen.push(await sample())
    await sleep((lastsMs * 0.8) / samples)
  }
  isOver = true
  await working
  await sleep(1_000)
  const heapAfter = isFull ? await inspector.heapByConstructor() : new Map<string, number>()
  inspector.close()

  const requests = Object.values(statuses).reduce((sum, n) => sum + n, 0)
  const megabytes = seen.map(({ heap }) => heap / 1e6)
  const growth = [...heapAfter]
    .map(([name, size]) => [name, size - (heapBefore.get(name) ?? 0)] as const)
    .filter(([, size]) => size > 50_000)
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, 5)
  report(
    `Mixed load, ${lastsMs / 1_000} s, ${workers} workers, all operations and doors`,
    `${requests} requests (${Object.entries(statuses)
      .map(([status, n]) => `${n} × ${status}`)
      .join(
        ', ',
      )}); heap after collection ${megabytes.map((mb) => mb.toFixed(1)).join(', ')} MB; handles ${seen.map(({ handles }) => handles).join(', ')}; connections ${seen.map(({ connections }) => connections).join(', ')}${isFull ? `; grew between two snapshots: ${growth.map(([name, size]) => `${name} ${(size / 1e3).toFixed(0)} kB`).join(', ') || 'nothing by 50 kB'}` : ''}`,
  )
  // What went wrong first, in the server's own words.
  const errors = server.output.stderr.split('\n').filter((line) => line.includes('"level":"error"'))
  expect(errors.slice(0, 3)).toEqual([])
  expect(Object.keys(statuses).filter((status) => Number(status) >= 500 || status === '0')).toEqual([])
  // Halves and not ends: one sample may catch requests under way.
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const half = samples / 2
  expect(mean(megabytes.slice(half)) - mean(megabytes.slice(0, half))).toBeLessThan(isFull ? 3 : 8)
  expect(Math.max(...seen.slice(half).map(({ handles }) => handles))).toBeLessThan(
    Math.max(...seen.slice(0, half).map(({ handles }) => handles)) + 10,
  )
  expect(Math.max(...seen.map(({ connections }) => connections))).toBeLessThanOrEqual(11 + 20)
})
