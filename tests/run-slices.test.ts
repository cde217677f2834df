// A slice of a run: every outcome stored once, whatever is stopped, taken over or broken meanwhile; and whose slice is next.
import { and, eq, sql } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { agents, auditLog, outbox, testSuites } from '#db/schema.ts'
import { readEnv } from '#server/env.ts'
import { AgentFault, AgentUnavailable, type sendToAgent } from '#server/execution/connector.ts'
import type { Judge, judgeConversation } from '#server/execution/judge.ts'
import { executeCase } from '#server/execution/run-case.ts'
import { executeSlice } from '#server/execution/run-slice.ts'
import type { JobData } from '#server/jobs.ts'
import { loadSecret } from '#server/secret.ts'
import { seal } from '#server/secret-box.ts'
import { auditOf, useServer } from './harness.ts'
import {
  type RunHouse,
  resultsOf,
  runOf,
  seedAgentAt,
  seedJudge,
  seedRunHouse,
  seedSuite,
  startRun,
  transcriptOf,
} from './run-seeds.ts'

// It executes no run by itself: the tests do.
const server = useServer()

type Job = JobData['run.execute']
const goes = { signal: new AbortController().signal, isStopping: () => false }
const said = 'You said it'
const send: typeof sendToAgent = async () => ({ text: said, raw: said, latencyMs: 10 })
const passes = { verdict: 'pass', scores: null, overallScore: 1, rationale: 'good' } as const
const judge: typeof judgeConversation = async () => passes

