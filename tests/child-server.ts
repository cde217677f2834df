// Runs the built server as a process of its own, as users do: for what only a process shows.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { afterAll, inject } from 'vitest'
import { type Database, openDatabase } from '#db/client.ts'
import { createTestDatabase, isPostgres, requester, serverUrl, type TestServer } from './harness.ts'

export type Settings = Record<string, string>

/** Settings that lead a process to one database, and how the test itself opens it. */
export interface Place {
  settings: Settings
  /** On PGlite only while no process has the folder. */
  open(): Promise<Database>
}

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

export interface Child {
  process: ChildProcess
  /** Everything written so far. */
  output: { stdout: string; stderr: string }
  exited: Promise<Exit>
  kill(signal: NodeJS.Signals): Promise<Exit>
}

export interface ChildServer extends Child {
  url: string
  request: TestServer['request']
}

const running = new Set<Child>()
const folders: string[] = []

// A run that is broken off leaves no server behind.
process.once('exit', () => {
  for (const child of running) child.process.kill('SIGKILL')
})

afterAll(async () => {
  for (const child of running) await child.kill('SIGKILL')
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mate-test-place-'))
  folders.push(folder)
  return folder
}

/** A migrated database without a row. */
export async function makePlace(): Promise<Place> {
  if (isPostgres) {
    const { database, url = '' } = await createTestDatabase()
    await database.close()
    return { settings: { DATABASE_URL: url }, open: () => openDatabase({ url, maxConnections: 5 }) }
  }
  const dataDir = makeFolder()
  mkdirSync(join(dataDir, 'pglite'))
  execFileSync('tar', ['-xf', inject('template'), '-C', join(dataDir, 'pglite')], { stdio: 'pipe' })
  return { settings: { MATE_DATA_DIR: dataDir }, open: () => openDatabase({ dataDir }) }
}

/** A database that no migration has seen. */
export async function makeEmptyPlace(): Promise<Place> {
  if (!isPostgres) {
    const dataDir = makeFolder()
    return { settings: { MATE_DATA_DIR: dataDir }, open: () => openDatabase({ dataDir }) }
  }
  const name = `mate_test_${process.ppid}_${randomBytes(6).toString('hex')}`
  await asSuperuser((sql) => sql.unsafe(`create database ${name}`))
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return { settings: { DATABASE_URL: url.href }, open: () => openDatabase({ url: url.href, maxConnections: 5 }) }
}

export async function asSuperuser<T>(work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(serverUrl, { max: 1, onnotice: () => {} })
  try {
    return await work(sql)
  } finally {
    await sql.end()
  }
}

/** The environment without anything that would configure mate, and `settings`. */
export function environment(settings: Settings): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(MATE_|OTEL_|DATABASE_URL$|PUBLIC_URL$|PORT$|HOST$|NODE_ENV$|VITEST|npm_)/.test(name),
  )
  return { ...Object.fromEntries(kept), ...settings }
}

/** @param stdin what it is given to read; null leaves that open. */
export function runProcess(command: string, args: string[], settings: Settings, stdin?: string | null): Child {
  const child = spawn(command, args, { env: environment(settings), stdio: ['pipe', 'pipe', 'pipe'] })
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    output.stderr += text
  })
  child.stdin.on('error', () => {}) // it may end without having read
  if (stdin !== null) child.stdin.end(stdin)
  const exited = new Promise<Exit>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      running.delete(started)
      resolve({ code, signal })
    })
  })
  const kill = (signal: NodeJS.Signals) => {
    child.kill(signal)
    return exited
  }
  const started: Child = { process: child, output, exited, kill }
  running.add(started)
  return started
}

/** Starts a server; it may end at once, or print its address. */
export function launchServer(settings: Settings): Child {
  return runProcess(process.execPath, ['build/server/index.js'], { PORT: '0', HOST: '127.0.0.1', ...settings })
}

/** Starts a server and waits for its address. @throws Error with its output when it ends instead. */
export async function startChildServer(settings: Settings): Promise<ChildServer> {
  const child = launchServer(settings)
  const url = await addressOf(child)
  return { ...child, url, request: requester(url) }
}

function addressOf({ process: child, output, exited }: Child): Promise<string> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const url = /^mate is at (\S+)$/m.exec(output.stdout)?.[1]
      if (url) resolve(url)
    }
    child.stdout?.on('data', look)
    exited.then(({ code }) => reject(new Error(`the server ended with ${code}: ${output.stdout}${output.stderr}`)), reject)
  })
}

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** @throws Error when it does not hold in time. */
export async function waitUntil(holds: () => Promise<boolean>, withinMs = 60_000): Promise<void> {
  for (const from = Date.now(); !(await holds()); await sleep(50)) {
    if (Date.now() - from > withinMs) throw new Error(`this did not come true: ${holds}`)
  }
}

/** The token of the set-up link that a server prints while there is no user. */
export async function setupTokenOf({ output }: Child): Promise<string> {
  const find = () => /\/setup\?token=(\S+)\n/.exec(output.stdout)?.[1]
  await waitUntil(async () => find() !== undefined)
  return find() ?? ''
}
