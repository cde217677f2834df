// The audit log: every change has exactly one entry that says all of it, or did not happen.
import { eq, sql } from 'drizzle-orm'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { auditLog } from '#db/schema.ts'
import {
  aCase,
  aJudgeSetting,
  anAgent,
  aSuite,
  aTrustRule,
  aWebhook,
  callRest,
  callTrpc,
  countRows,
  entityTypeOf,
  type Input,
  inTenant,
  mutations,
  openPageDoor,
  operations,
  rowsOf,
  thaw,
  unique,
  validInput,
} from './doors.ts'
import {
  auditOf,
  countAudit,
  type SeededKey,
  type SeededUser,
  seedAgent,
  seedKey,
  seedTenant,
  seedUser,
  useServer,
} from './harness.ts'

const server = useServer()
const house = { id: '', admin: {} as SeededKey, user: {} as SeededUser }
const page: { call?: Awaited<ReturnType<typeof openPageDoor>> } = {}
beforeAll(async () => {
  house.id = (await seedTenant(server)).id
  house.admin = await seedKey(server, house.id, 'TenantAdmin')
  house.user = await seedUser(server, house.id, 'TenantAdmin')
  page.call = await openPageDoor(server)
})

afterEach(() => thaw(server))

const operation = (name: string) => {
  const found = operations.find((each) => each.name === name)
  if (!found) throw new Error(`there is no ${name}`)
  return found
}
const newest = async () => (await auditOf(server, house.id)).at(-1)

