// npm run bench: floors, peers and ours, interleaved on one PostgreSQL; medians and ratios go to bench/RESULTS.md.
// Needs PostgreSQL at BENCH_DATABASE_URL or 127.0.0.1:5432, wrk and taskset. Its databases are mate_bench and mate_bench_peer.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { build } from '../scripts/build.ts'
import { isBuilt } from '../scripts/source-hash.ts'
import { load, type Measured, type Request } from './load.ts'
import { growAudit, growKeys, seed } from './seed.ts'
import { type Subject, startSubject } from './subjects.ts'

const url = process.env.BENCH_DATABASE_URL ?? 'postgres://postgres@127.0.0.1:5432/mate_bench'
const isQuick = process.argv.includes('--quick')
const rounds = isQuick ? 3 : 7
const seconds = isQuick ? 1 : 3
const serverCore = 0
const loadCore = 1

if (spawnSync('wrk', ['-v']).error) throw new Error('The load generator is missing: apt-get install wrk.')
if (!isBuilt()) build()
if (!existsSync('bench/peers/node_modules')) execFileSync('npm', ['ci', '--prefix', 'bench/peers'], { stdio: 'inherit' })

interface Row {
  name: string
  subject: Subject
  request: Request
  expectRefusals?: boolean
  /** Runs before each round: what the round before left. */
  reset?: () => Promise<unknown>
}

