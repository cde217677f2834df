// Opens the database, embedded or PostgreSQL, behind one type.
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { sql } from 'drizzle-orm'
import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core'
import { drizzle as drizzlePglite } from 'drizzle-orm/pglite'
import { drizzle as drizzlePostgres } from 'drizzle-orm/postgres-js'
import postgres from 'postgres'
import { lockFolder } from './folder-lock.ts'

/** A drizzle database or a transaction of one; explicit select and insert only. */
export type Db = PgDatabase<PgQueryResultHKT, Record<string, never>>
export type Tx = Parameters<Parameters<Db['transaction']>[0]>[0]

export interface Database {
  kind: 'pglite' | 'postgres'
  /** As the login role, outside the tenant walls: migrations, sign-in, background work. Never inside `transaction`. */
  db: Db
  /** Runs `work` in one READ COMMITTED transaction: commits when it returns, rolls back when it throws. */
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>
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
  const client = postgres(url, {
    max,
    connect_timeout: 2,
    onnotice: () => {},
    connection: { application_name: 'mate', statement_timeout: 10_000, idle_in_transaction_session_timeout: 30_000 },
  })
  try {
    await client`select 1`
  } catch (cause) {
    await client.end({ timeout: 0 })
    const reason = cause instanceof Error ? cause.message || String(Reflect.get(cause, 'code')) : String(cause)
    throw new Error(`The database in DATABASE_URL does not let us in: ${reason}.`, { cause })
  }
  const db = drizzlePostgres(client) as unknown as Db // the two drivers differ only in the type of a raw result
  return {
    kind: 'postgres',
    db,
    transaction: (work) => db.transaction(work),
    close: () => client.end({ timeout: 5 }),
  }
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
  return {
    kind: 'pglite',
    db,
    transaction: (work) => db.transaction(work),
    close: async () => {
      await client.close()
      unlock()
    },
  }
}

/** Throws when the database does not answer. */
export async function ping(database: Database): Promise<void> {
  await database.db.execute(sql`select 1`)
}
