// Opens the database, embedded or PostgreSQL, behind one type.
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { btree_gin } from '@electric-sql/pglite/contrib/btree_gin'
import { pg_trgm } from '@electric-sql/pglite/contrib/pg_trgm'
import { makePgArray, type PgDatabase, type PgQueryResultHKT, parsePgArray } from 'drizzle-orm/pg-core'
import { drizzle as drizzlePglite } from 'drizzle-orm/pglite'
import { drizzle as drizzlePostgres } from 'drizzle-orm/postgres-js'
import postgres from 'postgres'
import { lockFolder } from './folder-lock.ts'
import { preparing } from './lanes.ts'
import { createLiveness, NoAnswer } from './liveness.ts'
import { openPostgresQueue, pgliteQueue } from './queue-connection.ts'
import { isDirect, openReaders } from './readers.ts'
import { openWriters } from './writers.ts'

/** A drizzle database or a transaction of one; explicit select and insert only. */
export type Db = PgDatabase<PgQueryResultHKT, Record<string, never>>
export type Tx = Parameters<Parameters<Db['transaction']>[0]>[0]

/** How long a setting lasts: to the end of the transaction, or until the next request overwrites it. */
export type Span = 'transaction' | 'session'

/** Has a statement run when all else of its transaction has, together with the commit: a round trip less. One at most. */
export type RunLast = (statement: () => Promise<unknown>) => void

export interface Database {
  kind: 'pglite' | 'postgres'
  /** As the login role, outside the tenant walls: migrations, sign-in, background work. Never inside `transaction`. */
  db: Db
  /** Runs `work` in one READ COMMITTED transaction: commits when it returns, rolls back when it throws. */
  transaction<T>(work: (tx: Tx, runLast: RunLast) => Promise<T>): Promise<T>
  /**
   * Runs `work`, which only reads, on a connection that it shares with nobody meanwhile. `span` says how long what is set
   * for the session lasts: on PostgreSQL there is no transaction around it, and the connection is mate_app's from its start.
   */
  read<T>(work: (tx: Tx, span: Span) => Promise<T>): Promise<T>
  /** For a library that brings its own SQL: one statement, as `db`. */
  query(text: string, values: unknown[]): Promise<{ rows: Record<string, unknown>[] }>
  /** Rejects within a second when the database does not answer. */
  ping(): Promise<void>
  /** For work on `db`: rejects within 1.2 seconds when the database does not answer, as `transaction` and `read` do. */
  whileAlive<T>(work: () => Promise<T>): Promise<T>
  /** Of the connections for reads: how many are in use, and how many requests wait for one. */
  readers(): { busy: number; waiting: number }
  /** For the job queue: statements as text, on at most two connections that nothing else uses. */
  queue: QueueConnection
  close(): Promise<void>
}

export interface QueueConnection {
  /** One statement with parameters, or several without. @throws what the database says; no transaction is left open. */
  executeSql(text: string, values?: unknown[]): Promise<{ rows: Record<string, unknown>[] }>
}

export interface OpenOptions {
  /** PostgreSQL connection string; without it, PGlite in `dataDir`, or in memory when that is missing too. */
  url?: string | undefined
  dataDir?: string | undefined
  /** A data folder as `PGlite.dumpDataDir` made it, for an in-memory database of a test. */
  loadDataDir?: Blob | undefined
  maxConnections?: number | undefined
}

/** @throws Error when the folder is in use by another process, or PostgreSQL does not let us in. */
export async function openDatabase(options: OpenOptions): Promise<Database> {
  return options.url ? openPostgres(options.url, options.maxConnections ?? 20) : openPglite(options)
}

