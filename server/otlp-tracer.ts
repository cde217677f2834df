// The OpenTelemetry SDK, loaded only when its variables name a receiver: spans of requests and calls, sent by OTLP over HTTP.
import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  type Context,
  DiagLogLevel,
  defaultTextMapGetter,
  diag,
  type Tracer as OtelTracer,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import { getNumberFromEnv, getStringFromEnv, W3CTraceContextPropagator } from '@opentelemetry/core'
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import {
  ATTR_ERROR_TYPE,
  ATTR_HTTP_REQUEST_METHOD,
  ATTR_HTTP_REQUEST_METHOD_ORIGINAL,
  ATTR_HTTP_RESPONSE_STATUS_CODE,
  ATTR_HTTP_ROUTE,
  ATTR_SERVICE_NAME,
  ATTR_URL_PATH,
  ATTR_URL_SCHEME,
} from '@opentelemetry/semantic-conventions'
import { log, withoutKeys } from './log.ts'
import type { Tracer, TraceSpan } from './tracing.ts'

const flushWithinMs = 3_000

/**
 * The provider stays ours and is not registered: better-auth would find it, and write the message of every failed query,
 * with its parameters, into spans of its own.
 * @returns undefined, and a warning in the log, when the variables ask for what there is none of.
 */
export async function createTracer(scheme: string): Promise<Tracer | undefined> {
  logDiagnostics()
  const exporter = await createExporter()
  if (!exporter) return undefined
  const provider = new TracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ [ATTR_SERVICE_NAME]: 'mate' }))
      .merge(detectResources({ detectors: [envDetector] })),
    sampler: createSampler(),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter,
        scheduledDelayMillis: getNumberFromEnv('OTEL_BSP_SCHEDULE_DELAY'),
        exportTimeoutMillis: getNumberFromEnv('OTEL_BSP_EXPORT_TIMEOUT'),
        maxQueueSize: getNumberFromEnv('OTEL_BSP_MAX_QUEUE_SIZE'),
        maxExportBatchSize: getNumberFromEnv('OTEL_BSP_MAX_EXPORT_BATCH_SIZE'),
      }),
    ],
  })
  const tracer = provider.getTracer('mate')
  return {
    startRequest: (request, response, requestId) => startRequest(tracer, scheme, request, response, requestId),
    stop: () => stop(provider),
  }
}

/** What the SDK has to say, such as that the receiver is away. */
function logDiagnostics(): void {
  const say = (level: 'warn' | 'error') => (message: string) => log(level, 'OpenTelemetry', { said: message })
  const ignore = () => {}
  diag.setLogger({ error: say('error'), warn: say('warn'), info: ignore, debug: ignore, verbose: ignore }, DiagLogLevel.WARN)
}

async function createExporter(): Promise<SpanExporter | undefined> {
  const kind = getStringFromEnv('OTEL_TRACES_EXPORTER') ?? 'otlp'
  if (kind === 'none') return undefined
  const protocol =
    getStringFromEnv('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL') ?? getStringFromEnv('OTEL_EXPORTER_OTLP_PROTOCOL') ?? 'http/protobuf'
  if (kind === 'otlp' && protocol === 'http/protobuf')
    return new (await import('@opentelemetry/exporter-trace-otlp-proto')).OTLPTraceExporter()
  if (kind === 'otlp' && protocol === 'http/json')
    return new (await import('@opentelemetry/exporter-trace-otlp-http')).OTLPTraceExporter()
  log('warn', 'no traces: OTEL_TRACES_EXPORTER may be otlp or none, the protocol http/protobuf or http/json', { kind, protocol })
  return undefined
}

/** OTEL_TRACES_SAMPLER, of which this SDK leaves the reading to us. */
function createSampler(): Sampler {
  const name = getStringFromEnv('OTEL_TRACES_SAMPLER') ?? 'parentbased_always_on'
  const root = createRootSampler(name.replace(/^parentbased_/, ''))
  if (root) return name.startsWith('parentbased_') ? new ParentBasedSampler({ root }) : root
  log('warn', 'OTEL_TRACES_SAMPLER is none that there is: every trace is sampled', { name })
  return new ParentBasedSampler({ root: new AlwaysOnSampler() })
}

function createRootSampler(name: string): Sampler | undefined {
  if (name === 'always_on') return new AlwaysOnSampler()
  if (name === 'always_off') return new AlwaysOffSampler()
  if (name === 'traceidratio') return new TraceIdRatioBasedSampler(getNumberFromEnv('OTEL_TRACES_SAMPLER_ARG') ?? 1)
}

const propagator = new W3CTraceContextPropagator()
const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT', 'QUERY'])

/** As the semantic conventions of HTTP servers have it: only 5xx is an error of ours. */
function startRequest(
  tracer: OtelTracer,
  scheme: string,
  request: IncomingMessage,
  response: ServerResponse,
  requestId: string,
): TraceSpan {
  const given = request.method ?? ''
  const isKnown = methods.has(given)
  const name = isKnown ? given : 'HTTP'
  const attributes = {
    [ATTR_HTTP_REQUEST_METHOD]: isKnown ? given : '_OTHER',
    ...(isKnown ? {} : { [ATTR_HTTP_REQUEST_METHOD_ORIGINAL]: given }),
    [ATTR_URL_PATH]: pathOf(request),
    [ATTR_URL_SCHEME]: scheme,
    'mate.request_id': requestId,
  }
  const caller = propagator.extract(ROOT_CONTEXT, request.headers, defaultTextMapGetter)
  const span = tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, caller)
  const traced = wrap(tracer, span, caller, name)
  response.once('close', () => {
    if (response.headersSent) span.setAttribute(ATTR_HTTP_RESPONSE_STATUS_CODE, response.statusCode)
    traced.end(response.statusCode >= 500 ? { type: String(response.statusCode), isOurs: true } : undefined)
  })
  return traced
}

/** Without the query; without a key that somebody put into the path, escaped or not. */
function pathOf(request: IncomingMessage): string {
  const path = request.url?.split('?', 1)[0] ?? ''
  const text = decode(path)
  const shown = withoutKeys(text)
  return shown === text ? path : shown
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

function wrap(tracer: OtelTracer, span: Span, parent: Context, name: string): TraceSpan {
  const here = trace.setSpan(parent, span)
  return {
    traceId: span.spanContext().traceId,
    set: (facts) => span.setAttributes(facts),
    setRoute: (route) => span.setAttribute(ATTR_HTTP_ROUTE, route).updateName(`${name} ${route}`),
    child: (childName, attributes) => wrap(tracer, tracer.startSpan(childName, { attributes }, here), here, childName),
    end: (failure) => {
      if (failure) span.setAttribute(ATTR_ERROR_TYPE, failure.type)
      if (failure?.isOurs) span.setStatus({ code: SpanStatusCode.ERROR })
      span.end()
    },
  }
}

async function stop(provider: TracerProvider): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('the receiver took no spans in time')), flushWithinMs)
  })
  try {
    await Promise.race([provider.shutdown(), tooLate])
  } catch (error) {
    log('warn', 'the last traces are lost', { error })
  } finally {
    clearTimeout(timer)
  }
}
