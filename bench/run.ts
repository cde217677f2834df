// npm run bench: floors, peers and ours on one PostgreSQL; medians, ratios and the verdict on each target go to bench/RESULTS.md.
// `-- --quick` prints only; `-- --only reads,growth` measures these sections, and leaves the others as they are; `-- --rounds 9` for less noise. Needs wrk, taskset and PostgreSQL at BENCH_DATABASE_URL or 127.0.0.1:5432,
// where its databases are mate_bench, mate_bench_peer and mate_bench_grown.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import postgres from 'postgres'
import { build } from '../scripts/build.ts'
import { isBuilt } from '../scripts/source-hash.ts'
import { type Bench, besides, type Section } from './bench.ts'
import { loadCore } from './measure.ts'
import { Report } from './report.ts'
import { keepSection } from './results.ts'
import { browser } from './sections/browser.ts'
import { connections } from './sections/connections.ts'
import { distance } from './sections/distance.ts'
import { flood } from './sections/flood.ts'
import { growth } from './sections/growth.ts'
import { nodes } from './sections/nodes.ts'
import { reads } from './sections/reads.ts'
import { coldStart } from './sections/start.ts'
import { writes } from './sections/writes.ts'
import { seed } from './seed.ts'
import { type Subject, startSubject } from './subjects.ts'

const sections: Record<string, Section> = {
  reads,
  writes,
  flood,
  connections,
  distance,
  nodes,
  growth,
  start: coldStart,
  browser,
}
const serverCore = 0

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' }, rounds: { type: 'string', default: '7' } },
})
const wanted = values.only?.split(',') ?? Object.keys(sections)
for (const name of wanted)
  if (!sections[name]) throw new Error(`There is no section ${name}: ${Object.keys(sections).join(', ')}.`)
if (spawnSync('wrk', ['-v']).error) throw new Error('The load generator is missing: apt-get install wrk.')
if (!isBuilt()) build()
if (!existsSync('bench/peers/node_modules')) execFileSync('npm', ['ci', '--prefix', 'bench/peers'], { stdio: 'inherit' })

const url = process.env.BENCH_DATABASE_URL ?? 'postgres://postgres@127.0.0.1:5432/mate_bench'
const folder = mkdtempSync(join(tmpdir(), 'mate-bench-'))
const pace = values.quick ? { rounds: 3, seconds: 1 } : { rounds: Number(values.rounds), seconds: 4 }
const subjects: Subject[] = []
const start: Bench['start'] = async (script, args = [], env = {}, cores = String(serverCore)) => {
  const settings = { DATABASE_URL: url, PORT: '0', HOST: '127.0.0.1', ...env }
  const subject = await startSubject(script, args, settings, cores)
  subjects.push(subject)
  return subject
}
const stopAll = async () => {
  for (const subject of subjects.splice(0)) await subject.stop()
}

try {
  const admin = postgres(besides(url, 'postgres'), { max: 1, onnotice: () => {} })
  const [server] = await admin<{ version: string }[]>`select current_setting('server_version') as version`
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD']).toString().trim()
  const facts = {
    machine: `${cpus().length} × ${cpus()[0]?.model.trim()}, shared with others; servers on core ${serverCore}, load on core ${loadCore}, PostgreSQL ${server?.version} on both; Node ${process.version}`,
    pace: `32 connections unless said, ${pace.rounds} interleaved rounds of ${pace.seconds} s; medians, and for ratios the median of the rounds’ ratios`,
  }
  for (const name of wanted) {
    const report = new Report()
    // Each section finds the database new: what another wrote would be in its lists, and dead rows before them.
    const seeded = await seed(url)
    const when = `${new Date().toISOString().slice(0, 16).replace('T', ' ')}, ${commit}, load average ${loadavg()[0]?.toFixed(1)} before.`
    await sections[name]?.({ folder, isQuick: values.quick, url, seeded, pace, report, start })
    await stopAll()
    report.verdicts()
    report.say('', when)
    if (!values.quick) keepSection(Object.keys(sections), name, report.text, facts)
  }
  for (const name of [new URL(url).pathname.slice(1), 'mate_bench_peer', 'mate_bench_grown'])
    await admin.unsafe(`drop database if exists ${name} with (force)`)
  await admin.end()
} finally {
  await stopAll()
  rmSync(folder, { recursive: true, force: true })
}
