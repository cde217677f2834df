// Once a deactivation has answered, nothing that anybody asked for in the tenant can commit, on any node.
import { and, eq, sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Database } from '#db/client.ts'
import { agents, auditLog, tenants, testSuites } from '#db/schema.ts'
import { sleep, startChildServer } from './child-server.ts'
import { report } from './faults/scale.ts'
import {
  createTestDatabase,
  isPostgres,
  postForm,
  seedKey,
  seedTenant,
  seedUser,
  slowCommits,
  startTestServer,
  type TestServer,
} from './harness.ts'

const rounds = isPostgres ? Number(process.env.MATE_RACE_ROUNDS ?? 60) : 4

type Node = Pick<TestServer, 'url' | 'request'>
const nodes: Node[] = []
const stops: (() => Promise<unknown>)[] = []
let database: Database
let server: TestServer

beforeAll(async () => {
  const made = await createTestDatabase()
  database = made.database
  server = await startTestServer({}, database)
  await slowCommits(database, [agents, testSuites])
  if (made.url) {
    const settings = { DATABASE_URL: made.url, MATE_DB_CONNECTIONS: '10' }
    const children = await Promise.all([startChildServer(settings), startChildServer(settings)])
    nodes.push(...children)
    stops.push(...children.map((child) => () => child.kill('SIGTERM')))
  } else nodes.push(server, server)
  stops.push(() => server.stop())
})

afterAll(async () => {
  for (const stop of stops) await stop()
})

const nodeOf = (i: number) => nodes[i % nodes.length] as Node
const countAgents = (id: string) => database.db.$count(agents, eq(agents.tenantId, id))
const countSuites = (id: string) => database.db.$count(testSuites, eq(testSuites.tenantId, id))
const countRows = async (id: string) => (await countAgents(id)) + (await countSuites(id))
const countEntries = (id: string, action: string) =>
  database.db.$count(auditLog, and(eq(auditLog.tenantId, id), eq(auditLog.action, action)))

const connector = { type: 'http', url: 'https://agent.example.com/' }

/** Writes with a key until it is refused with `end`; how often it was answered with success. */
async function writeByKey(worker: number, key: string, end: number, headers: Record<string, string> = {}): Promise<number> {
  for (let done = 0; ; done++) {
    const json = { name: `by key ${worker} ${done}`, environment: 'test', connector }
    const response = await nodeOf(worker).request('/api/agents', { method: 'POST', key, json, headers })
    await response.arrayBuffer()
    if (response.status === end) return done
    expect(response.status).toBe(201)
  }
}

/** Sends a page's form until it leads to the sign-in. */
async function writeByForm(worker: number, cookie: string): Promise<number> {
  for (let done = 0; ; done++) {
    const fields = { name: `by form ${worker} ${done}`, passThreshold: '80', delayBetweenTestsMs: '0' }
    const response = await postForm(nodeOf(worker) as TestServer, '/test-suites/new', cookie, fields)
    await response.arrayBuffer()
    expect(response.status).toBe(302)
    if (response.headers.get('location')?.startsWith('/sign-in')) return done
  }
}

async function raceOnce(round: number): Promise<{ late: number; total: number }> {
  const home = await seedTenant({ database })
  const root = await seedKey({ database }, home.id, 'SuperAdmin')
  const tenant = await seedTenant({ database })
  const keys = await Promise.all([0, 1, 2].map(() => seedKey({ database }, tenant.id, 'TenantAdmin')))
  const people = await Promise.all([0, 1, 2].map(() => seedUser(server, tenant.id, 'TenantAdmin')))
  const working = Promise.all([
    ...keys.map(({ key }, i) => writeByKey(i, key, 401)),
    ...people.map(({ cookie }, i) => writeByForm(3 + i, cookie)),
    ...[6, 7].map((i) => writeByKey(i, root.key, 403, { 'x-tenant-id': tenant.id })),
  ])
  await sleep(40 + 40 * Math.random())
  const path = `/api/admin/tenants/${tenant.id}/deactivate`
  const response = await nodeOf(round).request(path, { method: 'POST', key: root.key, json: { reason: 'race' } })
  const atAnswer = await countRows(tenant.id)
  expect(response.status).toBe(200)
  const answered = (await working).reduce((sum, count) => sum + count, 0)
  const atEnd = await countRows(tenant.id)
  expect(answered).toBe(atEnd)
  expect(await countEntries(tenant.id, 'agent.created')).toBe(await countAgents(tenant.id))
  expect(await countEntries(tenant.id, 'test_suite.created')).toBe(await countSuites(tenant.id))
  expect(await countEntries(tenant.id, 'tenant.deactivated')).toBe(1)
  // And back: the same keys and sessions work.
  await nodeOf(round).request(`/api/admin/tenants/${tenant.id}/reactivate`, { method: 'POST', key: root.key, json: {} })
  expect((await nodeOf(round).request('/api/me', { key: keys[0]?.key ?? '' })).status).toBe(200)
  expect((await nodeOf(round).request('/', { headers: { cookie: people[0]?.cookie ?? '' } })).status).toBe(200)
  return { late: atEnd - atAnswer, total: atEnd }
}

test(`8 writers by key, by form and from another tenant, ${rounds} rounds: not one late commit`, {
  timeout: 600_000,
}, async () => {
  const late: number[] = []
  let total = 0
  for (let round = 0; round < rounds; round++) {
    const raced = await raceOnce(round)
    late.push(raced.late)
    total += raced.total
  }
  expect(late).toEqual(Array(rounds).fill(0))
  expect(total).toBeGreaterThan(rounds)
  report(`Deactivation race: 8 writers, ${rounds} rounds`, `${total} writes committed before the answer, none after`)
})

test('two SuperAdmins who deactivate each other’s tenant at once: one does, and never both', async () => {
  for (let round = 0; round < (isPostgres ? 20 : 3); round++) {
    // Of the other rounds, so that these two are all the SuperAdmins that there are.
    await database.db.execute(sql`update users set role = 'Viewer' where role = 'SuperAdmin'`)
    const homes = [await seedTenant({ database }), await seedTenant({ database })] as const
    for (const { id } of homes) await seedUser(server, id, 'SuperAdmin')
    const keys = await Promise.all(homes.map(({ id }) => seedKey({ database }, id, 'SuperAdmin')))
    const statuses = await Promise.all(
      keys.map(async ({ key }, i) => {
        const path = `/api/admin/tenants/${homes[1 - i]?.id}/deactivate`
        return (await nodeOf(i).request(path, { method: 'POST', key, json: {} })).status
      }),
    )
    expect(statuses.toSorted()).toEqual([200, 401])
    const active = await database.db
      .select({ isActive: tenants.isActive })
      .from(tenants)
      .where(sql`${tenants.id} in (${homes[0].id}, ${homes[1].id})`)
    expect(active.filter(({ isActive }) => isActive).length).toBe(1)
  }
})