describe('an entry', () => {
  test.each(
    mutations.flatMap((each) => [[each.name, 'REST', callRest, each] as const, [each.name, 'tRPC', callTrpc, each] as const]),
  )('of %s by %s says who, what, on what, from where, with what, and the request’s id', async (_, door, call, each) => {
    const input = await validInput(server, each, house.id)
    const audit = await countAudit(server, house.id)
    const before = Date.now()
    const userAgent = `a client, by ${door}`
    const answer = await call(server, each, input, { key: house.admin.key, headers: { 'user-agent': userAgent } })
    expect(answer.problem).toEqual({})
    const entries = await auditOf(server, house.id, audit)
    const [bulkId] = (input.ids ?? []) as string[]
    const entityType = entityTypeOf(each)
    const tenantId = entityType === 'tenant' ? house.id : undefined
    expect(entries).toEqual([
      {
        id: expect.any(Number),
        tenantId: house.id,
        at: expect.any(Date),
        actorKind: 'key',
        actorId: house.admin.id,
        actorName: house.admin.name,
        actorRole: 'TenantAdmin',
        action: each.meta.audit,
        entityType,
        entityId: input.id ?? bulkId ?? tenantId ?? answer.output.id ?? input.agentId,
        entityName: expect.stringMatching(
          /^(Agent|Suite|Case|Judge|Key|Rule|Viewer|Tester|Renamed|Tenant) |^https:|^api_key|@example\.com$/,
        ),
        outcome: 'success',
        ip: '127.0.0.1',
        userAgent,
        requestId: answer.headers.get('x-request-id'),
        details: expect.any(Object),
        foldKey: null,
      },
    ])
    expect(entries[0]?.at.getTime()).toBeGreaterThanOrEqual(before - 1000)
    expect(entries[0]?.at.getTime()).toBeLessThanOrEqual(Date.now() + 1000)
  })

  test.each(mutations.map((each) => [each.name, each] as const))('of %s by the page names the person', async (_, each) => {
    const input = await validInput(server, each, house.id)
    const audit = await countAudit(server, house.id)
    expect((await page.call?.(each, input, house.user.cookie))?.problem).toEqual({})
    expect(await auditOf(server, house.id, audit)).toMatchObject([
      {
        ...{
          actorKind: 'user',
          actorId: house.user.id,
          actorName: house.user.name,
          actorRole: 'TenantAdmin',
          action: each.meta.audit,
        },
        ...{ outcome: 'success', ip: '127.0.0.1', userAgent: 'a browser' },
      },
    ])
  })

  test('of an update holds the fields that changed, before and after, and no other', async () => {
    const { admin } = house
    const connector = { type: 'http', url: 'https://agent.example.com/' }
    const fields = { ...anAgent(), description: 'old', tags: ['a'], environment: 'dev', connector }
    const made = await callRest(server, operation('agents.create'), fields, admin)
    const { id } = made.output
    expect(made.output.connector).toMatchObject({ ...connector, secretHeader: 'Authorization', hasSecret: false })
    expect((await newest())?.details).toEqual({
      after: { ...fields, isActive: true, judgeSettingId: null, connector: made.output.connector },
    })
    await callRest(server, operation('agents.update'), { ...fields, id, description: 'new', tags: ['a', 'b'] }, admin)
    expect((await newest())?.details).toEqual({
      before: { description: 'old', tags: ['a'] },
      after: { description: 'new', tags: ['a', 'b'] },
    })
    await callRest(server, operation('agents.delete'), { id }, admin)
    expect((await newest())?.details).toEqual({ before: expect.objectContaining({ description: 'new', environment: 'dev' }) })

    const key = await callRest(server, operation('apiKeys.create'), { name: unique('Key'), role: 'Tester' }, admin)
    const { name, prefix } = key.output
    expect((await newest())?.details).toEqual({ after: { name, prefix, role: 'Tester', expiresAt: null } })
    const renamed = unique('Renamed')
    await callRest(server, operation('apiKeys.update'), { id: key.output.id, name: renamed }, admin)
    expect(await newest()).toMatchObject({ entityName: renamed, details: { before: { name }, after: { name: renamed } } })
    await callRest(server, operation('apiKeys.revoke'), { id: key.output.id, reason: 'leaked' }, admin)
    expect((await newest())?.details).toEqual({ before: { status: 'active' }, after: { status: 'revoked' }, reason: 'leaked' })
    await callRest(server, operation('apiKeys.delete'), { id: key.output.id }, admin)
    expect((await newest())?.details).toEqual({
      before: { name: renamed, prefix, role: 'Tester', status: 'revoked', expiresAt: null },
    })
  })

  test('is not written for a change that was refused: bad input, a conflict, a row that is not there', async () => {
    const { admin } = house
    const taken = await seedAgent(server, house.id)
    const before = [await rowsOf(server, house.id), await countAudit(server, house.id)]
    for (const each of mutations.filter(({ name }) => !name.startsWith('auditLog.'))) {
      const ids = [...each.meta.openapi.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => [name, crypto.randomUUID()])
      const input: Input = Object.fromEntries(ids)
      const fields: Record<string, Input> = {
        'agents.update': anAgent(),
        'agents.replaceConnector': { connector: anAgent().connector },
        'testSuites.update': aSuite(),
        'testCases.create': aCase(),
        'testCases.update': aCase(),
        'judgeSettings.update': aJudgeSetting(),
        'apiKeys.update': { name: 'x' },
        'apiKeys.freeze': { reason: 1 },
        'apiKeys.startShadow': { role: 'Viewer' },
        'results.setHumanVerdict': { verdict: 'pass' },
        'webhooks.update': aWebhook(),
        'trustRules.update': aTrustRule(),
        'users.update': { name: 'x' },
      }
      const status = ids.length > 0 ? 404 : 400
      expect([each.name, (await callRest(server, each, { ...input, ...fields[each.name] }, admin)).status]).toEqual([
        each.name,
        status,
      ])
    }
    const conflict = await callRest(server, operation('agents.create'), { ...anAgent(), name: taken.name }, admin)
    expect(conflict.status).toBe(409)
    expect([await rowsOf(server, house.id), await countAudit(server, house.id)]).toEqual(before)
  })

  test('cannot be attributed to somebody else by anything in the request', async () => {
    const headers = {
      'x-forwarded-for': '203.0.113.9',
      'x-real-ip': '203.0.113.9',
      'x-request-id': 'mine',
      'x-user': 'root',
      'user-agent': 'x'.repeat(2000),
    }
    const input = await validInput(server, operation('agents.create'), house.id)
    const answer = await callRest(server, operation('agents.create'), input, { key: house.admin.key, headers })
    expect(answer.status).toBe(201)
    expect(answer.headers.get('x-request-id')).not.toBe('mine')
    expect(await newest()).toMatchObject({
      ip: '127.0.0.1',
      actorId: house.admin.id,
      requestId: answer.headers.get('x-request-id'),
    })
    expect((await newest())?.userAgent).toHaveLength(300)
  })

  test('keeps the names of the time: a key that is renamed or deleted later changes no entry', async () => {
    const actor = await seedKey(server, house.id, 'TenantAdmin')
    const made = await callRest(server, operation('agents.create'), anAgent(), actor)
    const entry = await newest()
    await callRest(server, operation('apiKeys.update'), { id: actor.id, name: unique('Renamed') }, house.admin)
    await callRest(server, operation('apiKeys.delete'), { id: actor.id }, house.admin)
    await callRest(server, operation('agents.delete'), { id: made.output.id }, house.admin)
    const [again] = await server.database.db
      .select()
      .from(auditLog)
      .where(eq(auditLog.id, entry?.id ?? 0))
    expect(again).toEqual(entry)
    expect(again?.actorName).toBe(actor.name)
  })
})

