// kill -9 of the server while it delivers: every event arrives at least once, always under its own webhook-id.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ChildServer, makePlace, type Place, startChildServer, waitUntil } from './child-server.ts'
import { type SeededKey, seedKey, seedTenant } from './harness.ts'
import { useReceiver, withoutMocks } from './receiver.ts'

const rounds = Number(process.env.MATE_CRASH_ROUNDS ?? 2)

withoutMocks()
const receiver = useReceiver()
let place: Place
let tenantId: string
let admin: SeededKey
beforeAll(async () => {
  place = await makePlace()
  const database = await place.open()
  tenantId = (await seedTenant({ database })).id
  admin = await seedKey({ database }, tenantId, 'TenantAdmin')
  await database.close()
})
afterAll(() => receiver.close())

test(`kill -9 during deliveries, ${rounds} times: what was asked for arrives, and what arrives twice has the same id`, {
  timeout: 600_000,
}, async () => {
  const settings = { ...place.settings, MATE_ALLOW_PRIVATE_AGENTS: 'true' }
  const asked = new Set<string>()
  // Slow enough that some are in hand at the kill.
  receiver.answer = (response) => setTimeout(() => response.writeHead(204).end(), 150)
  for (let round = 0; round < rounds; round++) {
    const server = await startChildServer(settings)
    const call = async (path: string, json?: unknown) => {
      const response = await server.request(`/api/admin/webhooks${path}`, { method: 'POST', key: admin.key, json })
      return (await response.json()) as { id: string }
    }
    const before = receiver.received.length
    const made = await Promise.all([1, 2, 3].map(() => call('', { url: receiver.url, events: ['*'] })))
    for (const { id } of [...made, ...made]) asked.add((await call(`/${id}/test`)).id)
    await waitUntil(async () => receiver.received.length > before + Math.floor(3 * Math.random()))
    expect(await server.kill('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' })
  }
  const server = await startChildServer(settings)
  await waitUntil(async () => (await statuses(server)).every((status) => status === 'delivered'))
  expect(new Set(receiver.received.map(({ id }) => id))).toEqual(asked)
  expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null })
})

async function statuses({ request }: ChildServer): Promise<unknown[]> {
  const list = async (path: string) => {
    const response = await request(`/api/admin/webhooks${path}`, { key: admin.key })
    return ((await response.json()) as { items: { id: string; status?: string }[] }).items
  }
  const deliveries = await Promise.all((await list('?limit=200')).map(({ id }) => list(`/${id}/deliveries`)))
  return deliveries.flat().map(({ status }) => status)
}