describe('a slice', () => {
  let house: RunHouse
  let secret: string
  beforeAll(async () => {
    house = await seedRunHouse(server)
    secret = await loadSecret(server.database, readEnv({}))
  })

  const slice = (job: Job, means: { send?: typeof send; judge?: typeof judge } = {}, control = goes) =>
    executeSlice(
      { database: server.database, secret, env: { MATE_ALLOW_PRIVATE_AGENTS: true }, means: { send, judge, ...means } },
      job,
      control,
    )
  async function prepare(cases: Parameters<typeof seedSuite>[2], fields: Parameters<typeof seedSuite>[3] = {}) {
    const suite = await seedSuite(server, house.id, cases, fields)
    const { id: agentId } = await seedAgentAt(server, house.id, 'http://127.0.0.1:1/')
    const runId = await startRun(server, house, suite.id, agentId)
    return { suite, agentId, job: { tenantId: house.id, runId } }
  }
  /** Whether the relay has been there or not. */
  const asked = async () => {
    const jobs = sql`(select data, group_id, start_after as at, start_after > created_on as is_later from mate_jobs.job
        where name = 'run.execute' and state < 'active'
      union all select data, group_id, start_after, start_after is not null from outbox) as jobs`
    const columns = { data: sql<Job>`data`, groupId: sql<string>`group_id`, at: sql<string>`at`, isLater: sql<boolean>`is_later` }
    return server.database.db.select(columns).from(jobs)
  }
  const askedFor = async (runId: string) => (await asked()).filter(({ data }) => data.runId === runId)
  /** What was asked for so far is of no interest. */
  const forget = async () => {
    await server.database.db.delete(outbox)
    await server.database.db.execute(sql`delete from mate_jobs.job where name = 'run.execute'`)
  }
  const verdictsOf = async ({ runId }: Job) => (await resultsOf(server, runId)).map(({ verdict }) => verdict)

  test('stores what an agent that is not there, or can’t be understood, leaves behind: skipped, error, and what was said', async () => {
    const { job } = await prepare([{ userInput: ['one', 'gone'] }, { userInput: ['broken'] }, { userInput: ['fine'] }])
    const moody: typeof send = async (target, turn, context) => {
      if (turn.message === 'gone') throw new AgentUnavailable('The agent answered 503.')
      if (turn.message === 'broken') throw new AgentFault('The answer is not JSON.')
      return send(target, turn, context)
    }
    await slice(job, { send: moody })
    const rows = await resultsOf(server, job.runId)
    expect(rows).toMatchObject([
      { verdict: 'skipped', rationale: 'The agent answered 503.', scores: null, latencyMs: 10 },
      { verdict: 'error', rationale: 'The answer is not JSON.', overallScore: null, latencyMs: null },
      { verdict: 'pass', rationale: 'good', overallScore: 1, latencyMs: 10 },
    ])
    expect((await transcriptOf(server, rows[0]?.id ?? '')).map(({ content }) => content)).toEqual(['one', said, 'gone'])
    expect(await runOf(server, job.runId)).toMatchObject({
      ...{ status: 'completed', passed: 1, failed: 0, skipped: 1, errors: 1 },
      ...{ averageLatencyMs: 10, medianLatencyMs: 10, p95LatencyMs: 10 },
    })
    // Skipped cases say nothing of the agent's answers: they are not in the rate.
    const run = await (await server.request(`/api/runs/${job.runId}`, { key: house.tester.key })).json()
    expect([run.passRate, run.isPassed]).toEqual([0.5, false])
  })

  test('takes the judge of the suite, else the agent’s, else the tenant’s default, as they are at that moment', async () => {
    const used: (Judge | undefined)[] = []
    const noting: typeof judge = async (given) => {
      used.push(given)
      return passes
    }
    const { suite, agentId, job } = await prepare(4, { delayBetweenTestsMs: 60_000 })
    const { db } = server.database
    const next = () => slice(job, { judge: noting })
    await next()
    const sealedFor = crypto.randomUUID()
    const ofDefault = await seedJudge(server, house.id, 'default')
    await next()
    const ofAgent = await seedJudge(server, house.id, 'agent', { isDefault: false })
    await db.update(agents).set({ judgeSettingId: ofAgent }).where(eq(agents.id, agentId))
    await next()
    const modelSecret = seal(secret, sealedFor, 'the model’s key')
    await seedJudge(server, house.id, 'suite', { id: sealedFor, isDefault: false, modelSecret })
    await db.update(testSuites).set({ judgeSettingId: sealedFor }).where(eq(testSuites.id, suite.id))
    await next()
    expect(used.map((each) => each?.criteria[0]?.pattern)).toEqual([undefined, 'default', 'agent', 'suite'])
    expect(used.map((each) => each?.secret)).toEqual([undefined, undefined, undefined, 'the model’s key'])
    await db.execute(sql`delete from judge_settings where id = ${ofDefault}`)
  })

  test('gives the agent its secret, and says so when that can’t be read any more', async () => {
    const { agentId, job } = await prepare(2, { delayBetweenTestsMs: 60_000 })
    const secrets: (string | undefined)[] = []
    const noting: typeof send = async (target, turn, context) => {
      secrets.push(target.secret)
      return send(target, turn, context)
    }
    const keep = (connectorSecret: Uint8Array) =>
      server.database.db.update(agents).set({ connectorSecret }).where(eq(agents.id, agentId))
    await keep(seal(secret, agentId, 'Bearer x'))
    await slice(job, { send: noting })
    await keep(seal('another secret of the server, 32 long', agentId, 'Bearer x'))
    await slice(job, { send: noting })
    expect(secrets).toEqual(['Bearer x'])
    const [, second] = await resultsOf(server, job.runId)
    expect(second).toMatchObject({
      verdict: 'error',
      rationale: expect.stringContaining('The secret of the agent can’t be read'),
    })
  })

  test('that is executed twice at once stores each result once, with one transcript and right counts', async () => {
    const { job } = await prepare(12)
    const slow: typeof send = async (target, turn, context) => {
      await new Promise((resolve) => setTimeout(resolve, 3 * Math.random()))
      return send(target, turn, context)
    }
    await Promise.all([1, 2, 3].map(() => slice(job, { send: slow })))
    expect(await runOf(server, job.runId)).toMatchObject({ status: 'completed', total: 12, passed: 12, failed: 0 })
    for (const { id } of await resultsOf(server, job.runId)) expect((await transcriptOf(server, id)).length).toBe(2)
    const ends = (await auditOf(server, house.id)).filter(
      ({ entityId, action }) => entityId === job.runId && action !== 'run.created',
    )
    expect(ends.map(({ action }) => action)).toEqual(['run.completed'])
  })

  test('goes on later when a pause is longer than the rest of it, when its time is over, or when the queue stops', async () => {
    const paused = await prepare(2, { delayBetweenTestsMs: 60_000 })
    await forget()
    await slice(paused.job)
    expect(await verdictsOf(paused.job)).toEqual(['pass', null])
    const [row] = await askedFor(paused.job.runId)
    expect(Date.parse(row?.at ?? '') - Date.now()).toBeGreaterThan(55_000)

    const stopped = await prepare(3)
    await forget()
    await slice(
      stopped.job,
      {},
      {
        ...goes,
        isStopping: (
          (count) => () =>
            count++ > 0
        )(0),
      },
    )
    expect(await verdictsOf(stopped.job)).toEqual(['pass', null, null])
    expect(await askedFor(stopped.job.runId)).toMatchObject([{ isLater: false, groupId: house.id }])
    await slice(stopped.job)
    expect(await runOf(server, stopped.job.runId)).toMatchObject({ status: 'completed', passed: 3 })
  })

  test('stores nothing once its job is another worker’s', async () => {
    const { job } = await prepare(2)
    const taken = new AbortController()
    await forget()
    const lost: typeof send = async (_target, _turn, { signal }) => {
      taken.abort()
      expect(signal?.aborted).toBe(true)
      throw new AgentUnavailable('The request was broken off.')
    }
    // Failed, and not done: should nobody else have it, the queue does it again.
    await expect(slice(job, { send: lost }, { ...goes, signal: taken.signal })).rejects.toThrow('aborted')
    expect(await verdictsOf(job)).toEqual([null, null])
    expect(await runOf(server, job.runId)).toMatchObject({ status: 'running', skipped: 0 })
    expect(await askedFor(job.runId)).toEqual([])
  })

  test('that fails is tried again later, and ends the run after five times in a row, without a word of what went wrong', async () => {
    const { job } = await prepare(3)
    const broken: typeof send = async (target, turn, context) => {
      if (turn.message !== 'say 0') throw new Error('internal: postgres://mate:hunter2@db')
      return send(target, turn, context)
    }
    // A case that was stored before it failed begins the count anew.
    let next: Job = { ...job, failures: 4 }
    for (let count = 1; count < 5; count++) {
      await forget()
      await slice(next, { send: broken })
      const [row] = await askedFor(job.runId)
      expect([count, row?.data]).toEqual([count, { ...job, failures: count }])
      expect(row?.isLater).toBe(true)
      expect((await runOf(server, job.runId)).status).toBe('running')
      next = row?.data ?? job
    }
    await forget()
    await slice(next, { send: broken })
    expect(await askedFor(job.runId)).toEqual([])
    const run = await runOf(server, job.runId)
    expect(run).toMatchObject({
      status: 'failed',
      passed: 1,
      errorMessage: expect.stringContaining('mate itself failed 5 times'),
    })
    const [entry] = await server.database.db
      .select()
      .from(auditLog)
      .where(and(eq(auditLog.entityId, job.runId), eq(auditLog.action, 'run.failed')))
    expect(entry).toMatchObject({
      actorKind: 'system',
      details: { reason: run.errorMessage, after: { status: 'failed', passed: 1 } },
    })
    expect(JSON.stringify([run, entry])).not.toContain('hunter2')
  })

  test('of a run whose agent was deleted ends it, and says so; of a run that is gone or has ended does nothing', async () => {
    const { agentId, job } = await prepare(2)
    await server.database.db.delete(agents).where(eq(agents.id, agentId))
    await slice(job)
    const message = 'The agent was deleted before the run had ended.'
    expect(await runOf(server, job.runId)).toMatchObject({ status: 'failed', errorMessage: message, agentId: null })
    const before = await runOf(server, job.runId)
    await slice(job)
    await slice({ ...job, runId: crypto.randomUUID() })
    expect(await runOf(server, job.runId)).toEqual(before)
  })

  test('keeps what PostgreSQL can’t: NUL and half of a surrogate pair in what an agent says', async () => {
    const { job } = await prepare(1)
    const odd: typeof send = async () => ({ text: 'a\0b\ud800c', raw: `\0${'x'.repeat(70_000)}`, latencyMs: 1 })
    await slice(job, { send: odd })
    const [row] = await resultsOf(server, job.runId)
    const [, answer] = await transcriptOf(server, row?.id ?? '')
    expect(answer).toMatchObject({ content: 'a\ufffdb\ufffdc', raw: `\ufffd${'x'.repeat(65_535)}` })
    expect(row?.verdict).toBe('pass')
  })

  test('ends a case that takes too long as an error', async () => {
    const hangs: typeof send = (_target, _turn, { signal }) =>
      new Promise((_, reject) => signal?.addEventListener('abort', () => reject(new Error('aborted'))))
    const testCase = { ...(await prepare(1)), ...(await resultsOf(server, (await prepare(1)).job.runId))[0]?.testCase }
    const planned = {
      resultId: '',
      testCase: { ...testCase } as never,
      target: { connector: {} as never, secret: undefined },
      judge: undefined,
    }
    const outcome = await executeCase(planned, { send: hangs, judge }, { allowPrivate: true }, goes.signal, 60)
    expect(outcome).toMatchObject({ verdict: 'error', rationale: 'The case took longer than 0.001 minutes.', latencyMs: null })
    expect(outcome.messages).toMatchObject([{ role: 'user', content: 'say 0' }])
  })

  test('is asked for the ten oldest runs of a tenant alone; the next one’s turn comes when one of these ends', async () => {
    const own = await seedRunHouse(server)
    const suite = await seedSuite(server, own.id, 1)
    const { id: agentId } = await seedAgentAt(server, own.id, 'http://127.0.0.1:1/')
    const inQueue = async () => (await asked()).map(({ data }) => data.runId)
    await forget()
    const ids: string[] = []
    for (let i = 0; i < 12; i++) ids.push(await startRun(server, own, suite.id, agentId))
    expect((await inQueue()).toSorted()).toEqual(ids.slice(0, 10).toSorted())
    await forget()
    const cancel = (id: string | undefined) => server.request(`/api/runs/${id}/cancel`, { method: 'POST', key: own.tester.key })
    // One that was not in the queue makes no room there.
    expect((await cancel(ids[11])).status).toBe(200)
    expect(await inQueue()).toEqual([])
    expect((await cancel(ids[3])).status).toBe(200)
    expect(await inQueue()).toEqual([ids[10]])
    await forget()
    await slice({ tenantId: own.id, runId: ids[0] ?? '' })
    expect(await inQueue()).toEqual([])
    const late = await startRun(server, own, suite.id, agentId)
    expect(await inQueue()).toEqual([late])
  })
})
