// PostgreSQL connections that one piece of work has for itself: what is prepared on one stays, and a loss in between is seen.
import { drizzle } from 'drizzle-orm/postgres-js'
import type postgres from 'postgres'
import type { Db } from './client.ts'

/** The connection was lost in the middle of what was done on it: nothing of it may be believed. */
export class ConnectionLost extends Error {
  readonly code = 'CONNECTION_CLOSED'

  constructor() {
    super('the connection was lost')
  }
}

export interface Lane {
  client: postgres.Sql
  /** One object for the connection's whole life, for `prepared`. Refuses statements once the connection was lost. */
  db: Db
  /** Grows each time the connection is lost. */
  losses: number
  /** `losses` when the work under way began. */
  takenAt: number
  /** Called once, when the next statement is on its way. */
  onSent?: (() => void) | undefined
}

/** Opens a client of one connection, and calls `onclose` whenever that is lost. */
export type Connect = (onclose: () => void) => postgres.Sql

export interface Lanes<L extends Lane> {
  take(): L | Promise<L>
  giveBack(lane: L): void
  state(): { busy: number; waiting: number }
  close(): Promise<void>
}

export function openLanes<L extends Lane>(count: number, connect: Connect, complete: (lane: Lane) => L): Lanes<L> {
  const lanes = Array.from({ length: count }, () => {
    const client = connect(() => {
      lane.losses++
    })
    const lane = { client, losses: 0, takenAt: 0 } as Lane
    lane.db = drizzle(preparing(client, lane)) as unknown as Db
    return complete(lane)
  })
  const free = [...lanes]
  const waiting: ((lane: L) => void)[] = []
  return {
    take: () => free.pop() ?? new Promise<L>((resolve) => waiting.push(resolve)),
    giveBack: (lane) => {
      const next = waiting.shift()
      if (next) next(lane)
      else free.push(lane)
    },
    state: () => ({ busy: lanes.length - free.length, waiting: waiting.length }),
    close: async () => {
      await Promise.all(lanes.map(({ client }) => client.end({ timeout: 5 })))
    },
  }
}

/** @throws ConnectionLost when the lane's connection is not the one any more that the work under way began on. */
export function requireKept({ losses, takenAt }: Lane): void {
  if (losses !== takenAt) throw new ConnectionLost()
}

/**
 * The client as drizzle uses it, but with prepared statements: drizzle's own are described anew each time, which costs a
 * round trip and a plan. Without parameters there is nothing to prepare: BEGIN, COMMIT.
 */
export function preparing(client: postgres.Sql, lane?: Lane): postgres.Sql {
  const wrap = (sql: postgres.Sql | postgres.TransactionSql) => ({
    options: client.options,
    unsafe: (query: string, parameters: never[]) => {
      if (lane) requireKept(lane)
      const statement = sql.unsafe(query, parameters, { prepare: (parameters?.length ?? 0) > 0 })
      if (lane?.onSent) {
        statement.execute()
        lane.onSent()
        lane.onSent = undefined
      }
      return statement
    },
    savepoint: (work: (sql: postgres.TransactionSql) => unknown) =>
      (sql as postgres.TransactionSql).savepoint((inner) => work(wrap(inner) as never)),
  })
  const begin = (work: (sql: postgres.TransactionSql) => unknown) => client.begin((inner) => work(wrap(inner) as never))
  return { ...wrap(client), begin } as unknown as postgres.Sql
}
