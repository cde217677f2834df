// Clients that do not behave: the server's memory stays bounded, and who behaves is still answered in time.
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Database } from '#db/client.ts'
import { type ChildServer, runProcess, sleep, startChildServer } from '../child-server.ts'
import { callRest, callTrpc, type Input, operations, sendRaw, validInput } from '../doors.ts'
import { createTestDatabase, type TestServer } from '../harness.ts'
import { type Seeded, seedForLoad } from './load.ts'
import { count, isFull, quantile, report } from './scale.ts'

const floodMs = isFull ? 20_000 : 800
const sockets = isFull ? 1_000 : 200
// What a long flood sends is gigabytes, and what is kept of it goes up and down: V8 collects when it sees fit.
const maxGrowthMb = isFull ? 600 : 300
// Of the few dozen requests of a short flood it is the slowest one.
const maxP99Ms = isFull ? 1_000 : 2_500

let database: Database
let server: ChildServer
let seeded: Seeded

beforeAll(async () => {
  const made = await createTestDatabase()
  database = made.database
  seeded = await seedForLoad(database)
  const rows = count(200_000, 20_000)
  await database.db.execute(sql`
    insert into agents (tenant_id, name, environment, connector)
    select ${seeded.tenantId}::uuid, 'agent ' || i || ' ' || md5(i::text), 'test', '{"type":"http","url":"https://a.example.com/","secretHeader":"Authorization"}'
    from generate_series(1, ${rows}::int) i`)
  await database.db.execute(sql`
    insert into api_keys (tenant_id, name, prefix, key_hash, role, created_by_kind, created_by_id, created_by_name)
    select ${seeded.tenantId}::uuid, 'key ' || i || ' ' || md5(i::text), 'mate_flood00', sha256(i::text::bytea), 'Viewer', 'console', 'test', 'test'
    from generate_series(1, ${rows}::int) i`)
  await database.db.execute(sql`analyze`)
  server = await startChildServer({ DATABASE_URL: made.url ?? '', MATE_DB_CONNECTIONS: '10' })
}, 120_000)

afterAll(async () => {
  await server?.kill('SIGKILL')
  await database?.close()
})

