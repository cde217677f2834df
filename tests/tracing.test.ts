// What a receiver of OpenTelemetry gets when the environment names one: spans of requests and calls, and nothing secret.
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { makePlace, type Settings, startChildServer } from './child-server.ts'
import { anAgent } from './doors.ts'
import { seedKey, seedTenant } from './harness.ts'

interface Span {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  kind: number
  status: { code?: number }
  attributes: { key: string; value: { stringValue?: string; intValue?: number } }[]
}

interface Export {
  resourceSpans: { resource: Pick<Span, 'attributes'>; scopeSpans: { spans: Span[] }[] }[]
}

interface Received {
  path: string
  type: string
  body: Buffer
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** As an OpenTelemetry collector listens: OTLP over HTTP. */
async function startReceiver(): Promise<{ url: string; received: Received[] }> {
  const received: Received[] = []
  const server = createServer(async (request, response) => {
    const { url: path = '', headers } = request
    received.push({ path, type: headers['content-type'] ?? '', body: await bodyOf(request) })
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received }
}

const factsOf = ({ attributes }: Pick<Span, 'attributes'>) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue]))

const exportsIn = (received: Received[]) => received.flatMap(({ body }) => (JSON.parse(body.toString()) as Export).resourceSpans)

async function startTraced(settings: Settings) {
  const place = await makePlace()
  const database = await place.open()
  const tenant = await seedTenant({ database })
  const { key, id, name } = await seedKey({ database }, tenant.id, 'TenantAdmin')
  await database.close()
  return { tenant, key, id, name, server: await startChildServer({ ...place.settings, ...settings }) }
}

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

test('a request by REST and one by tRPC are each a server span with the call below it, in the trace of the caller, and no secret', async () => {
  const receiver = await startReceiver()
  const { server, tenant, key, name } = await startTraced({
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_SERVICE_NAME: 'front-door',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
  })
  const made = await server.request('/api/agents', { key, method: 'POST', json: anAgent() })
  expect(made.status).toBe(201)
  const { id } = await made.json()
  const rest = await server.request(`/api/agents/${id}?`, { key, headers: { traceparent } })
  const trpc = await server.request('/trpc/agents.list?input=%7B%7D', { key, headers: { traceparent } })
  expect([rest.status, trpc.status]).toEqual([200, 200])
  // Where keys do not belong: in the path, plain and escaped, and in the query.
  const escaped = key.replace('mate_', 'mate%5F')
  for (const path of [`/api/agents/${key}`, `/api/${escaped}`, `/${key}`, `/api/agents?search=${key}`])
    await (await server.request(path, { key })).arrayBuffer()
  expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null })

  expect(new Set(receiver.received.map(({ path }) => path))).toEqual(new Set(['/v1/traces']))
  const [resource] = exportsIn(receiver.received).map((each) => factsOf(each.resource))
  expect(resource).toMatchObject({ 'service.name': 'front-door', 'deployment.environment.name': 'test' })
  const spans = exportsIn(receiver.received).flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans))
  const traceOf = (response: Response) => {
    const requestId = response.headers.get('x-request-id')
    const request = spans.find((span) => factsOf(span)['mate.request_id'] === requestId)
    const calls = spans.filter((span) => span.parentSpanId === request?.spanId)
    return { request, calls, facts: request && factsOf(request) }
  }

  const byRest = traceOf(rest)
  expect(byRest.request).toMatchObject({ name: 'GET /api/agents/{id}', kind: 2, traceId: traceparent.slice(3, 35) })
  expect(byRest.request?.parentSpanId).toBe(traceparent.slice(36, 52))
  expect(byRest.facts).toMatchObject({
    'http.request.method': 'GET',
    'url.path': `/api/agents/${id}`,
    'url.scheme': 'http',
    'http.route': '/api/agents/{id}',
    'http.response.status_code': 200,
  })
  expect(byRest.calls.map((span) => [span.name, span.kind, span.traceId, factsOf(span)])).toEqual([
    [
      'agents.get',
      1,
      byRest.request?.traceId,
      {
        'mate.operation': 'agents.get',
        'mate.door': 'rest',
        'mate.principal.kind': 'key',
        'mate.principal.role': 'TenantAdmin',
        'mate.tenant.id': tenant.id,
      },
    ],
  ])
  const byTrpc = traceOf(trpc)
  expect(byTrpc.request).toMatchObject({ name: 'GET /trpc/{operations}', traceId: traceparent.slice(3, 35) })
  expect(byTrpc.calls.map((span) => [span.name, factsOf(span)['mate.door']])).toEqual([['agents.list', 'trpc']])
  const ofItsOwn = traceOf(made)
  expect(ofItsOwn.request?.parentSpanId).toBeFalsy()
  expect(ofItsOwn.request?.traceId).not.toBe(traceparent.slice(3, 35))
  expect(spans.filter((span) => factsOf(span)['url.path']?.toString().includes('mate_'))).toHaveLength(3)

  const everything = JSON.stringify(receiver.received.map(({ body }) => body.toString()))
  const hash = createHash('sha256').update(key).digest()
  for (const secret of [key, key.slice(5), key.slice(0, 16), hash.toString('hex'), hash.toString('base64'), name])
    expect(everything).not.toContain(secret)
})

test('a refusal is no error of ours; a request id in the log has its trace beside it; protobuf is the default', async () => {
  const receiver = await startReceiver()
  const { server, key } = await startTraced({
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${receiver.url}/here`,
    OTEL_BSP_SCHEDULE_DELAY: '100',
  })
  expect((await server.request('/api/agents', { key: 'wrong', headers: { traceparent } })).status).toBe(401)
  expect((await server.request('/api/agents', { key })).status).toBe(200)
  expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  expect(receiver.received.map(({ path, type }) => [path, type])[0]).toEqual(['/here', 'application/x-protobuf'])
  expect(receiver.received[0]?.body.includes('agents.list')).toBe(true)
  const [unknownKey] = server.output.stderr.split('\n').filter((line) => line.includes('unknown API key'))
  expect(JSON.parse(unknownKey ?? '')).toMatchObject({ traceId: traceparent.slice(3, 35) })
})

test.each<[string, (url: string) => Settings]>([
  ['no endpoint', () => ({})],
  ['OTEL_SDK_DISABLED', (url) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_SDK_DISABLED: 'true' })],
  ['OTEL_TRACES_EXPORTER=none', (url) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_TRACES_EXPORTER: 'none' })],
  ['OTEL_TRACES_SAMPLER=always_off', (url) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_TRACES_SAMPLER: 'always_off' })],
])('with %s nothing is sent', async (_, settingsFor) => {
  const receiver = await startReceiver()
  const { server, key } = await startTraced(settingsFor(receiver.url))
  expect((await server.request('/api/agents', { key, headers: { traceparent } })).status).toBe(200)
  expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  expect(receiver.received).toEqual([])
})

test('a receiver that is away costs no answer, and holds the stop for no more than a few seconds', async () => {
  const { server, key } = await startTraced({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' })
  expect((await server.request('/api/agents', { key })).status).toBe(200)
  const from = performance.now()
  expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  expect(performance.now() - from).toBeLessThan(8_000)
  expect(server.output.stderr).toContain('the last traces are lost')
})
