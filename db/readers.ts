// Connections for reads: each is mate_app's from its first byte, and one request's at a time. See docs/decisions/0011.
import type postgres from 'postgres'
import type { Span, Tx } from './client.ts'
import { type Connect, ConnectionLost, type Lane, openLanes, requireKept } from './lanes.ts'

interface Reader extends Lane {
  /** `losses` at which this connection was seen to be mate_app's, and to be our own; -1 before. */
  checkedAt: number
}

export interface Readers {
  /** Runs `work` on a free connection; `otherwise` when there are none, or a pooler stands between. */
  read<T>(work: (tx: Tx, span: Span) => Promise<T>, otherwise: () => Promise<T>): Promise<T>
  state(): { busy: number; waiting: number }
  close(): Promise<void>
}

export function openReaders(count: number, connect: Connect): Readers {
  const lanes = openLanes(count, connect, (lane): Reader => Object.assign(lane, { checkedAt: -1 }))
  let isUsable = count > 0

  return {
    read: async (work, otherwise) => {
      if (!isUsable) return otherwise()
      const reader = await lanes.take()
      try {
        if (reader.checkedAt !== reader.losses && !(await isOurOwn(reader))) {
          isUsable = false
          return await otherwise()
        }
        reader.takenAt = reader.losses
        // A db and not a transaction: drizzle's transaction adds only rollback() and the nesting, which no read uses.
        const result = await work(reader.db as Tx, 'session').catch((error) => {
          throw reader.losses === reader.takenAt ? error : new ConnectionLost()
        })
        requireKept(reader)
        return result
      } finally {
        lanes.giveBack(reader)
      }
    },
    state: lanes.state,
    close: lanes.close,
  }
}

async function whoAnswers(client: postgres.Sql): Promise<{ isDirect: boolean; user: string }> {
  const query = client`select pg_backend_pid() as pid, current_user as "user"`
  const [row] = await query
  const told = (query as unknown as { state?: { pid: number } }).state?.pid
  return { isDirect: row?.pid === told, user: row?.user }
}

/**
 * Whether PostgreSQL itself answers, and no pooler stands between: a pooler makes the process id up that is told at the
 * connection, since it gives a client now this session and now that.
 */
export async function isDirect(client: postgres.Sql): Promise<boolean> {
  return (await whoAnswers(client)).isDirect
}

/** Whether statements of this reader reach one session, as mate_app: else what the look-up sets would be somebody else's. */
async function isOurOwn(reader: Reader): Promise<boolean> {
  const { losses } = reader
  try {
    const found = await whoAnswers(reader.client)
    if (found.user !== 'mate_app' || !found.isDirect) return false
  } catch (error) {
    // As PgBouncer says it of the parameter `role`.
    if (Reflect.get(error as object, 'code') === '08P01') return false
    throw error
  }
  reader.checkedAt = losses
  return true
}
