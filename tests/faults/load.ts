// A load on one node or several that remembers what was asked, what was answered, when, and how long it took.
import { and, eq, isNull, sql } from 'drizzle-orm'
import { expect } from 'vitest'
import { type Database, openDatabase } from '#db/client.ts'
import { agents, auditLog } from '#db/schema.ts'
import { sleep } from '../child-server.ts'
import { type SeededKey, seedKey, seedTenant, type TestServer } from '../harness.ts'

export interface Seeded {
  tenantId: string
  admin: SeededKey
  viewer: SeededKey
  revoked: SeededKey
}

/** A tenant with a key that writes, one that reads, and one that must never be let in. */
export async function seedForLoad(database: Database): Promise<Seeded> {
  const tenant = await seedTenant({ database })
  const make = (role: 'TenantAdmin' | 'Viewer', fields = {}) => seedKey({ database }, tenant.id, role, fields)
  const revoked = await make('TenantAdmin', { revokedAt: new Date() })
  return { tenantId: tenant.id, admin: await make('TenantAdmin'), viewer: await make('Viewer'), revoked }
}

export interface Answered {
  kind: 'read' | 'write' | 'revoked'
  /** 0: no answer came. */
  status: number
  /** When it was asked, on the clock of performance.now(). */
  from: number
  ms: number
}

export interface Load {
  answers: Answered[]
  /** Names of the agents whose creation was answered with success. */
  acknowledged: string[]
  stop(): Promise<void>
}

/** `pick` chooses the node of each request. */
export function startLoad(pick: () => Pick<TestServer, 'request'>, seeded: Seeded, workers = 8): Load {
  const answers: Answered[] = []
  const acknowledged: string[] = []
  let isOver = false

  const ask = async (kind: Answered['kind'], path: string, options: Parameters<TestServer['request']>[1]) => {
    const from = performance.now()
    const status = await pick()
      .request(path, options)
      .then(
        async (response) => {
          await response.arrayBuffer()
          return response.status
        },
        () => 0,
      )
    answers.push({ kind, status, from, ms: performance.now() - from })
    return status
  }

  const work = async (worker: number) => {
    for (let i = 0; !isOver; i++) {
      if (i % 4 === 0) await ask('revoked', '/api/agents', { key: seeded.revoked.key })
      else if (i % 4 === 1) await ask('read', '/api/agents?limit=5', { key: seeded.viewer.key })
      else {
        const name = `load ${worker} ${i} ${Math.random()}`
        const connector = { type: 'http', url: 'https://agent.example.com/' }
        const json = { name, environment: 'test', connector }
        const status = await ask('write', '/api/agents', { method: 'POST', key: seeded.admin.key, json })
        if (status === 201) acknowledged.push(name)
      }
      if (answers.at(-1)?.status !== 201) await sleep(5)
    }
  }

  const working = Promise.all(Array.from({ length: workers }, (_, worker) => work(worker)))
  return {
    answers,
    acknowledged,
    stop: async () => {
      isOver = true
      await working
    },
  }
}

/** Every acknowledged write is there, every row has its audit entry, every entry its row, and nobody revoked was let in. */
export async function verifyLoad(url: string, { tenantId }: Seeded, { answers, acknowledged }: Load): Promise<{ rows: number }> {
  expect(answers.filter(({ kind, status }) => kind === 'revoked' && status > 0 && status < 400)).toEqual([])
  const database = await openDatabase({ url, maxConnections: 2 })
  try {
    const isCreation = and(eq(auditLog.action, 'agent.created'), sql`${auditLog.entityId} = ${agents.id}::text`)
    const rows = await database.db
      .select({ name: agents.name, entry: auditLog.id })
      .from(agents)
      .leftJoin(auditLog, isCreation)
      .where(eq(agents.tenantId, tenantId))
    expect(rows.filter(({ entry }) => entry === null)).toEqual([])
    const orphans = await database.db
      .select({ entity: auditLog.entityName })
      .from(auditLog)
      .leftJoin(agents, sql`${auditLog.entityId} = ${agents.id}::text`)
      .where(and(eq(auditLog.tenantId, tenantId), eq(auditLog.action, 'agent.created'), isNull(agents.id)))
    expect(orphans).toEqual([])
    const names = new Set(rows.map(({ name }) => name))
    expect(names.size).toBe(rows.length)
    expect(acknowledged.filter((name) => !names.has(name))).toEqual([])
    return { rows: rows.length }
  } finally {
    await database.close()
  }
}
