// What a node did, for Prometheus: on a port of its own, so that it needs no key and is not on the address that clients use.
import { createServer, type Server } from 'node:http'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Database } from '#db/client.ts'
import { unknownKeyTotal } from './unknown-keys.ts'
import { usageState } from './usage.ts'

const registry = new Registry()
collectDefaultMetrics({ register: registry, prefix: 'mate_' })

const calls = new Histogram({
  name: 'mate_call_duration_seconds',
  help: 'Calls that reached the gate, by operation, door and HTTP status; from the credential to the commit.',
  labelNames: ['operation', 'door', 'status'],
  buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  registers: [registry],
})

new Counter({
  name: 'mate_unknown_keys_total',
  help: 'Requests with a malformed key, or one that nobody has.',
  registers: [registry],
  collect() {
    this.reset()
    this.inc(unknownKeyTotal())
  },
})

const tripwires = new Counter({
  name: 'mate_tripwires_total',
  help: 'Requests with a key that was revoked, or rotated out.',
  registers: [registry],
})

const pool = new Gauge({
  name: 'mate_database_readers',
  help: 'Connections for reads: in use, and requests that wait for one.',
  labelNames: ['state'],
  registers: [registry],
})

const pending = new Gauge({
  name: 'mate_usage_pending',
  help: 'Last uses and counts of refusals that are collected and not written yet.',
  registers: [registry],
})

const oldest = new Gauge({
  name: 'mate_usage_pending_seconds',
  help: 'Age of the oldest of them: over 10 means that writing them fails.',
  registers: [registry],
})

const pendingCheckpoints = new Gauge({
  name: 'mate_audit_checkpoints_pending',
  help: 'Checkpoints of the audit log that are not written outside the database yet.',
  registers: [registry],
})

const checkpointFailures = new Counter({
  name: 'mate_audit_checkpoint_failures_total',
  help: 'Minutes in which checkpoints could not be written outside the database.',
  registers: [registry],
})

/** @param seconds from the credential to the answer. */
export function observeCall(operation: string, door: string, status: number, seconds: number): void {
  calls.observe({ operation, door, status }, seconds)
}

export function countTripwire(): void {
  tripwires.inc()
}

export function setPendingCheckpoints(count: number): void {
  pendingCheckpoints.set(count)
}

export function countCheckpointFailure(): void {
  checkpointFailures.inc()
}

/** Serves /metrics, and nothing else, at `port` of `host`. */
export function startMetrics(port: number, host: string, database: Database): Promise<Server> {
  const server = createServer(async (request, response) => {
    if (request.url !== '/metrics' || request.method !== 'GET') {
      response.writeHead(404, { 'Content-Type': 'text/plain' }).end('Only GET /metrics.\n')
      return
    }
    const { busy, waiting } = database.readers()
    pool.set({ state: 'busy' }, busy)
    pool.set({ state: 'waiting' }, waiting)
    const usage = usageState()
    pending.set(usage.pending)
    oldest.set(usage.oldestMs / 1_000)
    response.writeHead(200, { 'Content-Type': registry.contentType }).end(await registry.metrics())
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => resolve(server))
  })
}
