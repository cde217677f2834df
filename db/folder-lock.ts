// One process at a time on an embedded database folder: a second one would lose its commits silently.
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/**
 * Milliseconds. An exclusive lock is taken in steps, and of two that come at once each can stand on a step the other needs:
 * without patience both give up.
 */
const patience = 1000

/**
 * Locks `folder` until the returned function is called or the process ends, however it ends.
 * The lock is SQLite's, on an empty database beside the data: the operating system releases it, so no stale file can lock
 * anyone out after `kill -9`, and it holds between containers that share a volume.
 * @throws Error when another process holds it.
 */
export function lockFolder(folder: string): () => void {
  const lock = new DatabaseSync(join(folder, 'lock.sqlite'), { timeout: patience })
  try {
    lock.exec('begin exclusive') // never committed: the lock is the open transaction
  } catch (cause) {
    lock.close()
    throw new Error(
      `Another process uses the database in ${folder}. Stop it first (the embedded database serves one process), or set DATABASE_URL to use PostgreSQL.`,
      { cause },
    )
  }
  return () => lock.close()
}
