// kill -9 in the middle of creates, revokes and deletes: what was answered is there, every row has its audit entry, and every
// entry its place in the chain.
import { and, eq, sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Database } from '#db/client.ts'
import { apiKeys, auditLog } from '#db/schema.ts'
import { readPublicKeys, verifyExport } from '#server/audit-verify.ts'
import { type ChildServer, makePlace, type Place, sleep, startChildServer } from './child-server.ts'
import { report } from './faults/scale.ts'
import { isPostgres, type SeededKey, seedKey, seedTenant } from './harness.ts'

const rounds = Number(process.env.MATE_CRASH_ROUNDS ?? (isPostgres ? 15 : 10))
const workers = 6
/** What is lost, or has no entry, stays so: not each round has to look, which costs as much as the round. */
const looksEvery = 5

/** What a worker asked for on one key, and what of it was answered. */
interface Story {
  id: string
  key: string
  revoke?: 'asked' | 'answered'
  delete?: 'asked' | 'answered'
}

let place: Place
let tenant: { id: string }
let admin: SeededKey
let opened: Database | undefined

beforeAll(async () => {
  place = await makePlace()
  await withDatabase(async (database) => {
    tenant = await seedTenant({ database })
    admin = await seedKey({ database }, tenant.id, 'TenantAdmin')
  })
})

afterAll(() => opened?.close())

/** PGlite serves one process: it is opened between two servers. */
async function withDatabase<T>(work: (database: Database) => Promise<T>): Promise<T> {
  if (isPostgres) {
    opened ??= await place.open()
    return work(opened)
  }
  const database = await place.open()
  try {
    return await work(database)
  } finally {
    await database.close()
  }
}

interface Load {
  stories: Story[]
  noteAnswer(): void
}

/** Creates keys, and revokes or deletes some, until the server is gone. */
async function work(server: ChildServer, label: string, { stories, noteAnswer }: Load): Promise<void> {
  const call = async (path: string, options: { method: string; json?: unknown }) => {
    const response = await server.request(`/api/admin/api-keys${path}`, { key: admin.key, ...options })
    noteAnswer()
    return response
  }
  for (let i = 0; ; i++) {
    const made = await call('', { method: 'POST', json: { name: `${label}-${i}`, role: 'Viewer' } })
    expect(made.status).toBe(201)
    const story: Story = await made.json().then(({ id, key }) => ({ id, key }))
    stories.push(story)
    if (i % 3 > 0) {
      story.revoke = 'asked'
      const { status } = await call(`/${story.id}/revoke`, { method: 'POST' })
      expect(status).toBe(200)
      story.revoke = 'answered'
    }
    if (i % 3 === 1) {
      story.delete = 'asked'
      const { status } = await call(`/${story.id}`, { method: 'DELETE' })
      expect(status).toBe(204)
      story.delete = 'answered'
    }
  }
}

/** Only the loss of the connection ends a worker; a failed expectation fails the test. */
async function untilKilled(working: Promise<void>): Promise<void> {
  await working.catch((error) => {
    if (!(error instanceof TypeError) && !(error instanceof DOMException)) throw error
  })
}

/** PostgreSQL may still finish what the killed process had sent. */
async function settle(database: Database): Promise<void> {
  if (!isPostgres) return
  for (let tries = 0; ; tries++) {
    const [row] = await database.db
      .select({ busy: sql<number>`count(*)::int` })
      .from(sql`pg_stat_activity`)
      .where(sql`datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'`)
    if (row?.busy === 0) return
    if (tries > 100) throw new Error('the backends of the killed server did not end')
    await sleep(50)
  }
}

async function read(database: Database) {
  const rows = await database.db
    .select({ id: apiKeys.id, revokedAt: apiKeys.revokedAt })
    .from(apiKeys)
    .where(and(eq(apiKeys.tenantId, tenant.id), eq(apiKeys.createdByKind, 'key')))
  const entries = await database.db
    .select({ action: auditLog.action, id: auditLog.entityId })
    .from(auditLog)
    .where(and(eq(auditLog.tenantId, tenant.id), eq(auditLog.entityType, 'api_key'), eq(auditLog.outcome, 'success')))
  const idsOf = (action: string) => entries.filter((entry) => entry.action === action).map((entry) => entry.id)
  return {
    rows: rows.map((row) => row.id),
    revokedRows: rows.filter((row) => row.revokedAt).map((row) => row.id),
    created: idsOf('api_key.created'),
    revoked: idsOf('api_key.revoked'),
    deleted: idsOf('api_key.deleted'),
  }
}

