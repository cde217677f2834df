// A relay before PostgreSQL that can hold its breath, as a frozen database or a broken network does, or play a pooler.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface Relay {
  /** Connection string of the same database, through the relay. */
  url: string
  /** Keeps every connection, takes new ones, and passes nothing on. */
  freeze(): void
  thaw(): void
  close(): void
}

export async function startRelay(url: string, { isPooler = false } = {}): Promise<Relay> {
  const { hostname, port } = new URL(url)
  const sockets = new Set<Socket>()
  let isFrozen = false
  const server = createServer((client) => {
    const upstream = connect(Number(port || 5432), hostname)
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      if (isFrozen) from.pause()
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
    }
    let isSignedIn = false
    client.on('data', (bytes) => upstream.write(bytes))
    upstream.on('data', (bytes) => {
      // BackendKeyData: 'K', length 12, process id, secret. Poolers make the id up, to route cancellations.
      const at = isPooler && !isSignedIn ? bytes.indexOf(Buffer.from([0x4b, 0, 0, 0, 12])) : -1
      if (at >= 0) {
        bytes.writeInt32BE(77, at + 5)
        isSignedIn = true
      }
      client.write(bytes)
    })
    if (isFrozen) for (const socket of [client, upstream]) socket.pause()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const through = new URL(url)
  through.host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const each = (work: (socket: Socket) => void) => {
    for (const socket of sockets) work(socket)
  }
  return {
    url: through.href,
    freeze: () => {
      isFrozen = true
      each((socket) => socket.pause())
    },
    thaw: () => {
      isFrozen = false
      each((socket) => socket.resume())
    },
    close: () => {
      server.close()
      each((socket) => socket.destroy())
    },
  }
}
