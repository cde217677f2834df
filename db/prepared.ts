// Queries that every request asks: drizzle builds each once for a connection, and not each time, which costs more than the rest.
import type { Tx } from './client.ts'

const ofConnection = new WeakMap<Tx, Map<string, unknown>>()

/**
 * What `build` made for this connection before, or makes now. `name` names the query and its shape: `build` may depend on
 * nothing else; what changes from call to call are placeholders.
 */
export function prepared<T>(tx: Tx, name: string, build: (tx: Tx) => T): T {
  let queries = ofConnection.get(tx)
  if (!queries) {
    queries = new Map()
    ofConnection.set(tx, queries)
  }
  if (!queries.has(name)) queries.set(name, build(tx))
  return queries.get(name) as T
}
