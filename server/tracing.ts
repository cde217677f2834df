// Traces for OpenTelemetry: without an OTLP endpoint nothing of it is loaded, and each of these is one comparison.
import { AsyncLocalStorage } from 'node:async_hooks'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Call } from './call.ts'
import type { Env } from './env.ts'
import type { Principal } from './principal.ts'

/** One span, as the request's path through the server writes to it. */
export interface TraceSpan {
  traceId: string
  set(facts: Record<string, string>): unknown
  /** Of a request: which of its many paths it took, for the span's name. */
  setRoute(route: string): unknown
  /** A span below this one. */
  child(name: string, facts: Record<string, string>): TraceSpan
  /** @param failure what kind of error it ended in; `isOurs` is what the conventions call an error: 5xx. */
  end(failure?: { type: string; isOurs: boolean }): void
}

export interface Tracer {
  startRequest(request: IncomingMessage, response: ServerResponse, requestId: string): TraceSpan
  /** Sends what was collected, for at most three seconds. */
  stop(): Promise<void>
}

let tracer: Tracer | undefined
const current = new AsyncLocalStorage<TraceSpan>()

/**
 * Starts the tracer when the environment asks for one. OpenTelemetry's variables are not mate's settings: the SDK defines
 * and reads them, and they are looked at here only to know whether to load it.
 * @returns what stops it.
 */
export async function startTracing({ PUBLIC_URL }: Env): Promise<() => Promise<void>> {
  const { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_SDK_DISABLED } = process.env
  const isWanted =
    (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT || OTEL_EXPORTER_OTLP_ENDPOINT) && OTEL_SDK_DISABLED?.toLowerCase() !== 'true'
  if (!isWanted) return async () => {}
  const { createTracer } = await import('./otlp-tracer.ts')
  const started = await createTracer(PUBLIC_URL?.startsWith('https:') ? 'https' : 'http')
  tracer = started
  return async () => {
    tracer = undefined
    await started?.stop()
  }
}

/** Runs `work` in a span of this request, which ends when its answer is out. */
export function traceRequest<T>(request: IncomingMessage, response: ServerResponse, requestId: string, work: () => T): T {
  return tracer ? current.run(tracer.startRequest(request, response, requestId), work) : work()
}

/** `route` is a path of the API with the names of its parameters, never with their values. */
export function traceRoute(route: string): void {
  if (tracer) current.getStore()?.setRoute(route)
}

/** Starts the span of one call of a procedure, below its request's. */
export function startCallSpan(operation: string, { door }: Call): TraceSpan | undefined {
  return tracer && current.getStore()?.child(operation, { 'mate.operation': operation, 'mate.door': door })
}

/** Who calls, and in which tenant; never a key, nor anything made of one. */
export function callerFacts({ kind, role }: Principal, tenantId: string): Record<string, string> {
  return { 'mate.principal.kind': kind, 'mate.principal.role': role, 'mate.tenant.id': tenantId }
}

export function currentTraceId(): string | undefined {
  return tracer && current.getStore()?.traceId
}
