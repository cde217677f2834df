// Connections for changes: a transaction each at a time, its BEGIN sent with its first statement, its COMMIT with its last.
import type postgres from 'postgres'
import type { RunLast, Tx } from './client.ts'
import { type Connect, type Lane, openLanes, requireKept } from './lanes.ts'

interface Writer extends Lane {
  /** `losses` at which this connection was seen to be open; -1 before. */
  openAt: number
}

export interface Writers {
  /** Runs `work` in a transaction; `beforeCommit` may still throw. */
  transact<T>(work: (tx: Tx, runLast: RunLast) => Promise<T>, beforeCommit: () => void): Promise<T>
  close(): Promise<void>
}

/** Back to the login role, which the look-up leaves for this transaction: outside of one the connection is mate_app's, without a tenant. */
const begin = 'begin; set local role none'

/** `connect` as mate_app: a statement that comes to run outside its transaction, on a connection opened anew, can do nothing. */
export function openWriters(count: number, connect: Connect): Writers {
  const lanes = openLanes(count, connect, (lane): Writer => Object.assign(lane, { openAt: -1 }))
  return {
    transact: async (work, beforeCommit) => {
      const lane = await lanes.take()
      lane.takenAt = lane.losses
      try {
        return await runOn(lane, work, beforeCommit)
      } finally {
        lanes.giveBack(lane)
      }
    },
    close: lanes.close,
  }
}

async function runOn<T>(lane: Writer, work: (tx: Tx, runLast: RunLast) => Promise<T>, beforeCommit: () => void): Promise<T> {
  const { client } = lane
  const tx = lane.db as Tx // not drizzle's transaction, which adds only rollback() and the nesting: nothing uses them
  const begun = send(client, begin)
  try {
    // What comes behind a connection that can't be made would wait for another one.
    if (lane.openAt !== lane.losses) {
      await begun
      lane.openAt = lane.losses
    }
    let last: (() => Promise<unknown>) | undefined
    const result = await work(tx, (statement) => {
      last = statement
    })
    await begun
    beforeCommit()
    await commit(lane, last)
    return result
  } catch (error) {
    const hasBegun = await begun.then(
      () => true,
      () => false,
    )
    // On a connection that was lost, or opened anew, there is nothing to roll back.
    if (hasBegun && lane.losses === lane.takenAt) await send(client, 'rollback').catch(() => {})
    throw error
  }
}

/** Sends the last statement and the commit in one go: should the statement fail, PostgreSQL makes a rollback of the commit. */
async function commit(lane: Lane, last: (() => Promise<unknown>) | undefined): Promise<void> {
  requireKept(lane)
  let committing: ReturnType<typeof send> | undefined
  lane.onSent = () => {
    committing = send(lane.client, 'commit')
  }
  try {
    await last?.()
  } finally {
    lane.onSent = undefined
    await committing?.catch(() => {})
  }
  const { command } = await (committing ?? send(lane.client, 'commit'))
  requireKept(lane)
  if (command !== 'COMMIT') throw new Error('The transaction was rolled back: a statement of it had failed.')
}

/** Sends it now, and not once somebody waits for it. */
function send(client: postgres.Sql, statement: string): Promise<postgres.RowList<postgres.Row[]>> {
  const sent = client.unsafe(statement).execute()
  sent.catch(() => {}) // it is waited for later
  return sent
}
