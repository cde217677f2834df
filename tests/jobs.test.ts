// The job queue: a job belongs to the change that asks for it, is done after it, and is not lost.
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Database } from '#db/client.ts'
import { outbox } from '#db/schema.ts'
import { enqueue, type JobData, startJobs } from '#server/jobs.ts'
import { actIn } from '#server/principal.ts'
import { waitUntil } from './child-server.ts'
import { createTestDatabase, seedTenant } from './harness.ts'

let database: Database
let tenantId: string
beforeAll(async () => {
  database = (await createTestDatabase()).database
  tenantId = (await seedTenant({ database })).id
})
afterAll(() => database.close())

type Deliver = JobData['webhook.deliver']
const job = (): Deliver => ({ tenantId, deliveryId: crypto.randomUUID(), attempt: 1 })

/** As the gate does: the restricted role, in the tenant, in the transaction of the change. */
const ask = (data: Deliver, isCommitted = true, startAfter?: Date) =>
  database
    .transaction(async (tx) => {
      await actIn(tx, 'transaction', tenantId)
      await enqueue(tx, 'webhook.deliver', data, { tenantId, groupId: data.deliveryId, startAfter })
      if (!isCommitted) throw new Error('rolled back')
    })
    .catch((error) => {
      if (isCommitted) throw error
    })

const start = (deliver: (data: Deliver) => Promise<void>) =>
  startJobs(database, { 'webhook.deliver': deliver, 'notices.sweep': async () => {}, 'run.execute': async () => {} }, 1)

describe('a job', () => {
  test('of a change that is rolled back is never there; of one that is committed it is, before any queue has started', async () => {
    const [gone, kept] = [job(), job()]
    await ask(gone, false)
    expect(await database.db.$count(outbox)).toBe(0)
    await ask(kept)
    const rows = await database.db.select({ data: outbox.data }).from(outbox)
    expect(rows).toEqual([{ data: kept }])
    const done: Deliver[] = []
    const { stop } = start(async (data) => void done.push(data))
    await waitUntil(async () => done.length > 0)
    await stop()
    expect(done).toEqual([kept])
    expect(await database.db.$count(outbox)).toBe(0)
  })

  test('is done once, by one of two nodes, and not before its time', async () => {
    const jobs = Array.from({ length: 20 }, job)
    const later = job()
    const done: string[] = []
    const note = async ({ deliveryId }: Deliver) => void done.push(deliveryId)
    const nodes = [start(note), start(note)]
    for (const data of jobs) await ask(data)
    await ask(later, true, new Date(Date.now() + 3_600_000))
    await waitUntil(async () => done.length >= jobs.length)
    await Promise.all(nodes.map(({ stop }) => stop()))
    expect(done.toSorted()).toEqual(jobs.map(({ deliveryId }) => deliveryId).toSorted())
  })

  test('in hand is waited for at a stop', async () => {
    const state = { isBegun: false, isDone: false }
    const { stop } = start(async () => {
      state.isBegun = true
      await new Promise((resolve) => setTimeout(resolve, 500))
      state.isDone = true
    })
    await ask(job())
    await waitUntil(async () => state.isBegun)
    expect(state.isDone).toBe(false)
    await stop()
    expect(state.isDone).toBe(true)
  })

  test('keeps what it is given as it is: quotes, Unicode, and what looks like SQL', async () => {
    const odd = { ...job(), deliveryId: `'"\\ $1 {ä🔑} '; drop table outbox; --` }
    const done: Deliver[] = []
    const { stop } = start(async (data) => void done.push(data))
    await ask(odd)
    await waitUntil(async () => done.length > 0)
    await stop()
    expect(done).toEqual([odd])
  })
})

test('the library is given lists of ids as lists, by which a heartbeat tells the jobs that it still holds', async () => {
  const ids = [crypto.randomUUID(), crypto.randomUUID()]
  const { rows } = await database.queue.executeSql('select array_agg(id) as ids from unnest($1::uuid[]) id', [ids])
  expect(rows).toEqual([{ ids }])
})

test('the queue’s own tables are in a schema of their own, which the restricted role can’t enter', async () => {
  const [row] = await database.db
    .select({ mayUse: sql<boolean>`has_schema_privilege('mate_app', 'mate_jobs', 'usage')` })
    .from(sql`(select) as once`)
  expect(row?.mayUse).toBe(false)
})
