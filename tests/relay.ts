// A relay before PostgreSQL that can hold its breath, as a frozen database or a broken network does, or play a pooler or a replica.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface Relay {
  /** Connection string of the same database, through the relay. */
  url: string
  /** Keeps every connection, takes new ones, and passes nothing on. */
  freeze(): void
  thaw(): void
  /** Ends every connection, in the middle of whatever it carries. */
  cut(): void
  /** Where new connections lead from now on. */
  redirect(url: string): void
  /** From now on, ends each new connection as soon as PostgreSQL has let it in. */
  cutNew(): void
  close(): void
}

/** @param delayMs what a database that is further away adds to each round trip. */
export async function startRelay(url: string, { isPooler = false, isReplica = false, delayMs = 0 } = {}): Promise<Relay> {
  let target = new URL(url)
  const sockets = new Set<Socket>()
  let isFrozen = false
  let cutsNew = false
  const server = createServer((client) => {
    const upstream = connect(Number(target.port || 5432), target.hostname)
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
    client.on('data', (bytes) => {
      // Of a replica nothing may be asked: only Terminate, 'X', may come.
      if (isReplica && isSignedIn && bytes[0] !== 0x58) client.destroy()
      else if (delayMs > 0) setTimeout(() => upstream.write(bytes), delayMs)
      else upstream.write(bytes)
    })
    upstream.on('data', (bytes) => {
      // BackendKeyData: 'K', length 12, process id, secret. Poolers make the id up, to route cancellations.
      const at = isPooler && !isSignedIn ? bytes.indexOf(Buffer.from([0x4b, 0, 0, 0, 12])) : -1
      if (at >= 0) bytes.writeInt32BE(77, at + 5)
      client.write(isReplica && !isSignedIn ? asReplica(bytes) : bytes)
      // ReadyForQuery: 'Z', length 5, status.
      if (!bytes.includes(Buffer.from([0x5a, 0, 0, 0, 5]))) return
      isSignedIn = true
      if (cutsNew) client.end()
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
    cut: () => each((socket) => socket.destroy()),
    redirect: (next) => {
      target = new URL(next)
    },
    cutNew: () => {
      cutsNew = true
    },
    close: () => {
      server.close()
      each((socket) => socket.destroy())
    },
  }
}

/** ParameterStatus of a replica: 'S', length, name, value. */
function asReplica(bytes: Buffer): Buffer {
  const status = (value: string) => {
    const text = Buffer.from(`in_hot_standby\0${value}\0`)
    return Buffer.concat([Buffer.from([0x53, 0, 0, 0, text.length + 4]), text])
  }
  const at = bytes.indexOf(status('off'))
  return at < 0 ? bytes : Buffer.concat([bytes.subarray(0, at), status('on'), bytes.subarray(at + status('off').length)])
}
