// A PostgreSQL of one's own, in a temporary folder: to stop, freeze, fill up, copy and promote as a test likes.
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import postgres from 'postgres'

export interface Cluster {
  port: number
  dataDir: string
  /** Connection string of one of its databases, as its superuser. */
  urlOf(database?: string): string
  /** Resolves once it takes connections. */
  start(): Promise<void>
  /** `fast` ends sessions and stops cleanly, `immediate` is a crash. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>
  /** Stops every process of it in its tracks (SIGSTOP). */
  freeze(): void
  thaw(): void
  /** One statement, on a connection of its own. */
  query(text: string, database?: string): Promise<postgres.RowList<postgres.Row[]>>
  /** Stops it and removes what it made. */
  remove(): Promise<void>
}

const isRoot = process.getuid?.() === 0

/** Folder of initdb and its siblings. @throws Error when PostgreSQL is not installed. */
function binaries(): string {
  const root = '/usr/lib/postgresql'
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : []
  const found = versions.map((version) => join(root, version, 'bin')).find((bin) => existsSync(join(bin, 'initdb')))
  if (!found) throw new Error('PostgreSQL is not installed: apt-get install postgresql.')
  return found
}

const idOf = (flag: '-u' | '-g') => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))

/** Whose the processes and folders are: PostgreSQL refuses to run as root. */
const owner = isRoot ? { uid: idOf('-u'), gid: idOf('-g') } : {}

function run(program: string, args: string[]): void {
  execFileSync(join(binaries(), program), args, { stdio: 'pipe', cwd: '/', ...owner })
}

/** The same, without a halt of this process: a load that it measures goes on. */
const runAside = (program: string, args: string[]) => promisify(execFile)(join(binaries(), program), args, { cwd: '/', ...owner })

/** A folder that the owner of the cluster may write to. */
export function makeOwnedFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mate-cluster-'))
  takeOver(folder)
  return folder
}

/** Makes a folder the owner's alone. */
export function takeOver(folder: string): void {
  if (owner.uid !== undefined) chownSync(folder, owner.uid, owner.gid)
  chmodSync(folder, 0o700)
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      const port = typeof address === 'object' ? (address?.port ?? 0) : 0
      server.close(() => resolve(port))
    })
  })
}

/** Makes a cluster, in `given` when that is there, and starts it. */
export async function makeCluster(settings: Record<string, string> = {}, given?: string): Promise<Cluster> {
  const folder = given ?? makeOwnedFolder()
  const dataDir = join(folder, 'data')
  run('initdb', ['-D', dataDir, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'])
  return openCluster(folder, settings, given !== undefined)
}

/** A running copy of `primary` that follows it until it is promoted. */
export async function makeReplica(primary: Cluster): Promise<Cluster & { promote(): Promise<unknown> }> {
  const folder = makeOwnedFolder()
  const dataDir = join(folder, 'data')
  const source = `host=127.0.0.1 port=${primary.port} user=postgres application_name=replica`
  run('pg_basebackup', ['-D', dataDir, '-d', source, '-R', '-X', 'stream', '--checkpoint=fast', '--no-sync'])
  const replica = await openCluster(folder, {})
  return { ...replica, promote: () => runAside('pg_ctl', ['promote', '-D', dataDir, '-w', '-t', '20']) }
}

async function openCluster(folder: string, settings: Record<string, string>, isGiven = false): Promise<Cluster> {
  const dataDir = join(folder, 'data')
  const port = await freePort()
  const options = { port: String(port), listen_addresses: '127.0.0.1', unix_socket_directories: '', ...settings }
  const args = ['-D', dataDir, ...Object.entries(options).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
  const urlOf = (database = 'postgres') => `postgres://postgres@127.0.0.1:${port}/${database}`
  let running: ChildProcess | undefined
  let frozen: number[] = []

  const query: Cluster['query'] = async (text, database) => {
    const sql = postgres(urlOf(database), { max: 1, onnotice: () => {}, connect_timeout: 5 })
    try {
      return await sql.unsafe(text)
    } finally {
      await sql.end({ timeout: 1 })
    }
  }

  const start = async () => {
    const child = spawn(join(binaries(), 'postgres'), args, { stdio: ['ignore', 'ignore', 'pipe'], cwd: '/', ...owner })
    running = child
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text) => {
      said = (said + text).slice(-4_000)
    })
    for (const from = Date.now(); ; ) {
      const isUp = await query('select 1').then(
        () => true,
        () => false,
      )
      if (isUp) return
      if (child.exitCode !== null || Date.now() - from > 30_000) throw new Error(`the cluster did not start: ${said}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  /** The postmaster's, and its children's. */
  const pids = (): number[] => {
    const postmaster = running?.pid
    if (postmaster === undefined) return []
    const children = readFileSync(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8').trim()
    return [postmaster, ...children.split(' ').filter(Boolean).map(Number)]
  }

  const stop: Cluster['stop'] = async (mode = 'fast') => {
    const child = running
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const closed = new Promise((resolve) => child.once('close', resolve))
    child.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
    await closed
  }

  const cluster: Cluster = {
    port,
    dataDir,
    urlOf,
    start,
    stop,
    freeze: () => {
      frozen = pids()
      for (const pid of frozen) process.kill(pid, 'SIGSTOP')
    },
    thaw: () => {
      for (const pid of frozen.splice(0)) process.kill(pid, 'SIGCONT')
    },
    query,
    remove: async () => {
      await stop('immediate')
      rmSync(isGiven ? dataDir : folder, { recursive: true, force: true })
    },
  }
  await start()
  return cluster
}
