// A load of a constant rate, which wrk has not: node bench/rate.ts <url> <rate> <seconds> <connections> <key…>
// A request that finds no connection free waits, and the wait counts. Prints what was reached, as JSON.
import { connect, type Socket } from 'node:net'

const [url = '', rate = '', seconds = '', connections = '', ...keys] = process.argv.slice(2)
const { hostname, port, pathname } = new URL(url)
const perMs = Number(rate) / 1_000
const latencies: number[] = []
const waiting: number[] = []
const free: Socket[] = []
const sentAt = new Map<Socket, number>()
let due = 0
let count = 0

function send(socket: Socket, from: number): void {
  sentAt.set(socket, from)
  const key = keys[count++ % keys.length] ?? ''
  socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${hostname}\r\nX-API-Key: ${key}\r\n\r\n`)
}

function open(): void {
  const socket = connect(Number(port), hostname)
  socket.setNoDelay(true)
  let received = ''
  socket.setEncoding('latin1').on('data', (text: string) => {
    received += text
    const head = received.indexOf('\r\n\r\n')
    if (head < 0) return
    const length = Number(/content-length: (\d+)/i.exec(received)?.[1])
    if (!Number.isInteger(length)) throw new Error(`an answer without a length: ${received.slice(0, head)}`)
    if (received.length < head + 4 + length) return
    received = ''
    latencies.push(performance.now() - (sentAt.get(socket) ?? 0))
    const next = waiting.shift()
    if (next === undefined) free.push(socket)
    else send(socket, next)
  })
  socket.once('connect', () => free.push(socket))
  // A refusal to connect ends the process with its error.
}

for (let i = 0; i < Number(connections); i++) open()
await new Promise((resolve) => setTimeout(resolve, 300))

const from = performance.now()
const timer = setInterval(() => {
  const now = performance.now()
  const wanted = Math.floor((now - from) * perMs)
  for (; due < wanted; due++) {
    const socket = free.shift()
    if (socket) send(socket, now)
    else waiting.push(now)
  }
  if (now - from < Number(seconds) * 1_000) return
  clearInterval(timer)
  const sorted = latencies.toSorted((a, b) => a - b)
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
  const perSecond = (latencies.length / (now - from)) * 1_000
  process.stdout.write(`${JSON.stringify({ perSecond, p50Ms: at(0.5), p99Ms: at(0.99) })}\n`)
  process.exit(0)
}, 1)
