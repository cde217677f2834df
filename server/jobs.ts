// Work for later: asked for in the transaction of a change, done by the queue once that is committed. See decision 0018.
import { sql } from 'drizzle-orm'
import { fromDrizzle, PgBoss } from 'pg-boss'
import type { Database, Tx } from '#db/client.ts'
import { outbox } from '#db/schema.ts'
import { log, sparsely } from './log.ts'

const schema = 'mate_jobs'
const relayEveryMs = 500
const relayedAtOnce = 500
const stopWithinMs = 10_000
const readyWithinMs = 10_000
const retryStartAfterMs = 5_000
const wakeAfterMs = 30

/** What a job of a queue is given. */
export interface JobData {
  'webhook.deliver': { tenantId: string; deliveryId: string; attempt: number }
  'notices.sweep': Record<string, never>
  /** `failures`: how often in a row it came to nothing. */
  'run.execute': { tenantId: string; runId: string; failures?: number }
}
export type Queue = keyof JobData

/** What a job is told while it is done. */
export interface JobControl {
  /** Aborted once the job is another worker's, or a stop waits for it no longer: nothing more may come of it here. */
  signal: AbortSignal
  /** True once the queue stops: what can be left to another worker is left to it. */
  isStopping(): boolean
}

export type JobHandlers = { [Q in Queue]: (data: JobData[Q], control: JobControl) => Promise<void> }

interface EnqueueOptions {
  tenantId: string
  /** Jobs of one group run one after the other on a node, so that a slow one holds up only its own. */
  groupId: string
  startAfter?: Date | undefined
}

/** Asks for a job within `tx`: it is done, at least once, when `tx` commits, and never when it does not. */
export async function enqueue<Q extends Queue>(tx: Tx, queue: Q, data: JobData[Q], options: EnqueueOptions): Promise<void> {
  await tx.insert(outbox).values({ queue, data, startAfter: null, ...options })
}

/** @internal Of every queue: a job whose process died is taken over once it has not been heard of for ten seconds. */
const queueOptions = {
  heartbeatSeconds: 10,
  expireInSeconds: 120,
  // Ended by its own handler, never by having failed too often: what fails here is us or the database.
  retryLimit: 1_000,
  retryDelay: 1,
  retentionSeconds: 30 * 86_400,
  deleteAfterSeconds: 3_600,
}

const withBackoff = { retryBackoff: true, retryDelayMax: 300 }

interface QueueSettings<Q extends Queue> {
  options: { policy?: string; expireInSeconds?: number; retryBackoff?: boolean; retryDelayMax?: number }
  /** By `policy`: of the jobs with one key, one waits and one is done at a time. */
  keyOf?: (data: JobData[Q]) => string
  /** Jobs that a process does at once, and of one group; test runs as many as it is told to. */
  atOnce?: { localConcurrency: number; localGroupConcurrency?: number }
  pollingIntervalSeconds: number
  schedule?: string
}

const settings: { [Q in Queue]: QueueSettings<Q> } = {
  'webhook.deliver': {
    options: withBackoff,
    atOnce: { localConcurrency: 3, localGroupConcurrency: 1 },
    pollingIntervalSeconds: 2,
  },
  'notices.sweep': {
    options: withBackoff,
    atOnce: { localConcurrency: 1 },
    pollingIntervalSeconds: 60,
    schedule: '17 * * * *',
  },
  'run.execute': {
    // A case may take half an hour; a worker that died is found by its heartbeat. Taken over at once, however often.
    options: { policy: 'stately', expireInSeconds: 3_600 },
    keyOf: ({ runId }) => runId,
    pollingIntervalSeconds: 2,
  },
}
const queues = Object.keys(settings) as Queue[]

/** Half of them for one tenant at most, so that there is room for another one's run at any time. */
const runsAtOnce = (runWorkers: number) => ({
  localConcurrency: runWorkers,
  localGroupConcurrency: Math.ceil(runWorkers / 2),
})

function createBoss(database: Database): PgBoss {
  const boss = new PgBoss({
    db: database.queue,
    backend: database.kind === 'pglite' ? 'pglite' : 'postgres',
    schema,
    superviseIntervalSeconds: 5,
    monitorIntervalSeconds: 5,
    openTelemetry: { enabled: false },
    registerInstance: false,
  })
  boss.on('error', sparsely('the job queue waits'))
  return boss
}

/** Makes the queue's own tables, which `startJobs` does as well: for a database that is to be copied. */
export async function installJobs(database: Database): Promise<void> {
  const boss = createBoss(database)
  await boss.start()
  for (const queue of queues) await create(boss, queue)
  await boss.stop({ graceful: false })
}

const create = (boss: PgBoss, queue: Queue) => boss.createQueue(queue, { ...queueOptions, ...settings[queue].options })

