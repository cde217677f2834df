// Starts and stops one server: database, migrations, walls, listener, drain.
import type { Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Database } from '#db/client.ts'
import { startAuditJobs } from './audit-jobs.ts'
import { startAuditStream } from './audit-stream.ts'
import { type Auth, createAuth } from './auth.ts'
import type { Env } from './env.ts'
import { createAdminFromEnv, createSetupToken } from './first-run.ts'
import { startHousekeeping } from './housekeeping.ts'
import { createHttpServer, type HttpOptions, type PageHandler } from './http.ts'
import { startJobs } from './jobs.ts'
import { startMetrics } from './metrics.ts'
import { openConfigured, prepareRuntime } from './prepare.ts'
import { startTracing } from './tracing.ts'
import { startUsage } from './usage.ts'
import { jobHandlers } from './worker.ts'

export interface AppOptions {
  env: Env
  /** Opened already, and closed by `stop` all the same. */
  database?: Database
  createPages?: (auth: Auth) => PageHandler
  assetsDir?: HttpOptions['assetsDir']
}

export interface App {
  server: Server
  /** Serves /metrics, when MATE_METRICS_PORT is set. */
  metrics: Server | undefined
  database: Database
  auth: Auth
  /** Where people reach it, without a slash at the end. */
  url: string
  /** While there is no user: the link that opens the first-run form. */
  setupUrl: string | undefined
  /** Waits as MATE_DRAIN_SECONDS says, stops accepting, finishes what is under way, writes and sends what was collected, closes. */
  stop(): Promise<void>
}

/** @throws Error when a setting, the database, or the wall between tenants is not in order; nothing is left open. */
export async function startApp({ env, createPages, assetsDir, ...given }: AppOptions): Promise<App> {
  const database = given.database ?? (await openConfigured(env))
  try {
    const secret = await prepareRuntime(database, env)
    if (env.MATE_ADMIN_EMAIL && env.MATE_ADMIN_PASSWORD)
      await createAdminFromEnv(database, env.MATE_ADMIN_EMAIL, env.MATE_ADMIN_PASSWORD)
    const token = await createSetupToken(database)
    const auth = createAuth(database, env, secret)
    const stopTracing = await startTracing(env)
    let isStopping = false
    const server = createHttpServer({ pages: createPages?.(auth), assetsDir, isStopping: () => isStopping })
    const drain = prepareDrain(server)
    await listen(server, env)
    const url = env.PUBLIC_URL?.replace(/\/$/, '') ?? `http://${displayHost(env.HOST)}:${(server.address() as AddressInfo).port}`
    const stopUsage = startUsage(database)
    const stopHousekeeping = startHousekeeping(database)
    const stopAuditJobs = startAuditJobs(database)
    const stopStream = startAuditStream(database)
    const jobs = startJobs(database, jobHandlers({ database, secret, env }), env.MATE_WORKERS)
    await jobs.ready
    const metrics =
      env.MATE_METRICS_PORT === undefined ? undefined : await startMetrics(env.MATE_METRICS_PORT, env.HOST, database)
    const stop = async () => {
      isStopping = true
      await sleep(env.MATE_DRAIN_SECONDS * 1_000)
      await drain()
      await Promise.all([stopHousekeeping(), stopUsage(), stopAuditJobs(), stopStream(), jobs.stop()])
      metrics?.close()
      await Promise.all([database.close(), stopTracing()])
    }
    return { server, metrics, database, auth, url, setupUrl: token && `${url}/setup?token=${token}`, stop }
  } catch (error) {
    await database.close()
    throw error
  }
}

function listen(server: Server, { HOST, PORT }: Env): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const isTaken = error.code === 'EADDRINUSE'
      reject(isTaken ? new Error(`Port ${PORT} is in use. Set PORT to another one.`, { cause: error }) : error)
    })
    server.listen(PORT, HOST, resolve)
  })
}

function displayHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost'
  return host.includes(':') ? `[${host}]` : host
}

const drainWithinMs = 10_000
const closeIdleEveryMs = 50

/** @returns what drains the server: stops accepting, and resolves once every request under way has its answer. */
function prepareDrain(server: Server): () => Promise<void> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  const closeIdle = () => {
    server.closeIdleConnections()
    // What a browser opens ahead of its first request is not idle to node:http.
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
  }
  return () =>
    new Promise((resolve) => {
      const hurry = setTimeout(() => server.closeAllConnections(), drainWithinMs)
      // Again and again: a connection whose answer is out is idle only then.
      const sweep = setInterval(closeIdle, closeIdleEveryMs)
      server.close(() => {
        clearTimeout(hurry)
        clearInterval(sweep)
        resolve()
      })
      closeIdle()
    })
}