describe('the log, read', () => {
  const shelf = { id: '', admin: {} as SeededKey, ann: {} as SeededKey, agentName: '' }
  interface Item extends Input {
    id: number
    at: string
    actor: Input
    action: string
    entity: Input
    hash: string
  }
  const read = async (query: Record<string, string>, key = shelf.admin.key) => {
    const response = await server.request(`/api/admin/audit-log?${new URLSearchParams(query)}`, { key })
    return { status: response.status, body: (await response.json()) as { items: Item[]; nextCursor: string | null } }
  }
  const idsOf = async (query: Record<string, string>) => (await read({ limit: '200', ...query })).body.items.map(({ id }) => id)
  const all: Item[] = []

  beforeAll(async () => {
    shelf.id = (await seedTenant(server)).id
    shelf.admin = await seedKey(server, shelf.id, 'TenantAdmin', { name: 'Admin 100%' })
    shelf.ann = await seedKey(server, shelf.id, 'TenantAdmin', { name: "Ann_O'Neil" })
    for (const actor of [shelf.admin, shelf.ann]) {
      for (const each of mutations) await callRest(server, each, await validInput(server, each, shelf.id), actor)
    }
    const revoke = operation('apiKeys.revoke')
    const { id } = await seedKey(server, shelf.id, 'Viewer')
    await callRest(server, revoke, { id, reason: 'Seen in a public repository' }, shelf.ann)
    const viewer = await seedKey(server, shelf.id, 'Viewer')
    await callRest(server, operation('apiKeys.list'), {}, viewer)
    all.push(...(await read({ limit: '200' })).body.items)
  })

  test('is the tenant’s entries, all of them, newest first', async () => {
    const rows = await auditOf(server, shelf.id)
    expect(rows.length).toBe(2 * mutations.length + 2)
    expect(all.map(({ id }) => id)).toEqual(rows.map(({ id }) => id).toReversed())
    const [refused, revoked] = all
    expect(refused).toMatchObject({ action: 'api_key.refused', outcome: 'refused', occurrences: 1, actor: { role: 'Viewer' } })
    expect(revoked).toEqual({
      id: rows.at(-2)?.id,
      tenantId: shelf.id,
      seq: rows.length - 1,
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
      actor: { kind: 'key', id: shelf.ann.id, name: "Ann_O'Neil", role: 'TenantAdmin' },
      action: 'api_key.revoked',
      entity: { type: 'api_key', id: rows.at(-2)?.entityId, name: rows.at(-2)?.entityName },
      outcome: 'success',
      occurrences: 1,
      ip: '127.0.0.1',
      userAgent: rows.at(-2)?.userAgent,
      requestId: rows.at(-2)?.requestId,
      details: { before: { status: 'active' }, after: { status: 'revoked' }, reason: 'Seen in a public repository' },
      prevHash: all[2]?.hash,
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
    })
    expect(Date.parse(String(revoked?.at))).toBe(rows.at(-2)?.at.getTime())
  })

  test('is filtered by action, entity type and actor, alone and together', async () => {
    const actions = new Set(all.map(({ action }) => action))
    expect(actions.size).toBe(new Set(mutations.map(({ meta }) => meta.audit)).size + 1)
    const types = new Set(all.map(({ entity }) => String(entity.type)))
    for (const action of [undefined, ...actions]) {
      for (const entityType of [undefined, ...types]) {
        for (const actor of [undefined, shelf.admin.id, shelf.ann.id]) {
          const wanted = all.filter(
            (each) =>
              (!action || each.action === action) &&
              (!entityType || each.entity.type === entityType) &&
              (!actor || each.actor.id === actor),
          )
          const query = { ...(action && { action }), ...(entityType && { entityType }), ...(actor && { actor }) }
          expect(await idsOf(query)).toEqual(wanted.map(({ id }) => id))
        }
      }
    }
    expect(await idsOf({ action: 'api_key' })).toEqual([])
    expect(await idsOf({ entityType: 'API_KEY' })).toEqual([])
  })

  test('an actor is found by a part of the name in any case, in which % and _ are themselves', async () => {
    const by = (actor: SeededKey) => all.filter((each) => each.actor.id === actor.id).map(({ id }) => id)
    expect(await idsOf({ actor: "ann_o'n" })).toEqual(by(shelf.ann))
    expect(await idsOf({ actor: '_' })).toEqual(by(shelf.ann))
    expect(await idsOf({ actor: '%' })).toEqual(by(shelf.admin))
    expect(await idsOf({ actor: 'nobody' })).toEqual([])
    expect(await idsOf({ actor: shelf.ann.id.slice(0, 8) })).toEqual([])
  })

  test('a search finds names, ids, request ids, actions and reasons in any case, in which % and _ are themselves', async () => {
    const [, revoked] = all
    for (const search of ['PUBLIC repository', String(revoked?.requestId), String(revoked?.entity.id)]) {
      expect([search, await idsOf({ search })]).toEqual([search, [revoked?.id]])
    }
    const holding = (text: string) => all.filter((each) => JSON.stringify(each).includes(text)).map(({ id }) => id)
    expect(await idsOf({ search: 'agent.created' })).toEqual(holding('agent.created'))
    expect(await idsOf({ search: "O'NEIL" })).toEqual(holding("O'Neil"))
    expect(await idsOf({ search: '100%' })).toEqual(holding('100%'))
    expect(await idsOf({ search: '1%0' })).toEqual([])
    expect(await idsOf({ search: '\\' })).toEqual([])
  })

  test('is bounded by instants: from counts, to does not', async () => {
    const middle = all[Math.floor(all.length / 2)]
    if (!middle) throw new Error('no entries')
    // The log keeps microseconds, an answer shows milliseconds.
    const next = new Date(Date.parse(middle.at) + 1).toISOString()
    const since = all.filter(({ at }) => at >= middle.at).map(({ id }) => id)
    const until = all.filter(({ at }) => at < middle.at).map(({ id }) => id)
    expect(await idsOf({ from: middle.at })).toEqual(since)
    expect(await idsOf({ to: middle.at })).toEqual(until)
    expect(await idsOf({ from: middle.at, to: next })).toContain(middle.id)
    expect(await idsOf({ from: middle.at, to: middle.at })).toEqual([])
    expect(await idsOf({ from: '0001-01-01T00:00:00Z', to: '9999-12-31T23:59:59Z' })).toHaveLength(all.length)
    const local = `${new Date(Date.parse(middle.at) + 2 * 3_600_000).toISOString().slice(0, -1)}+02:00`
    expect(await idsOf({ from: local })).toEqual(since)
    for (const from of ['yesterday', '', '2026-01-01', '0000-01-01T00:00:00Z', '9999-12-31T23:59:59-14:00', '1e400']) {
      expect([from, (await read({ from })).status]).toEqual([from, 400])
    }
  })

  test('in pages of any size has every entry exactly once, filtered or not, and new entries do not move it', async () => {
    for (const [limit, filter] of [
      ['1', {}],
      ['4', {}],
      ['3', { entityType: 'agent' }],
      [String(all.length), {}],
    ] as const) {
      const walked: number[] = []
      const wanted = await idsOf(filter)
      let cursor: string | null = ''
      for (let pages = 0; cursor !== null && pages < 100; pages++) {
        const { body }: Awaited<ReturnType<typeof read>> = await read({ limit, ...filter, ...(cursor && { cursor }) })
        expect(body.items.length).toBeLessThanOrEqual(Number(limit))
        walked.push(...body.items.map(({ id }) => id))
        cursor = body.nextCursor
        if (pages === 0) await callRest(server, operation('agents.create'), anAgent(), shelf.admin)
      }
      expect(walked).toEqual(wanted)
    }
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    for (const cursor of [
      '',
      'x',
      encode([]),
      encode(['1']),
      encode([1.5]),
      encode([-1]),
      encode([1e300]),
      encode([1, 2]),
      encode([null]),
    ]) {
      expect([cursor, (await read({ cursor })).status]).toEqual([cursor, 400])
    }
    for (const limit of ['0', '201', '1e9', '']) expect((await read({ limit })).status).toBe(400)
  })

  test('shows nothing of another tenant, by no filter', async () => {
    const other = house
    expect(await countAudit(server, other.id)).toBeGreaterThan(0)
    const queries: Record<string, string>[] = [
      { actor: other.admin.id },
      { actor: other.admin.name },
      { search: other.admin.id },
      { search: other.user.name },
    ]
    for (const query of queries) {
      const response = await read(query)
      expect(response.status).toBe(200)
      expect(response.body.items).toEqual([])
    }
    const foreign = new Set((await auditOf(server, other.id)).map(({ id }) => id))
    expect((await idsOf({})).filter((id) => foreign.has(id))).toEqual([])
  })
})