export interface Jobs {
  /** Resolves when the queue has started, has failed to (it is tried again), or takes longer than ten seconds. */
  ready: Promise<void>
  /** Resolves when the jobs in hand are done, or after ten seconds: those are done again later. */
  stop(): Promise<void>
}

/**
 * Starts the queue in the background: what is asked for before it has is kept.
 * @param runWorkers test runs that this process executes at once; with 0 it leaves that queue alone.
 */
export function startJobs(database: Database, handlers: JobHandlers, runWorkers: number): Jobs {
  const boss = createBoss(database)
  const tellRelay = sparsely('jobs wait for the next relay')
  const workerIds = new Map<string, string>()
  let isStopping = false
  let relaying: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined

  const look = () => {
    relaying ??= relay(database, boss, workerIds)
      .catch(tellRelay)
      .finally(() => {
        relaying = undefined
      })
  }
  const work = async <Q extends Queue>(queue: Q) => {
    const { atOnce = runsAtOnce(runWorkers), pollingIntervalSeconds, schedule }: QueueSettings<Q> = settings[queue]
    if (atOnce.localConcurrency === 0) return
    const options = { ...atOnce, pollingIntervalSeconds }
    const workerId = await boss.work<JobData[Q]>(queue, options, async ([job]) => {
      if (!job) return
      await handlers[queue](job.data, { signal: job.signal, isStopping: () => isStopping })
      // Once the job is written off: what it asked for is not left to the next relay, nor what waits to the next look.
      setTimeout(() => {
        if (isStopping) return
        look()
        boss.notifyWorker(workerIds.get(queue) ?? '')
      }, wakeAfterMs).unref()
    })
    workerIds.set(queue, workerId)
    if (schedule) await boss.schedule(queue, schedule, {}, { missed: 'once' })
  }
  const begin = async () => {
    const steps = [
      () => boss.start(),
      ...queues.map((queue) => () => create(boss, queue)),
      ...queues.map((queue) => () => work(queue)),
    ]
    for (const step of steps) {
      await step()
      // A stop waits for what is under way, and not for the rest of a start: on a slow machine that is seconds.
      if (isStopping) return
    }
    timer = setInterval(look, relayEveryMs)
    timer.unref()
  }
  let retry: NodeJS.Timeout | undefined
  const attempt = async (): Promise<void> => {
    try {
      await begin()
    } catch (error) {
      if (isStopping) return
      log('error', 'the job queue did not start; it is tried again', { error })
      retry = setTimeout(() => {
        started = attempt()
      }, retryStartAfterMs)
      retry.unref()
    }
  }
  let started = attempt()

  return {
    ready: Promise.race([started, waitFor(readyWithinMs)]),
    stop: async () => {
      isStopping = true
      clearTimeout(retry)
      const stopping = async () => {
        await started
        clearInterval(timer)
        await relaying
        await boss.stop({ graceful: true, timeout: stopWithinMs })
      }
      // Bounded once more: a database that does not answer would hold each of them for ever.
      await Promise.race([
        stopping().catch((error) => log('warn', 'the job queue did not stop', { error })),
        waitFor(stopWithinMs + 1_000),
      ])
    },
  }
}

const waitFor = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms).unref())

/** Moves what was committed from the outbox to the queue, in one transaction; another node takes other rows. */
async function relay(database: Database, boss: PgBoss, workerIds: Map<string, string>): Promise<void> {
  // On the queue's own connection: looking costs the requests nothing.
  const { rows } = await database.queue.executeSql('select 1 from outbox limit 1')
  for (let moved = rows.length > 0 ? relayedAtOnce : 0; moved === relayedAtOnce; ) {
    const rows = await database.transaction((tx) => relayOnce(tx, boss))
    moved = rows.length
    // It looks now, and not at the end of its wait.
    for (const queue of new Set(rows.map((row) => row.queue))) boss.notifyWorker(workerIds.get(queue) ?? '')
  }
}

async function relayOnce(tx: Tx, boss: PgBoss): Promise<{ queue: string }[]> {
  const rows = await tx
    .delete(outbox)
    .where(sql`${outbox.id} in (select id from outbox order by id limit ${relayedAtOnce} for update skip locked)`)
    .returning()
  const db = fromDrizzle(tx as never, sql as never) // its own types of both are narrower than drizzle's
  for (const [queue, jobs] of Object.entries(Object.groupBy(rows, (row) => row.queue))) {
    const keyOf = settings[queue as Queue].keyOf as ((data: object) => string) | undefined
    const inserted = (jobs ?? []).map(({ data, groupId, startAfter }) => ({
      data,
      group: { id: groupId },
      ...(keyOf ? { singletonKey: keyOf(data) } : {}),
      ...(startAfter ? { startAfter } : {}),
    }))
    await boss.insert(queue, inserted, { db })
  }
  return rows
}
