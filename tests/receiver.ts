// A receiver of webhooks on loopback: it keeps what it was sent, and answers as it is told.
import { createHmac } from 'node:crypto'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll } from 'vitest'
import { outbound } from './outbound.ts'

export interface Received {
  id: string
  headers: IncomingHttpHeaders
  /** As it came, byte for byte. */
  text: string
  body: { type: string; timestamp: string; data: Record<string, unknown> }
}

export interface Receiver {
  url: string
  received: Received[]
  /** Answers 204 until it is told otherwise. */
  answer: (response: ServerResponse, received: Received) => void
  close(): Promise<void>
}

/** Requests of this process leave it as they are in this file: what is guarded here is real connections. */
export function withoutMocks(): void {
  beforeAll(() => outbound.close())
  afterAll(() => outbound.listen({ onUnhandledFrame: 'bypass' }))
}

export async function startReceiver(): Promise<Receiver> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString()
      const received = {
        id: String(request.headers['webhook-id']),
        headers: request.headers,
        text,
        body: JSON.parse(text || '{}'),
      }
      receiver.received.push(received)
      receiver.answer(response, received)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received: [],
    answer: (response) => response.writeHead(204).end(),
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return receiver
}

/** One receiver for all tests of a file. */
export function useReceiver(): Receiver {
  const holder: { receiver?: Receiver } = {}
  beforeAll(async () => {
    holder.receiver = await startReceiver()
  })
  afterAll(() => holder.receiver?.close())
  return new Proxy({} as Receiver, {
    get: (_, name) => Reflect.get(holder.receiver ?? {}, name),
    set: (_, name, value) => Reflect.set(holder.receiver ?? {}, name, value),
  })
}

/** As Standard Webhooks tells a receiver to; written apart from the server's own. */
export function isSignedBy(secret: string, { headers, text }: Received): boolean {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${text}`
  const expected = `v1,${createHmac('sha256', key).update(signed).digest('base64')}`
  const isFresh = Math.abs(Date.now() / 1_000 - Number(headers['webhook-timestamp'])) < 300
  return isFresh && String(headers['webhook-signature']).split(' ').includes(expected)
}