const folder = mkdtempSync(join(tmpdir(), 'mate-bench-'))
const subjects: Subject[] = []
const report: string[] = []
const say = (line: string) => {
  report.push(line)
  process.stdout.write(`${line}\n`)
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

/** Each row once a round, in turn, so that a slow minute of the machine falls on all. @returns medians by name. */
async function measure(rows: Row[], connections = 32): Promise<Map<string, Measured>> {
  const seen = new Map<string, Measured[]>(rows.map(({ name }) => [name, []]))
  for (const { subject, request } of rows) await load(subject.url, request, { seconds: 1, connections, core: loadCore })
  for (let round = 0; round < rounds; round++) {
    for (const { name, subject, request, expectRefusals, reset } of rows) {
      await reset?.()
      const measured = await load(subject.url, request, { seconds, connections, core: loadCore })
      if (measured.failed > 0 || measured.refused > 0 !== (expectRefusals ?? false))
        throw new Error(`${name} was answered otherwise than expected: ${JSON.stringify(measured)}`)
      seen.get(name)?.push(measured)
    }
  }
  const mid = (name: string, pick: (one: Measured) => number) => median((seen.get(name) ?? []).map(pick))
  return new Map(
    rows.map(({ name }) => [
      name,
      {
        perSecond: mid(name, ({ perSecond }) => perSecond),
        p50Ms: mid(name, ({ p50Ms }) => p50Ms),
        p99Ms: mid(name, ({ p99Ms }) => p99Ms),
        refused: 0,
        failed: 0,
      },
    ]),
  )
}

async function start(script: string, args: string[] = [], env: Record<string, string> = {}): Promise<Subject> {
  const subject = await startSubject(script, args, { DATABASE_URL: url, PORT: '0', HOST: '127.0.0.1', ...env }, serverCore)
  subjects.push(subject)
  return subject
}

function table(measured: Map<string, Measured>, floors: string[]): void {
  say(`| subject | requests/s | p50 ms | p99 ms | ${floors.map((floor) => `÷ ${floor}`).join(' | ')} |`)
  say(`|---|---:|---:|---:|${floors.map(() => '---:|').join('')}`)
  for (const [name, { perSecond, p50Ms, p99Ms }] of measured) {
    const ratios = floors.map((floor) => (perSecond / (measured.get(floor)?.perSecond ?? Number.NaN)).toFixed(2))
    say(`| ${name} | ${perSecond.toFixed(0)} | ${p50Ms.toFixed(1)} | ${p99Ms.toFixed(1)} | ${ratios.join(' | ')} |`)
  }
}

try {
  const seeded = await seed(url)
  const peerUrl = url.replace(/\/[^/]*$/, '/mate_bench_peer')
  const admin = postgres(url.replace(/\/[^/]*$/, '/postgres'), { max: 1, onnotice: () => {} })
  const [version] = await admin<{ v: string }[]>`select current_setting('server_version') as v`
  await admin.unsafe('drop database if exists mate_bench_peer with (force)')
  await admin.unsafe('create database mate_bench_peer')
  await admin.end()

  say(`# Measured ${new Date().toISOString().slice(0, 10)}`)
  say('')
  say(
    `\`npm run bench${isQuick ? ' -- --quick' : ''}\` at ${execFileSync('git', ['rev-parse', '--short', 'HEAD']).toString().trim()}: `,
  )
  say(
    `${cpus().length} × ${cpus()[0]?.model.trim()}, shared; server on core ${serverCore}, wrk on core ${loadCore}, PostgreSQL ${version?.v} on both; Node ${process.version}.`,
  )
  say(`1,000 keys in turn, 10 agents, 32 connections, ${rounds} interleaved rounds of ${seconds} s, medians.`)
  say(
    'Floors: (a) node:http, SHA-256 and a Map, the same bytes; (b) with one SELECT of 10 rows; (c) as b, the key looked up first.',
  )
  say('')

  const agentsOf = (keys: string[]): Request => ({ path: '/api/agents', keys })
  const own = agentsOf(seeded.keys)
  const ours = await start('build/server/index.js')
  const floorA = await start('bench/floors.ts', ['a'])
  const floorC = await start('bench/floors.ts', ['c'])
  const peerKeys = async (mode: string) => {
    const file = join(folder, `${mode}.json`)
    const subject = await start('bench/peers/better-auth.ts', [mode, file], { PEER_DATABASE_URL: peerUrl })
    return { subject, request: agentsOf(JSON.parse(readFileSync(file, 'utf8'))) }
  }
  const client = postgres(url, { max: 1, onnotice: () => {} })
  const dropMade = () => client`delete from agents where name like 'made %'`
  const dropKeys = () => client`delete from api_keys where name like 'made %'`
  const asAdmin = { 'X-API-Key': seeded.adminKey, 'Content-Type': 'application/json' }
  const agent = { name: 'made {n}', environment: 'test', connector: { type: 'http', url: 'https://a.example.com/' } }

  say('## Reads')
  say('')
  table(
    await measure([
      { name: '(a)', subject: floorA, request: own },
      { name: '(b)', subject: await start('bench/floors.ts', ['b']), request: own },
      { name: '(c)', subject: floorC, request: own },
      { name: '**mate, REST**', subject: ours, request: own },
      { name: '**mate, tRPC**', subject: ours, request: { path: '/trpc/agents.list?input=%7B%7D', keys: seeded.keys } },
      { name: 'Fastify', subject: await start('bench/peers/fastify.ts'), request: own },
      { name: 'Fastify, writes last used', subject: await start('bench/peers/fastify.ts', ['writing']), request: own },
      { name: 'better-auth', ...(await peerKeys('database')) },
      { name: 'better-auth, in memory', ...(await peerKeys('memory')) },
    ]),
    ['(a)', '(b)', '(c)'],
  )
  say('')
  say('## Refusals and writes')
  say('')
  table(
    await measure([
      { name: '(a)', subject: floorA, request: own },
      {
        name: 'malformed key',
        subject: ours,
        request: { path: '/api/agents', headers: { 'X-API-Key': 'mate_x' } },
        expectRefusals: true,
      },
      {
        name: 'revoked key',
        subject: ours,
        request: { path: '/api/agents', headers: { 'X-API-Key': seeded.revokedKey } },
        expectRefusals: true,
      },
      {
        name: 'POST agent, audited',
        subject: ours,
        request: { path: '/api/agents', method: 'POST', headers: asAdmin, body: JSON.stringify(agent) },
        reset: dropMade,
      },
      {
        name: 'POST API key, audited',
        subject: ours,
        request: {
          path: '/api/admin/api-keys',
          method: 'POST',
          headers: asAdmin,
          body: JSON.stringify({ name: 'made {n}', role: 'Viewer' }),
        },
        reset: dropKeys,
      },
    ]),
    ['(a)'],
  )
  await dropMade()
  await dropKeys()

  say('')
  say('## Growth: connections')
  say('')
  say('| connections | mate REST/s | (c)/s | ÷ (c) |')
  say('|---:|---:|---:|---:|')
  for (const connections of [1, 10, 32, 100]) {
    const both = await measure(
      [
        { name: '(c)', subject: floorC, request: own },
        { name: 'mate', subject: ours, request: own },
      ],
      connections,
    )
    const [floor, mate] = [both.get('(c)')?.perSecond ?? 0, both.get('mate')?.perSecond ?? 0]
    say(`| ${connections} | ${mate.toFixed(0)} | ${floor.toFixed(0)} | ${(mate / floor).toFixed(2)} |`)
  }

  say('')
  say('## Growth: keys and audit entries')
  say('')
  say('| rows | GET /api/agents /s | ÷ (c) | newest page of /api/admin/audit-log, p50 ms |')
  say('|---|---:|---:|---:|')
  const auditPage: Request = { path: '/api/admin/audit-log?limit=50', headers: { 'X-API-Key': seeded.adminKey } }
  for (const rows of isQuick ? [1_000, 100_000] : [1_000, 1_000_000, 10_000_000]) {
    await growKeys(url, rows)
    await growAudit(url, rows)
    const grown = await measure([
      { name: '(c)', subject: floorC, request: own },
      { name: 'mate', subject: ours, request: own },
    ])
    const audit = await measure([{ name: 'audit', subject: ours, request: auditPage }], 1)
    const [floor, mate] = [grown.get('(c)')?.perSecond ?? 0, grown.get('mate')?.perSecond ?? 0]
    say(
      `| ${rows.toLocaleString('en')} keys and entries | ${mate.toFixed(0)} | ${(mate / floor).toFixed(2)} | ${audit.get('audit')?.p50Ms.toFixed(2)} |`,
    )
  }
  await client.end()
  if (!isQuick) writeFileSync('bench/RESULTS.md', `${report.join('\n')}\n`)
} finally {
  for (const subject of subjects) await subject.stop()
  rmSync(folder, { recursive: true, force: true })
}
