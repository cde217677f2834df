// What Prometheus sees: on its own port, what was asked for and how it ended, and nothing secret.
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { generateApiKey } from '#server/api-key.ts'
import { seedKey, seedTenant, useServer } from './harness.ts'

const server = useServer({ MATE_METRICS_PORT: '0' })

const ask = (path: string) => {
  const { port } = (server.app.metrics as Server).address() as AddressInfo
  return fetch(`http://127.0.0.1:${port}${path}`)
}
const read = async () => (await ask('/metrics')).text()
const numberAt = (text: string, line: string) =>
  Number(
    text
      .split('\n')
      .find((each) => each.startsWith(`${line} `))
      ?.split(' ')
      .at(-1) ?? 0,
  )

test('calls are counted by operation, door and status with their duration; unknown keys too; no key and no name is shown', async () => {
  const tenant = await seedTenant(server)
  const { key, name } = await seedKey(server, tenant.id, 'Viewer')
  const before = await read()
  for (let i = 0; i < 3; i++) expect((await server.request('/api/agents', { key })).status).toBe(200)
  expect((await server.request('/trpc/agents.list?input=%7B%7D', { key })).status).toBe(200)
  expect((await server.request('/api/agents', { key, method: 'POST', json: {} })).status).toBe(403)
  expect((await server.request('/api/agents', { key: generateApiKey().key })).status).toBe(401)
  expect((await server.request('/api/agents', { key: 'x' })).status).toBe(401)
  const ended = await seedKey(server, tenant.id, 'Viewer', { revokedAt: new Date() })
  for (let i = 0; i < 3; i++) expect((await server.request('/api/me', { key: ended.key })).status).toBe(401)
  const after = await read()
  const grown = (line: string) => numberAt(after, line) - numberAt(before, line)
  const calls = (labels: string) => grown(`mate_call_duration_seconds_count{${labels}}`)
  expect(calls('operation="agents.list",door="rest",status="200"')).toBe(3)
  expect(calls('operation="agents.list",door="trpc",status="200"')).toBe(1)
  expect(calls('operation="agents.create",door="rest",status="403"')).toBe(1)
  expect(calls('operation="agents.list",door="rest",status="401"')).toBe(1)
  expect(grown('mate_unknown_keys_total')).toBe(2)
  expect(grown('mate_tripwires_total')).toBe(3)
  expect(after).toMatch(/^mate_call_duration_seconds_bucket\{le="0.1",operation="agents.list"/m)
  expect(after).toMatch(/^mate_database_readers\{state="waiting"\} 0$/m)
  expect(after).toMatch(/^mate_usage_pending_seconds /m)
  expect(after).toMatch(/^mate_nodejs_eventloop_lag_seconds /m)
  for (const secret of [key, key.slice(0, 12), name, tenant.id]) expect(after).not.toContain(secret)
})

test('the port of the API has no metrics, and the port of the metrics nothing else', async () => {
  expect((await server.request('/metrics')).status).toBe(404)
  for (const path of ['/', '/api/me', '/health/live']) expect((await ask(path)).status).toBe(404)
})
