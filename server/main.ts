// The process: configuration, start, drain, exit. The entry of the build, with every page in it.
import { fileURLToPath } from 'node:url'
import * as build from 'virtual:react-router/server-build'
import type { Database } from '#db/client.ts'
import { type App, startApp } from './app.ts'
import { type Env, readEnv } from './env.ts'
import { log } from './log.ts'
import { createPageHandler } from './page-door.ts'
import { startWorker } from './worker.ts'

const assetsDir = fileURLToPath(new URL('../client', import.meta.url))

/** The whole server, pages included; on `database` when it is given, which `stop` closes. */
export function startServer(env: Env, database?: Database): Promise<App> {
  const createPages = (auth: App['auth']) => createPageHandler({ auth, build, mode: 'production', assetsDir })
  return startApp({ env, assetsDir, createPages, ...(database ? { database } : {}) })
}

/** Serves until SIGTERM or SIGINT, then drains and exits. */
export function main(): Promise<void> {
  return runProcess(async () => {
    const app = await startServer(readEnv())
    process.stdout.write(`mate is at ${app.url}\n`)
    if (app.setupUrl) process.stdout.write(`No user yet. Open this once to make the first one:\n  ${app.setupUrl}\n`)
    return app
  })
}

/** Works until SIGTERM or SIGINT: jobs alone, nothing that listens. */
export function work(): Promise<void> {
  return runProcess(async () => {
    const env = readEnv()
    const worker = await startWorker(env)
    process.stdout.write(`mate works, on ${env.MATE_WORKERS} test runs at once\n`)
    return worker
  })
}

interface Stoppable {
  stop(): Promise<void>
}

async function runProcess(start: () => Promise<Stoppable>): Promise<void> {
  process.once('uncaughtException', (error) => {
    log('error', 'ended by an error that nobody caught', { error })
    process.exit(1)
  })
  try {
    const running = await start()
    process.once('SIGTERM', () => stop(running, 'SIGTERM'))
    process.once('SIGINT', () => stop(running, 'SIGINT'))
  } catch (error) {
    process.stderr.write(`mate can’t start. ${explain(error)}\n`)
    process.exit(1)
  }
}

/** For a failed query what the database said, and not the query with its parameters. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.message.startsWith('Failed query: ') && error.cause ? explain(error.cause) : error.message
}

async function stop(running: Stoppable, signal: string): Promise<void> {
  log('info', 'stopping', { signal })
  try {
    await running.stop()
    process.exit(0)
  } catch (error) {
    log('error', 'did not stop cleanly', { error })
    process.exit(1)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await (process.argv[2] === 'worker' ? work() : main())
