// Looks into a running server's heap through the inspector's protocol: https://chromedevtools.github.io/devtools-protocol/v8/.
import type { Child } from '../child-server.ts'
import { waitUntil } from '../child-server.ts'

export interface Inspector {
  /** Bytes of what is still reachable. */
  heapAfterCollection(): Promise<number>
  /** Bytes by constructor of what is reachable. */
  heapByConstructor(): Promise<Map<string, number>>
  close(): void
}

interface Snapshot {
  snapshot: { meta: { node_fields: string[]; node_types: [string[], ...unknown[]] } }
  nodes: number[]
  strings: string[]
}

/** @param server started with `--inspect=127.0.0.1:0` in NODE_OPTIONS. */
export async function inspect(server: Child): Promise<Inspector> {
  const find = () => /Debugger listening on (ws:\S+)/.exec(server.output.stderr)?.[1]
  await waitUntil(async () => find() !== undefined)
  const socket = new WebSocket(find() ?? '')
  await new Promise((resolve, reject) => {
    socket.onopen = resolve
    socket.onerror = reject
  })
  const waiting = new Map<number, (result: Record<string, unknown>) => void>()
  const chunks: string[] = []
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(String(data))
    if (message.method === 'HeapProfiler.addHeapSnapshotChunk') chunks.push(message.params.chunk)
    waiting.get(message.id)?.(message.result)
    waiting.delete(message.id)
  }
  let id = 0
  const call = (method: string, params: object = {}) =>
    new Promise<Record<string, unknown>>((resolve) => {
      waiting.set(++id, resolve)
      socket.send(JSON.stringify({ id, method, params }))
    })
  await call('HeapProfiler.enable')

  return {
    heapAfterCollection: async () => {
      await call('HeapProfiler.collectGarbage')
      return Number((await call('Runtime.getHeapUsage')).usedSize)
    },
    heapByConstructor: async () => {
      chunks.length = 0
      await call('HeapProfiler.takeHeapSnapshot', { reportProgress: false })
      return sumByConstructor(JSON.parse(chunks.join('')) as Snapshot)
    },
    close: () => socket.close(),
  }
}

function sumByConstructor({ snapshot: { meta }, nodes, strings }: Snapshot): Map<string, number> {
  const fields = meta.node_fields
  const [typeAt, nameAt, sizeAt] = ['type', 'name', 'self_size'].map((field) => fields.indexOf(field)) as [number, number, number]
  const [types] = meta.node_types
  const sums = new Map<string, number>()
  for (let at = 0; at < nodes.length; at += fields.length) {
    const type = types[nodes[at + typeAt] ?? 0] ?? ''
    // Objects by their constructor; strings, code and the like by their kind, since their name is their content.
    const name = type === 'object' ? (strings[nodes[at + nameAt] ?? 0] ?? '') : `(${type})`
    sums.set(name, (sums.get(name) ?? 0) + (nodes[at + sizeAt] ?? 0))
  }
  return sums
}