async function openPostgres(url: string, max: number): Promise<Database> {
  const options = {
    connect_timeout: 2,
    // A database that is back is found again at once, not after postgres.js's up to 20 seconds.
    backoff: (retries: number) => Math.min(0.05 * 2 ** retries, 1),
    onnotice: () => {},
    // drizzle reads arrays itself. When this query of each new connection fails, postgres.js has nobody to tell: the process ends.
    fetch_types: false,
    // What a function answers is no column of drizzle's: it would come as text.
    types: { textArray: { to: 1009, from: [1009], serialize: asArrayText, parse: parsePgArray } },
    // Of several hosts the one that takes writes. Not `read-write`: postgres.js 3.4.9 takes a replica for one.
    ...(hasSeveralHosts(url) ? { target_session_attrs: 'primary' as const } : {}),
  }
  const connection = { application_name: 'mate', statement_timeout: 10_000, idle_in_transaction_session_timeout: 30_000 }
  const pinger = postgres(url, { ...options, connection, prepare: false, max: 1, idle_timeout: 60 })
  let isPooled: boolean
  try {
    isPooled = !(await isDirect(pinger))
  } catch (cause) {
    await pinger.end({ timeout: 0 })
    const reason = cause instanceof Error ? cause.message || String(Reflect.get(cause, 'code')) : String(cause)
    throw new Error(`The database in DATABASE_URL does not let us in: ${reason}.`, { cause })
  }
  // A pooler gives each transaction another session: what one prepared, the next does not know, and a lane needs its own.
  const { readers, writers, others } = isPooled ? { readers: 0, writers: 0, others: max } : shareOut(max)
  const client = postgres(url, { ...options, connection, prepare: !isPooled, max: others })
  const db = drizzlePostgres(preparing(client)) as unknown as Db // the two drivers differ only in the type of a raw result
  const { ping, watch } = createLiveness(() => pinger`select 1`)
  // Without an end of its life: postgres.js would end it in the middle of what is done on it.
  const lane = (onclose: () => void) =>
    postgres(url, { ...options, connection: { ...connection, role: 'mate_app' }, max: 1, max_lifetime: null, onclose })
  const pool = openReaders(readers, lane)
  const changes = openWriters(writers, lane)
  const queue = openPostgresQueue((more) => postgres(url, { ...options, ...more, connection: { application_name: 'mate jobs' } }))
  const transact = <T>(work: (tx: Tx, runLast: RunLast) => Promise<T>, isAbandoned: () => boolean) => {
    const beforeCommit = () => requireCaller(isAbandoned)
    const begin = async (tx: Tx, runLast: RunLast) => {
      requireCaller(isAbandoned)
      return work(tx, runLast)
    }
    return writers > 0 ? changes.transact(begin, beforeCommit) : db.transaction((tx) => finish(tx, begin, beforeCommit))
  }
  const read = <T>(work: (tx: Tx, span: Span) => Promise<T>, isAbandoned: () => boolean) =>
    pool.read(
      async (tx, span) => {
        requireCaller(isAbandoned)
        return work(tx, span)
      },
      () => transact((tx) => work(tx, 'transaction'), isAbandoned),
    )
  return {
    kind: 'postgres',
    db,
    transaction: (work) => watch((isAbandoned) => transact(work, isAbandoned)),
    read: (work) => watch((isAbandoned) => read(work, isAbandoned)),
    query: async (text, values) => ({ rows: await client.unsafe(text, values as never[], { prepare: true }) }),
    ping,
    whileAlive: watch,
    readers: pool.state,
    queue,
    close: async () => {
      await Promise.all([pool.close(), changes.close(), pinger.end({ timeout: 5 }), queue.close(), client.end({ timeout: 5 })])
    },
  }
}

/** Half for reads; of the others two thirds for changes. */
function shareOut(max: number): { readers: number; writers: number; others: number } {
  const readers = Math.floor(max / 2)
  const writers = Math.floor((max - readers) * (2 / 3))
  return { readers, writers, others: max - readers - writers }
}

/** `work` with what it wants done last, in a transaction of drizzle's. */
async function finish<T>(tx: Tx, work: (tx: Tx, runLast: RunLast) => Promise<T>, beforeCommit = () => {}): Promise<T> {
  const last: (() => Promise<unknown>)[] = []
  const result = await work(tx, (statement) => last.push(statement))
  for (const statement of last) await statement()
  beforeCommit()
  return result
}

/** drizzle hands over its own columns as text already. */
const asArrayText = (value: string | string[]) => (typeof value === 'string' ? value : makePgArray(value))

/** As in `postgres://user:password@one:5432,two:5432/mate`. */
function hasSeveralHosts(url: string): boolean {
  const [authority = ''] = url.replace(/^\w+:\/\//, '').split(/[/?]/)
  return authority.slice(authority.lastIndexOf('@') + 1).includes(',')
}

/** What nobody waits for any more is not begun, so that a long queue is gone at once, and is not committed. */
function requireCaller(isAbandoned: () => boolean): void {
  if (isAbandoned()) throw new NoAnswer()
}

/** What the migrations create, for PGlite to load. */
export const pgliteExtensions = { btree_gin, pg_trgm }

async function openPglite({ dataDir, loadDataDir }: OpenOptions): Promise<Database> {
  const folder = dataDir && resolve(dataDir)
  if (folder) mkdirSync(folder, { recursive: true, mode: 0o700 })
  const unlock = folder ? lockFolder(folder) : () => {}
  const client = await PGlite.create({
    extensions: pgliteExtensions,
    ...(folder ? { dataDir: join(folder, 'pglite') } : {}),
    ...(loadDataDir ? { loadDataDir } : {}),
  })
  const db = drizzlePglite(client) as unknown as Db // as above
  const transaction: Database['transaction'] = (work) => db.transaction((tx) => finish(tx, work))
  return {
    kind: 'pglite',
    db,
    transaction,
    read: (work) => transaction((tx) => work(tx, 'transaction')),
    query: (text, values) => client.query<Record<string, unknown>>(text, values),
    ping: async () => {
      await client.query('select 1')
    },
    readers: () => ({ busy: 0, waiting: 0 }),
    queue: pgliteQueue(client),
    whileAlive: (work) => work(), // in this process: there is nobody to wait for
    close: async () => {
      await client.close()
      unlock()
    },
  }
}