describe('when the entry can’t be written', () => {
  beforeAll(async () => {
    await server.database.db.execute(sql`
      create function refuse_entry() returns trigger language plpgsql as $$
      begin
        raise exception 'the disk of the audit log is full' using detail = 'secret detail of the database';
      end $$`)
    await server.database.db.execute(
      sql`create trigger refuse_entry before insert on audit_log for each row execute function refuse_entry()`,
    )
  })
  afterAll(async () => {
    await server.database.db.execute(sql`drop trigger refuse_entry on audit_log`)
    await server.database.db.execute(sql`drop function refuse_entry()`)
  })

  test.each(
    mutations.flatMap((each) => [[each.name, 'REST', callRest, each] as const, [each.name, 'tRPC', callTrpc, each] as const]),
  )('%s by %s is a 500 that tells nothing, and did not happen', async (_, __, call, each) => {
    const input = await validInput(server, each, house.id)
    const before = [await rowsOf(server, house.id), await countAudit(server, house.id), await countRows(server)]
    const answer = await call(server, each, input, house.admin)
    const requestId = answer.headers.get('x-request-id')
    expect(answer.status).toBe(500)
    expect(answer.problem).toEqual({
      type: 'urn:mate:problem:internal_server_error',
      title: 'Internal error',
      status: 500,
      code: 'internal_server_error',
      detail: `Something went wrong on our side. Report request ${requestId} to your operator.`,
      requestId,
    })
    expect(answer.text).not.toMatch(/disk|secret|audit_log|insert|params|stack|\bat .*:\d+|mate_[0-9A-Za-z]{6}/i)
    expect([await rowsOf(server, house.id), await countAudit(server, house.id), await countRows(server)]).toEqual(before)
  })

  test('a change from the page did not happen either', async () => {
    for (const each of mutations) {
      const input = await validInput(server, each, house.id)
      const before = [await rowsOf(server, house.id), await countAudit(server, house.id)]
      const answer = await page.call?.(each, input, house.user.cookie)
      expect([each.name, answer?.status]).toEqual([each.name, 500])
      expect(answer?.text).not.toMatch(/disk|secret|audit_log|insert|params/i)
      expect([await rowsOf(server, house.id), await countAudit(server, house.id)]).toEqual(before)
    }
  })

  test('a refusal stays one: nothing is let through because it can’t be recorded', async () => {
    const viewer = await seedKey(server, house.id, 'Viewer')
    for (const each of mutations) {
      const input = await validInput(server, each, house.id)
      const before = await rowsOf(server, house.id)
      const answer = await callRest(server, each, input, viewer)
      expect(answer.status).toBeGreaterThanOrEqual(400)
      expect(answer.text).not.toMatch(/disk|secret|audit_log|insert|params/i)
      expect(await rowsOf(server, house.id)).toBe(before)
    }
  })

  test('reading goes on', async () => {
    for (const each of inTenant.filter(({ kind }) => kind === 'query')) {
      const input = await validInput(server, each, house.id)
      expect([each.name, (await callRest(server, each, input, house.admin)).status]).toEqual([each.name, 200])
    }
  })
})