/** Resident memory of the server, in MB. */
function residentMb(): number {
  const kb = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${server.process.pid}/status`, 'utf8'))?.[1]
  return Number(kb) / 1_024
}

interface Seen {
  peakMb: number
  p50: number
  p99: number
  statuses: Record<string, number>
}

/** Runs `flood` for a while beside a client that behaves. */
async function during(flood: (isOver: () => boolean) => Promise<unknown>): Promise<Seen> {
  // A process of its own: its figures are not those of the flood's sender.
  const probe = runProcess(process.execPath, ['tests/faults/probe.ts', server.url, seeded.viewer.key], {}, null)
  const until = performance.now() + floodMs
  let peakMb = residentMb()
  const watch = setInterval(() => {
    peakMb = Math.max(peakMb, residentMb())
  }, 20)
  await flood(() => performance.now() > until)
  clearInterval(watch)
  probe.process.stdin?.end()
  await probe.exited
  const { took, statuses } = JSON.parse(probe.output.stdout) as { took: number[]; statuses: Seen['statuses'] }
  return { peakMb, p50: quantile(took, 0.5), p99: quantile(took, 0.99), statuses }
}

/** `workers` of them, each again and again until it is over. */
const repeat = (workers: number, once: () => Promise<unknown>) => (isOver: () => boolean) =>
  Promise.all(
    Array.from({ length: workers }, async () => {
      while (!isOver()) await once()
    }),
  )

/** Sockets that each send `first` and then `more`, a little at a time. */
const trickle = (first: string, more: string) => async (isOver: () => boolean) => {
  const { hostname, port } = new URL(server.url)
  const open: Socket[] = []
  for (let i = 0; i < sockets; i++) {
    const socket = connect(Number(port), hostname)
    socket.on('error', () => {})
    socket.resume().write(first)
    open.push(socket)
  }
  for (; !isOver(); await sleep(200)) for (const socket of open) if (socket.writable) socket.write(more)
  for (const socket of open) socket.destroy()
}

const raw = (request: Omit<Parameters<typeof sendRaw>[1], 'headers'> & { headers?: string[] }) => () =>
  sendRaw(server, request).catch(() => undefined)
const good = () => ['X-API-Key', seeded.admin.key, 'Content-Type', 'application/json']
const post = (body: string | Buffer, path = '/api/agents', headers = good()) => raw({ method: 'POST', path, headers, body })

const floods: [what: string, flood: () => (isOver: () => boolean) => Promise<unknown>][] = [
  [
    'nothing',
    () => async (isOver) => {
      while (!isOver()) await sleep(20)
    },
  ],
  [`headers that come slowly, over ${sockets} sockets`, () => trickle('GET /api/me HTTP/1.1\r\nHost: x\r\n', 'X-A: b\r\n')],
  [
    `bodies that come slowly, over ${sockets} sockets`,
    () =>
      trickle(
        `POST /api/agents HTTP/1.1\r\nHost: x\r\nX-API-Key: ${seeded.admin.key}\r\nContent-Type: application/json\r\nContent-Length: 900000\r\n\r\n{`,
        ' ',
      ),
  ],
  ['heads of 15 kB', () => repeat(8, raw({ path: '/api/me', headers: [...good(), 'X-Large', 'a'.repeat(15_000)] }))],
  ['heads of 60 kB', () => repeat(8, raw({ path: '/api/me', headers: [...good(), 'X-Large', 'a'.repeat(60_000)] }))],
  [
    'heads of 1,900 fields',
    () => repeat(8, raw({ path: '/api/me', headers: Array.from({ length: 3_800 }, (_, i) => (i % 2 ? 'b' : 'a')) })),
  ],
  ['bodies of 30 MB, their length said', () => repeat(4, post(Buffer.alloc(30_000_000, ' ')))],
  [
    'bodies of 30 MB in chunks',
    () =>
      repeat(
        4,
        raw({ method: 'POST', path: '/api/agents', headers: good(), body: Buffer.alloc(30_000_000, ' '), isChunked: true }),
      ),
  ],
  [
    'bodies of 30 MB without a key',
    () => repeat(4, post(Buffer.alloc(30_000_000, ' '), '/trpc/agents.create', ['Content-Type', 'application/json'])),
  ],
  ['batches of 2,000', () => repeat(4, raw({ path: `/trpc/${Array(2_000).fill('me.get').join(',')}?batch=1`, headers: good() }))],
  [
    'batches of 400, posted',
    () => repeat(4, post(JSON.stringify({ 0: {} }), `/trpc/${Array(400).fill('agents.create').join(',')}?batch=1`)),
  ],
  ['JSON 400,000 deep', () => repeat(4, post('['.repeat(400_000) + ']'.repeat(400_000)))],
  ['JSON 100,000 deep in a field', () => repeat(4, post(`{"name":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}`))],
  [
    '100,000 different field names',
    () => repeat(4, post(JSON.stringify(Object.fromEntries(Array.from({ length: 60_000 }, (_, i) => [`f${i}`, i]))))),
  ],
  ['100 kB in every text field', () => repeat(4, everyTextField)],
  ['searches that match nearly nothing', () => repeat(6, search)],
]

const asTestServer = () => ({ request: server.request, database }) as unknown as TestServer

/** Each operation by REST and tRPC, with every text of its input made 100 kB long. */
async function everyTextField(): Promise<void> {
  const long = 'ä'.repeat(50_000)
  const stretch = (value: unknown): unknown => {
    if (typeof value === 'string') return long
    if (Array.isArray(value)) return value.map(stretch)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, stretch(each)]))
  }
  // What takes its texts in the URL is cut off at 16 kB, in the middle of the request.
  for (const operation of operations.filter(({ kind, meta }) => kind === 'mutation' && meta.openapi.method !== 'GET')) {
    const input = await validInput(asTestServer(), operation, seeded.tenantId)
    const inPath = [...operation.meta.openapi.path.matchAll(/\{(\w+)\}/g)].map(([, parameter = '']) => parameter)
    const kept = Object.fromEntries(inPath.map((parameter) => [parameter, input[parameter]]))
    const stretched = { ...(stretch(input) as Input), ...kept }
    for (const call of [callRest, callTrpc]) {
      const { status } = await call(asTestServer(), operation, stretched, { key: seeded.viewer.key })
      expect(status).toBeGreaterThanOrEqual(400)
      expect(status).toBeLessThan(500)
    }
  }
}

const patterns = ['%', '_%_%_%_%_%_%', 'ffff', '\\', '%a%b%c%d%e%f%', 'zzzz no such', '🂡'.repeat(20)]
let nextPattern = 0
async function search(): Promise<void> {
  const text = encodeURIComponent(patterns[nextPattern++ % patterns.length] ?? '')
  const paths = [`/api/admin/api-keys?search=${text}`, `/api/admin/audit-log?search=${text}&limit=200`]
  for (const path of paths) {
    const response = await server.request(path, { key: seeded.admin.key })
    await response.arrayBuffer()
    expect(response.status).toBe(200)
  }
}

describe('memory stays bounded, and a client that behaves gets its answers', () => {
  let idleMb = 0
  test.each(floods)('during: %s', { timeout: 300_000 }, async (what, flood) => {
    idleMb ||= residentMb()
    const { peakMb, p50, p99, statuses } = await during(flood())
    report(
      `Flood: ${what}, ${floodMs / 1_000} s`,
      `memory at most ${Math.round(peakMb)} MB (${Math.round(idleMb)} before all floods); beside it p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`,
    )
    expect(Object.keys(statuses)).toEqual(['200'])
    expect(peakMb).toBeLessThan(idleMb + maxGrowthMb)
    expect(p99).toBeLessThan(maxP99Ms)
  })

  test('and afterwards the server is the one that it was', async () => {
    expect((await server.request('/health/ready')).status).toBe(200)
    expect(server.output.stderr).not.toContain('heap')
    expect(server.process.exitCode).toBeNull()
  })
})
