// Opens the database, embedded or PostgreSQL, behind one type.
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core'
import { drizzle as drizzlePglite } from 'drizzle-orm/pglite'
import { drizzle as drizzlePostgres } from 'drizzle-orm/postgres-js'
import postgres from 'postgres'
import { lockFolder } from './folder-lock.ts'
import { createLiveness, NoAnswer } from './liveness.ts'
import { openReaders, preparing } from './readers.ts'

/** A drizzle database or a transaction of one; explicit select and insert only. */
export type Db = PgDatabase<PgQueryResultHKT, Record<string, never>>
export type Tx = Parameters<Parameters<Db['transaction']>[0]>[0]

/** How long a setting lasts: to the end of the transaction, or until the next request overwrites it. */
export type Span = 'transaction' | 'session'

export interface Database {
  kind: 'pglite' | 'postgres'
  /** As the login role, outside the tenant walls: migrations, sign-in, background work. Never inside `transaction`. */
  db: Db
  /** Runs `work` in one READ COMMITTED transaction: commits when it returns, rolls back when it throws. */
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>
  /**
   * Runs `work`, which only reads, on a connection that it shares with nobody meanwhile. `span` says how long what is set
   * for the session lasts: on PostgreSQL there is no transaction around it, and the connection is mate_app's from its start.
   */
  read<T>(work: (tx: Tx, span: Span) => Promise<T>): Promise<T>
  /** Rejects within a second when the database does not answer. */
  ping(): Promise<void>
  /** For work on `db`: rejects within 1.5 seconds when the database does not answer, as `transaction` and `read` do. */
  whileAlive<T>(work: () => Promise<T>): Promise<T>
  /** Of the connections for reads: how many are in use, and how many requests wait for one. */
  readers(): { busy: number; waiting: number }
  close(): Promise<void>
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
  const readers = Math.floor(max / 2)
  const options = {
    connect_timeout: 2,
    // A database that is back is found again at once, not after postgres.js's up to 20 seconds.
    backoff: (retries: number) => Math.min(0.05 * 2 ** retries, 1),
    onnotice: () => {},
  }
  const connection = { application_name: 'mate', statement_timeout: 10_000, idle_in_transaction_session_timeout: 30_000 }
  const client = postgres(url, { ...options, connection, max: max - readers })
  try {
    await client`select 1`
  } catch (cause) {
    await client.end({ timeout: 0 })
    const reason = cause instanceof Error ? cause.message || String(Reflect.get(cause, 'code')) : String(cause)
    throw new Error(`The database in DATABASE_URL does not let us in: ${reason}.`, { cause })
  }
  const db = drizzlePostgres(preparing(client)) as unknown as Db // the two drivers differ only in the type of a raw result
  const pinger = postgres(url, { ...options, connection, max: 1, idle_timeout: 60 })
  const { ping, watch } = createLiveness(() => pinger`select 1`)
  const pool = openReaders(readers, (onclose) => {
    // Without an end of its life: postgres.js would end it between a look-up and its read.
    return postgres(url, { ...options, connection: { ...connection, role: 'mate_app' }, max: 1, max_lifetime: null, onclose })
  })
  const transact = <T>(work: (tx: Tx) => Promise<T>, isAbandoned: () => boolean) =>
    db.transaction(async (tx) => {
      requireCaller(isAbandoned)
      const result = await work(tx)
      requireCaller(isAbandoned)
      return result
    })
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
    ping,
    whileAlive: watch,
    readers: pool.state,
    close: async () => {
      await Promise.all([pool.close(), pinger.end({ timeout: 5 }), client.end({ timeout: 5 })])
    },
  }
}

/** What nobody waits for any more is not begun, so that a long queue is gone at once, and is not committed. */
function requireCaller(isAbandoned: () => boolean): void {
  if (isAbandoned()) throw new NoAnswer()
}

async function openPglite({ dataDir, loadDataDir }: OpenOptions): Promise<Database> {
  const folder = dataDir && resolve(dataDir)
  if (folder) mkdirSync(folder, { recursive: true, mode: 0o700 })
  const unlock = folder ? lockFolder(folder) : () => {}
  const client = await PGlite.create({
    ...(folder ? { dataDir: join(folder, 'pglite') } : {}),
    ...(loadDataDir ? { loadDataDir } : {}),
  })
  const db = drizzlePglite(client) as unknown as Db // as above
  const transaction: Database['transaction'] = (work) => db.transaction(work)
  return {
    kind: 'pglite',
    db,
    transaction,
    read: (work) => transaction((tx) => work(tx, 'transaction')),
    ping: async () => {
      await client.query('select 1')
    },
    readers: () => ({ busy: 0, waiting: 0 }),
    whileAlive: (work) => work(), // in this process: there is nobody to wait for
    close: async () => {
      await client.close()
      unlock()
    },
  }
}
