// Once whatever ends a trust rule has answered, no key of it is given out, and nothing that its keys asked for can commit.
import { and, eq, sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Database } from '#db/client.ts'
import { agents, apiKeys } from '#db/schema.ts'
import { type ChildServer, sleep, startChildServer, waitUntil } from './child-server.ts'
import { report } from './faults/scale.ts'
import {
  createTestDatabase,
  isPostgres,
  type SeededKey,
  seedKey,
  seedTenant,
  seedTrustRule,
  slowCommits,
  startTestServer,
  type TestServer,
} from './harness.ts'
import { audience, githubClaims, type Issuer, startIssuer } from './issuer.ts'
import { withoutMocks } from './receiver.ts'

withoutMocks()
const rounds = isPostgres ? Number(process.env.MATE_RACE_ROUNDS ?? 60) : 6
const workers = 6

type Node = Pick<TestServer, 'request'>
const nodes: Node[] = []
const stops: (() => Promise<unknown>)[] = []
let database: Database
let issuer: Issuer

beforeAll(async () => {
  issuer = await startIssuer()
  const made = await createTestDatabase()
  database = made.database
  await slowCommits(database, [agents, apiKeys], 0.05)
  const settings = { MATE_ALLOW_PRIVATE_AGENTS: 'true', MATE_TOKEN_EXCHANGES: '100000' }
  if (made.url) {
    const ofChild = { DATABASE_URL: made.url, MATE_DB_CONNECTIONS: '10', ...settings }
    const children: ChildServer[] = await Promise.all([1, 2].map(() => startChildServer(ofChild)))
    nodes.push(...children)
    stops.push(...children.map((child) => () => child.kill('SIGTERM')), () => database.close())
  } else {
    const server = await startTestServer(settings, database)
    nodes.push(server, server)
    stops.push(() => server.stop())
  }
})
afterAll(async () => {
  for (const stop of stops) await stop()
  await issuer.close()
})

const nodeOf = (i: number) => nodes[i % nodes.length] as Node

/** Gets keys and writes with each until it is refused a key. @returns how many keys, and how many writes, were answered. */
async function work(worker: number, ruleId: string): Promise<{ keys: number; writes: number }> {
  for (const done = { keys: 0, writes: 0 }; ; ) {
    const token = await issuer.sign(githubClaims({ run_id: `${worker}-${done.keys}` }))
    const response = await nodeOf(worker).request('/api/token', { method: 'POST', json: { token, ruleId } })
    const { key } = (await response.json()) as { key: string }
    if (response.status !== 201) return done
    done.keys++
    for (let i = 0; i < 3; i++) {
      const json = {
        name: crypto.randomUUID(),
        environment: 'test',
        connector: { type: 'http', url: 'https://agent.example.com/' },
      }
      const written = await nodeOf(worker + i).request('/api/agents', { method: 'POST', key, json })
      await written.arrayBuffer()
      if (written.status !== 201) break
      done.writes++
    }
  }
}

const endings: [string, number, (node: Node, admin: SeededKey, path: string) => Promise<Response>][] = [
  ['delete', 204, (node, { key }, path) => node.request(path, { method: 'DELETE', key })],
  [
    'deactivate',
    200,
    async (node, { key }, path) => {
      const {
        id: _,
        createdBy: _by,
        ownerId: _o,
        createdAt: _c,
        updatedAt: _u,
        lastUsedAt: _l,
        ...rule
      } = (await (await node.request(path, { key })).json()) as Record<string, unknown>
      return node.request(path, { method: 'PUT', key, json: { ...rule, isActive: false } })
    },
  ],
]

test.each(endings)(
  `%s: ${workers} workers, ${rounds} rounds, not one late key or write`,
  { timeout: 1_800_000 },
  async (name, status, end) => {
    const late: number[] = []
    const total = { keys: 0, writes: 0 }
    for (let round = 0; round < rounds; round++) {
      const tenant = await seedTenant({ database })
      const admin = await seedKey({ database }, tenant.id, 'TenantAdmin')
      const fields = { issuer: issuer.url, audience, role: 'TenantAdmin' } as const
      const rule = await seedTrustRule({ database }, tenant.id, fields)
      const isOfRule = and(eq(apiKeys.tenantId, tenant.id), eq(apiKeys.createdByKind, 'trust_rule'))
      const count = async () => [
        await database.db.$count(agents, eq(agents.tenantId, tenant.id)),
        await database.db.$count(apiKeys, isOfRule),
        await database.db.$count(apiKeys, and(isOfRule, sql`revoked_at is null`)),
      ]
      const working = Promise.all(Array.from({ length: workers }, (_, worker) => work(worker, rule.id)))
      // Under way on a slow machine too: some keys were given out, and wrote.
      await waitUntil(async () => ((await count())[0] ?? 0) > 3)
      await sleep(100 * Math.random())
      const response = await end(nodeOf(round), admin, `/api/admin/trust-rules/${rule.id}`)
      const atAnswer = await count()
      expect(response.status).toBe(status)
      const done = await working
      const atEnd = await count()
      expect(atEnd).toEqual(atAnswer)
      // Each key is ended, and what was answered is what there is.
      expect(atEnd[2]).toBe(0)
      const [keys, writes] = [done.reduce((sum, each) => sum + each.keys, 0), done.reduce((sum, each) => sum + each.writes, 0)]
      expect(atEnd.slice(0, 2)).toEqual([writes, keys])
      late.push((atEnd[0] ?? 0) - (atAnswer[0] ?? 0))
      total.keys += keys
      total.writes += writes
    }
    report(
      `Trust rule race: ${name}, ${workers} workers, ${rounds} rounds`,
      `${total.keys} keys and ${total.writes} writes before the answer, none after`,
    )
    expect(total.keys).toBeGreaterThan(rounds)
    expect(total.writes).toBeGreaterThan(rounds)
  },
)
