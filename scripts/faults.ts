// npm run test:faults: a hundredth of the fault suite, on a PostgreSQL of its own. With `-- --full` the whole, and what it saw
// goes to docs/faults.md; names of files after that run these alone.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeCluster } from '../tests/faults/cluster.ts'

const isFull = process.argv.includes('--full')
const only = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))
const folder = mkdtempSync(join(tmpdir(), 'mate-faults-'))
const reportFile = join(folder, 'report.jsonl')

interface Seen {
  what: string
  seen: string
}

/** Runs vitest on its fault configuration; false when a test failed. */
async function run(files: string[], settings: Record<string, string>): Promise<boolean> {
  const args = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'vitest.faults.config.ts', ...files]
  const env = { ...process.env, MATE_FAULTS_SCALE: isFull ? '1' : '0.01', MATE_FAULTS_REPORT: reportFile, ...settings }
  const [status] = await once(spawn(process.execPath, args, { stdio: 'inherit', env }), 'exit')
  return status === 0
}

const documentPath = 'docs/faults.md'

/** Puts what was seen into the table of docs/faults.md, in place of what an earlier run saw of the same. */
function writeReport(): void {
  const lines = readFileSync(reportFile, 'utf8').trim().split('\n')
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
  const when = `${new Date().toISOString().slice(0, 10)}, ${commit}`
  const before = existsSync(documentPath) ? readFileSync(documentPath, 'utf8').split('\n') : []
  const rows = new Map(before.flatMap((line) => (line.startsWith('| ') ? [[line.split(' | ')[0] ?? '', line] as const] : [])))
  for (const line of lines) {
    const { what, seen } = JSON.parse(line) as Seen
    rows.set(`| ${what}`, `| ${what} | ${seen} | ${when} |`)
  }
  for (const head of ['| what was done', '| ---']) rows.delete(head)
  const sorted = [...rows.values()].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
  const text = `# What the fault suite saw

\`npm run test:faults -- --full\`, on ${cpus().length} × ${cpus()[0]?.model.trim()}, shared; Node ${process.version}; PostgreSQL and every node on one machine. Each line is of a test that passed: the figure says what was seen, the test in \`tests/faults\` what is promised.

| what was done | what was seen | date, commit |
| --- | --- | --- |
${sorted.join('\n')}
`
  writeFileSync(documentPath, text)
}

/** The whole: first what measures how soon an answer comes, with nothing beside it; then the rest, in less than an hour. */
async function runWhole(onPostgres: Record<string, string>): Promise<boolean> {
  const measured = ['floods', 'database']
  const rest = ['soak', 'fuzz', 'nodes', 'crash', 'revoke-race']
  const isAsked = (name: string) => only.length === 0 || only.includes(name)
  const first = measured.filter(isAsked)
  const then = rest.filter(isAsked)
  const isGreen = first.length === 0 || (await run([...first, '--maxWorkers', '1'], onPostgres))
  const runs = [
    ...(then.length > 0 ? [run(then, onPostgres)] : []),
    // The one fault that the embedded database has to stand as well.
    ...(then.includes('crash') ? [run(['tests/crash'], { ...onPostgres, MATE_TEST_DATABASE_URL: '' })] : []),
  ]
  return (await Promise.all(runs)).every(Boolean) && isGreen
}

const cluster = await makeCluster({ max_connections: '300' })
try {
  const rounds = { MATE_CRASH_ROUNDS: '1000', MATE_RACE_ROUNDS: '1000', MATE_RUN_CRASH_ROUNDS: '20' }
  const onPostgres = { ...rounds, MATE_TEST_DATABASE_URL: cluster.urlOf() }
  const isGreen = await (isFull ? runWhole(onPostgres) : run(only, onPostgres))
  if (isGreen && isFull) writeReport()
  process.exitCode = isGreen ? 0 : 1
} finally {
  await cluster.remove()
  rmSync(folder, { recursive: true, force: true })
}
