// Connections for reads: each is mate_app's from its first byte, and one request's at a time. See docs/decisions/0011.
import { drizzle } from 'drizzle-orm/postgres-js'
import type postgres from 'postgres'
import type { Db, Span, Tx } from './client.ts'

/** The connection was lost between the look-up and the end of the read: nothing that was read may be believed. */
export class ConnectionLost extends Error {
  readonly code = 'CONNECTION_CLOSED'

  constructor() {
    super('the connection was lost during the read')
  }
}

/**
 * The client as drizzle uses it, but with prepared statements: drizzle's own are described anew each time, which costs a
 * round trip and a plan. Without parameters there is nothing to prepare: BEGIN, COMMIT.
 */
export function preparing(client: postgres.Sql): postgres.Sql {
  const wrap = (sql: postgres.Sql | postgres.TransactionSql) => ({
    options: client.options,
    unsafe: (query: string, parameters: never[]) => sql.unsafe(query, parameters, { prepare: (parameters?.length ?? 0) > 0 }),
    savepoint: (work: (sql: postgres.TransactionSql) => unknown) =>
      (sql as postgres.TransactionSql).savepoint((inner) => work(wrap(inner) as never)),
  })
  const begin = (work: (sql: postgres.TransactionSql) => unknown) => client.begin((inner) => work(wrap(inner) as never))
  return { ...wrap(client), begin } as unknown as postgres.Sql
}

interface Reader {
  client: postgres.Sql
  db: Db
  /** Grows each time the connection is lost. */
  losses: number
  /** `losses` at which this connection was seen to be mate_app's, and to be our own; -1 before. */
  checkedAt: number
}

export interface Readers {
  /** Runs `work` on a free connection; `otherwise` when there are none, or a pooler stands between. */
  read<T>(work: (tx: Tx, span: Span) => Promise<T>, otherwise: () => Promise<T>): Promise<T>
  state(): { busy: number; waiting: number }
  close(): Promise<void>
}

/** `connect` opens a client of one connection, and calls `onclose` whenever that is lost. */
export function openReaders(count: number, connect: (onclose: () => void) => postgres.Sql): Readers {
  const readers = Array.from({ length: count }, (): Reader => {
    const client = connect(() => {
      reader.losses++
    })
    const reader: Reader = { client, db: drizzle(preparing(client)) as unknown as Db, losses: 0, checkedAt: -1 }
    return reader
  })
  const free = [...readers]
  const waiting: ((reader: Reader) => void)[] = []
  let isUsable = count > 0

  const take = () => {
    const reader = free.pop()
    return reader ?? new Promise<Reader>((resolve) => waiting.push(resolve))
  }
  const giveBack = (reader: Reader) => {
    const next = waiting.shift()
    if (next) next(reader)
    else free.push(reader)
  }

  return {
    read: async (work, otherwise) => {
      if (!isUsable) return otherwise()
      const reader = await take()
      try {
        if (reader.checkedAt !== reader.losses && !(await isOurOwn(reader))) {
          isUsable = false
          return await otherwise()
        }
        const { losses } = reader
        // A db and not a transaction: drizzle's transaction adds only rollback() and the nesting, which no read uses.
        const result = await work(reader.db as Tx, 'session').catch((error) => {
          throw reader.losses === losses ? error : new ConnectionLost()
        })
        if (reader.losses !== losses) throw new ConnectionLost()
        return result
      } finally {
        giveBack(reader)
      }
    },
    state: () => ({ busy: readers.length - free.length, waiting: waiting.length }),
    close: async () => {
      await Promise.all(readers.map(({ client }) => client.end({ timeout: 5 })))
    },
  }
}

/**
 * Whether statements of this client reach one session, as mate_app. Behind a pooler that gives each transaction another
 * session, what the look-up sets would be somebody else's: its process id is not the one that was told at the connection.
 */
async function isOurOwn(reader: Reader): Promise<boolean> {
  const { losses } = reader
  const query = reader.client`select pg_backend_pid() as pid, current_user as "user"`
  try {
    const [row] = await query
    const told = (query as unknown as { state?: { pid: number } }).state?.pid
    if (row?.user !== 'mate_app' || row.pid !== told) return false
  } catch (error) {
    // As PgBouncer says it of the parameter `role`.
    if (Reflect.get(error as object, 'code') === '08P01') return false
    throw error
  }
  reader.checkedAt = losses
  return true
}
