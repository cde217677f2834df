// A process that does jobs and nothing else: no listener, any number of them on one PostgreSQL. And what jobs are done by.
import type { Env } from './env.ts'
import { executeSlice, type RunContext } from './execution/run-slice.ts'
import { type JobHandlers, startJobs } from './jobs.ts'
import { sweepNotices } from './notice-sweep.ts'
import { openConfigured, prepareRuntime } from './prepare.ts'
import { startTracing } from './tracing.ts'
import { attemptDelivery } from './webhook-delivery.ts'

export function jobHandlers(context: RunContext): JobHandlers {
  return {
    'webhook.deliver': (job) => attemptDelivery(context, job),
    'notices.sweep': () => sweepNotices(context.database),
    'run.execute': (job, control) => executeSlice(context, job, control),
  }
}

export interface Worker {
  /** Resolves when what is in hand is done, or is left to another worker. */
  stop(): Promise<void>
}

/** @throws Error when a setting, the database, or the wall between tenants is not in order; nothing is left open. */
export async function startWorker(env: Env): Promise<Worker> {
  if (!env.DATABASE_URL) {
    throw new Error(
      'A worker needs PostgreSQL: set DATABASE_URL. The embedded database serves one process, and the web server executes runs itself.',
    )
  }
  if (env.MATE_WORKERS === 0) throw new Error('MATE_WORKERS is 0: a worker has to execute at least one run at a time.')
  const database = await openConfigured(env)
  try {
    const secret = await prepareRuntime(database, env)
    const stopTracing = await startTracing(env)
    const jobs = startJobs(database, jobHandlers({ database, secret, env }), env.MATE_WORKERS)
    await jobs.ready
    const stop = async () => {
      await jobs.stop()
      await Promise.all([database.close(), stopTracing()])
    }
    return { stop }
  } catch (error) {
    await database.close()
    throw error
  }
}
