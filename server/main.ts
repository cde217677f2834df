// The process: configuration, start, drain, exit. The entry of the build, with every page in it.
import { fileURLToPath } from 'node:url'
import * as build from 'virtual:react-router/server-build'
import type { Database } from '#db/client.ts'
import { type App, startApp } from './app.ts'
import { type Env, readEnv } from './env.ts'
import { log } from './log.ts'
import { createPageHandler } from './page-door.ts'

const assetsDir = fileURLToPath(new URL('../client', import.meta.url))

/** The whole server, pages included; on `database` when it is given, which `stop` closes. */
export function startServer(env: Env, database?: Database): Promise<App> {
  const createPages = (auth: App['auth']) => createPageHandler({ auth, build, mode: 'production', assetsDir })
  return startApp({ env, assetsDir, createPages, ...(database ? { database } : {}) })
}

/** Runs until SIGTERM or SIGINT, then drains and exits. */
export async function main(): Promise<void> {
  try {
    const app = await startServer(readEnv())
    process.stdout.write(`mate is at ${app.url}\n`)
    if (app.setupUrl) process.stdout.write(`No user yet. Open this once to make the first one:\n  ${app.setupUrl}\n`)
    process.once('SIGTERM', () => stop(app, 'SIGTERM'))
    process.once('SIGINT', () => stop(app, 'SIGINT'))
  } catch (error) {
    process.stderr.write(`mate can’t start. ${error instanceof Error ? error.message : error}\n`)
    process.exit(1)
  }
}

async function stop(app: App, signal: string): Promise<void> {
  log('info', 'stopping', { signal })
  try {
    await app.stop()
    process.exit(0)
  } catch (error) {
    log('error', 'did not stop cleanly', { error })
    process.exit(1)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