async function verify(stories: Story[]): Promise<void> {
  await withDatabase(async (database) => {
    await settle(database)
    const found = await read(database)
    for (const ids of Object.values(found)) expect(new Set(ids).size).toBe(ids.length)
    const rows = new Set(found.rows)
    const deleted = new Set(found.deleted)
    // Row ⇔ entry: what was made is there or was deleted, and nothing is there that was not made.
    expect(found.created.filter((id) => !deleted.has(id)).sort()).toEqual(found.rows.sort())
    expect(found.revoked.filter((id) => rows.has(id)).sort()).toEqual(found.revokedRows.sort())
    expect(found.deleted.every((id) => found.created.includes(id))).toBe(true)

    const created = new Set(found.created)
    const revoked = new Set(found.revoked)
    const faults = stories.flatMap((story) => {
      const fault = (text: string, isFault: boolean) => (isFault ? [`${story.id}: ${text}`] : [])
      return [
        ...fault('its creation was answered and is lost', !created.has(story.id)),
        ...fault('its revocation was answered and is lost', story.revoke === 'answered' && !revoked.has(story.id)),
        ...fault('it was revoked, and nobody asked', story.revoke === undefined && revoked.has(story.id)),
        ...fault('its deletion was answered and is lost', story.delete === 'answered' && rows.has(story.id)),
        ...fault('it is gone, and nobody asked', story.delete === undefined && !rows.has(story.id)),
      ]
    })
    expect(faults).toEqual([])
  })
}

/** The server that comes up after the crash lets in and refuses what it did before. */
async function verifyOverRest(server: ChildServer, stories: Story[]): Promise<void> {
  const isIn = stories.findLast((story) => story.revoke === undefined)
  const isOut = stories.findLast((story) => story.revoke === 'answered')
  if (isIn) expect((await server.request('/api/me', { key: isIn.key })).status).toBe(200)
  if (isOut) expect((await server.request('/api/me', { key: isOut.key })).status).toBe(401)
}

/** The chain of all rounds: what a crash breaks in it stays broken. */
async function verifyChain(): Promise<void> {
  const server = await startChildServer(place.settings)
  const trusted = readPublicKeys(await (await server.request('/.well-known/mate-audit-key')).text())
  const { status, body } = await server.request('/api/admin/audit-log/export', { key: admin.key })
  expect(status).toBe(200)
  const { isIntact, lines } = await verifyExport(body as ReadableStream<Uint8Array>, trusted)
  expect({ isIntact, lines }).toMatchObject({ isIntact: true })
  await server.kill('SIGTERM')
}

test(`kill -9 during creates, revokes and deletes, ${rounds} times: every answered write is there, row ⇔ audit entry ⇔ chain`, {
  timeout: 180_000 + rounds * 30_000,
}, async () => {
  const stories: Story[] = []
  for (let round = 0; round < rounds; round++) {
    const server = await startChildServer(place.settings)
    await verifyOverRest(server, stories)
    let answers = 0
    const load = { stories, noteAnswer: () => answers++ }
    const working = Array.from({ length: workers }, (_, worker) => untilKilled(work(server, `${round}-${worker}`, load)))
    // At any moment of the load, however fast the machine is: after so many answers, and a little.
    const enough = 6 + 40 * Math.random()
    while (answers < enough) await sleep(1)
    await sleep(5 * Math.random())
    expect(await server.kill('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' })
    await Promise.all(working)
    if ((round + 1) % looksEvery === 0 || round === rounds - 1) await verify(stories)
  }
  await verifyChain()
  report(
    `kill -9 of the server during a mixed load, ${rounds} times, on ${isPostgres ? 'PostgreSQL' : 'PGlite'}`,
    `${stories.length} creations answered, none lost; row ⇔ audit entry ⇔ chain`,
  )
  // The load was mixed, and some of it was cut off in the middle.
  expect(stories.filter((story) => story.delete === 'answered').length).toBeGreaterThan(rounds)
  expect(stories.filter((story) => story.revoke === 'answered' && !story.delete).length).toBeGreaterThan(rounds / 2)
})
