// Two walls stand between tenants: every query names its tenant, and row-level security holds when one forgets to.
import { and, eq, isNull, sql } from 'drizzle-orm'
import { alias } from 'drizzle-orm/pg-core'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Db, Tx } from '#db/client.ts'
import { checkWalls } from '#db/migrate.ts'
import {
  agents,
  apiKeys,
  apiKeyUsage,
  auditFolds,
  auditLog,
  deletedRuns,
  invitations,
  judgeSettings,
  notices,
  outbox,
  results,
  runs,
  sessions,
  tenants,
  testCases,
  testSuites,
  transcriptMessages,
  trustRules,
  users,
  webhookDeliveries,
  webhooks,
} from '#db/schema.ts'
import type { Operation } from '#server/operations.ts'
import { databaseErrorCode } from '#server/problem.ts'
import {
  callRest,
  callTrpc,
  type Input,
  inTenant,
  isEffective,
  mutations,
  operations,
  pathIdOf,
  rowsOf,
  thaw,
  unique,
  validInput,
  withPathId,
} from './doors.ts'
import {
  auditOf,
  countAudit,
  createTestDatabase,
  seedAgent,
  seedInvitation,
  seedJudgeSetting,
  seedKey,
  seedNotice,
  seedSuite,
  seedTenant,
  seedUsage,
  seedUser,
  startTestServer,
  useServer,
} from './harness.ts'
import { seedRun } from './run-seeds.ts'

const server = useServer()

interface House {
  id: string
  name: string
  admin: { id: string; key: string; name: string }
  root: { id: string; key: string; name: string }
}
const houses: { ours: House; theirs: House } = { ours: {} as House, theirs: {} as House }

async function build(): Promise<House> {
  const tenant = await seedTenant(server)
  const admin = await seedKey(server, tenant.id, 'TenantAdmin')
  const root = await seedKey(server, tenant.id, 'SuperAdmin')
  await seedAgent(server, tenant.id)
  await seedNotice(server, tenant.id)
  // Its own entries in the audit log, made as they always are, a folded refusal among them.
  for (const operation of mutations) {
    expect((await callRest(server, operation, await validInput(server, operation, tenant.id), admin)).problem).toEqual({})
  }
  const viewer = await seedKey(server, tenant.id, 'Viewer')
  expect((await server.request('/api/admin/api-keys', { key: viewer.key })).status).toBe(403)
  await seedUsage(server, tenant.id, viewer.id, [{ operation: 'me.get', calls: 1 }])
  return { ...tenant, admin, root }
}

beforeAll(async () => {
  houses.ours = await build()
  houses.theirs = await build()
})

afterEach(() => thaw(server))

/** Everything that a tenant has, its audit log included. */
const stateOf = async ({ id }: House) => [await rowsOf(server, id), await auditDigestOf(id)]

async function auditDigestOf(tenantId: string): Promise<string> {
  const each = alias(auditLog, 'each')
  const digest = sql<string>`md5(string_agg(${each}::text, ' ' order by each.id))`
  const [row] = await server.database.db.select({ digest }).from(each).where(eq(each.tenantId, tenantId))
  return row?.digest ?? ''
}

/** What shows a tenant's rows page by page, of the tenant; those of one thing in it are among `withPathId`. */
const pagedLists = inTenant.filter(({ input, meta }) => 'cursor' in input.shape && !meta.openapi.path.includes('{'))

const doors = [
  ['REST', callRest],
  ['tRPC', callTrpc],
] as const

describe.each(doors)('the first wall, by %s:', (_, call) => {
  test.each(withPathId.map((operation) => [operation.name, operation] as const))(
    '%s of another tenant’s id is 404, byte for byte as of an id that nobody has, and changes neither tenant',
    async (__, operation: Operation) => {
      const { ours, theirs } = houses
      const input = await validInput(server, operation, theirs.id)
      const before = [await stateOf(ours), await stateOf(theirs)]
      for (const caller of [ours.admin, ours.root]) {
        const foreign = await call(server, operation, input, caller)
        const unknown = await call(server, operation, { ...input, [pathIdOf(operation) ?? '']: crypto.randomUUID() }, caller)
        expect(foreign.status).toBe(404)
        expect(unknown.status).toBe(404)
        expect(foreign.problem).toEqual({ ...unknown.problem, requestId: foreign.headers.get('x-request-id') })
      }
      expect([await stateOf(ours), await stateOf(theirs)]).toEqual(before)
      // The same input is good for its own admin: it was refused for the tenant, and for nothing else.
      expect((await call(server, operation, input, theirs.admin)).problem).toEqual({})
    },
  )

  test.each(pagedLists.map((operation) => [operation.name, operation] as const))(
    '%s shows all of one tenant and nothing of another, however it is filtered',
    async (__, operation: Operation) => {
      const { ours, theirs } = houses
      const table = {
        'agents.list': agents,
        'apiKeys.list': apiKeys,
        'auditLog.list': auditLog,
        'judgeSettings.list': judgeSettings,
        'testSuites.list': testSuites,
        'notices.list': notices,
        'runs.list': runs,
        'webhooks.list': webhooks,
        'users.list': users,
        'invitations.list': invitations,
        'trustRules.list': trustRules,
      }[operation.name]
      if (!table) throw new Error(`Which table does ${operation.name} list?`)
      const filters: Input[] = [{}]
      if (operation.name === 'apiKeys.list' || operation.name === 'auditLog.list')
        filters.push({ search: theirs.admin.name }, { search: theirs.id })
      if (operation.name === 'auditLog.list') filters.push({ actor: theirs.admin.id }, { actor: theirs.admin.name })
      for (const filter of filters) {
        const { output, text, status } = await call(server, operation, { limit: 200, ...filter }, ours.admin)
        expect(status).toBe(200)
        const shown = (output.items as { id: string }[]).map(({ id }) => id)
        const isShown = operation.name === 'notices.list' ? isNull(notices.dismissedAt) : undefined
        const own = await server.database.db
          .select({ id: table.id })
          .from(table)
          .where(and(eq(table.tenantId, ours.id), isShown))
        expect(shown.toSorted()).toEqual(Object.keys(filter).length > 0 ? [] : own.map(({ id }) => id).toSorted())
        for (const word of [theirs.id, theirs.name, theirs.admin.id, theirs.admin.name]) expect(text).not.toContain(word)
      }
    },
  )

  test('a cursor of another tenant’s list leads to nothing of it', async () => {
    const { ours, theirs } = houses
    for (const operation of pagedLists) {
      for (let each = 0; each < 2; each++)
        await Promise.all(
          [seedAgent, seedNotice, seedSuite, seedJudgeSetting, seedRun, seedInvitation].map((seed) => seed(server, theirs.id)),
        )
      const { output } = await call(server, operation, { limit: 1 }, theirs.admin)
      expect(output.nextCursor).toEqual(expect.any(String))
      const { status, text } = await call(server, operation, { limit: 200, cursor: output.nextCursor }, ours.admin)
      expect(status).toBe(200)
      for (const word of [theirs.id, theirs.name, theirs.admin.id, theirs.admin.name]) expect(text).not.toContain(word)
    }
  })

  describe('X-Tenant-Id', () => {
    test.each(inTenant.map((operation) => [operation.name, operation] as const))(
      'lets only a SuperAdmin do %s in another tenant, and is in order when it names one’s own',
      async (__, operation: Operation) => {
        const { ours, theirs } = houses
        const there = { headers: { 'x-tenant-id': theirs.id } }
        const input = await validInput(server, operation, theirs.id)
        const before = await stateOf(theirs)
        const audit = await countAudit(server, ours.id)
        const refused = await call(server, operation, input, { key: ours.admin.key, ...there })
        expect(refused.status).toBe(403)
        expect(refused.problem.detail).toContain('TenantAdmin')
        for (const word of [theirs.id, theirs.name]) expect(refused.text).not.toContain(word)
        expect(await stateOf(theirs)).toEqual(before)
        // Audited at home, once: the other door may have made this minute's entry already.
        const entries = await auditOf(server, ours.id, audit)
        expect(entries.length).toBeLessThanOrEqual(1)
        for (const entry of entries)
          expect(entry).toMatchObject({
            action: 'api_key.refused',
            entityId: ours.admin.id,
            details: { operation: operation.name },
          })

        const countThere = await countAudit(server, theirs.id)
        const countHere = await countAudit(server, ours.id)
        const done = await call(server, operation, input, { key: ours.root.key, ...there })
        expect(done.problem).toEqual({})
        const written = await auditOf(server, theirs.id, countThere)
        if (!isEffective(operation)) expect(written).toEqual([])
        else expect(written).toMatchObject([{ actorId: ours.root.id, actorName: ours.root.name, outcome: 'success' }])
        expect(await countAudit(server, ours.id)).toBe(countHere)

        const own = await validInput(server, operation, ours.id)
        const atHome = { headers: { 'x-tenant-id': ours.id.toUpperCase() } }
        expect((await call(server, operation, own, { key: ours.admin.key, ...atHome })).problem).toEqual({})
      },
    )

    test('me.get names the tenant that the request acts in', async () => {
      const { ours, theirs } = houses
      const [me] = operations.filter(({ name }) => name === 'me.get')
      if (!me) throw new Error('there is no me.get')
      const answer = await call(server, me, {}, { key: ours.root.key, headers: { 'x-tenant-id': theirs.id } })
      expect(answer.output).toMatchObject({ id: ours.root.id, tenant: { id: theirs.id, name: theirs.name } })
    })

    test('of a tenant that is not there is 404, and of no UUID 400, for every role alike', async () => {
      const { ours } = houses
      const [list] = operations.filter(({ name }) => name === 'agents.list')
      if (!list) throw new Error('there is no agents.list')
      const ask = (key: string, id: string) => call(server, list, {}, { key, headers: { 'x-tenant-id': id } })
      expect((await ask(ours.root.key, crypto.randomUUID())).status).toBe(404)
      expect((await ask(ours.admin.key, crypto.randomUUID())).status).toBe(403)
      for (const wrong of ['1', '*', `${ours.id}'`, `${ours.id}, ${ours.id}`, `{${ours.id}}`, ours.id.replaceAll('-', '')]) {
        for (const { key } of [ours.root, ours.admin]) {
          const answer = await ask(key, wrong)
          expect([wrong, answer.status]).toEqual([wrong, 400])
          expect(answer.problem.errors).toEqual([{ path: 'X-Tenant-Id', message: 'Must be a UUID.' }])
        }
      }
    })
  })
})

describe('the second wall, of a query that names no tenant:', () => {
  /** As the gate runs: the restricted role, in a tenant or in none. */
  const restricted = <T>(tenantId: string | null, work: (tx: Tx) => Promise<T>): Promise<T> =>
    server.database.transaction(async (tx) => {
      await tx.execute(sql`select set_config('role', 'mate_app', true)`)
      if (tenantId !== null) await tx.execute(sql`select set_config('mate.tenant_id', ${tenantId}, true)`)
      return work(tx)
    })
  const codeOf = (work: Promise<unknown>) =>
    work.then(
      () => 'no error',
      (error) => databaseErrorCode(error),
    )

  const tables = {
    agents,
    test_suites: testSuites,
    test_cases: testCases,
    judge_settings: judgeSettings,
    api_keys: apiKeys,
    api_key_usage: apiKeyUsage,
    audit_log: auditLog,
    audit_folds: auditFolds,
    notices,
    runs,
    results,
    deleted_runs: deletedRuns,
    transcript_messages: transcriptMessages,
    webhooks,
    webhook_deliveries: webhookDeliveries,
    users,
    invitations,
    trust_rules: trustRules,
  }

  /** No tenant was ever set, or it is empty: neither is a UUID. */
  const noTenant = ['42704', '22P02']

  test.each(Object.entries(tables))('%s shows the rows of one tenant, and fails outside a tenant', async (_, table) => {
    const { ours } = houses
    const all = await server.database.db.select({ tenantId: table.tenantId }).from(table)
    const own = all.filter(({ tenantId }) => tenantId === ours.id)
    expect(own.length).toBeGreaterThan(0)
    expect(all.length).toBeGreaterThan(own.length)
    const seen = await restricted(ours.id, (tx) => tx.select({ tenantId: table.tenantId }).from(table))
    expect(new Set(seen.map(({ tenantId }) => tenantId))).toEqual(new Set([ours.id]))
    // More, when a batch of usage was written meanwhile.
    expect(seen.length).toBeGreaterThanOrEqual(own.length)
    expect(noTenant).toContain(await codeOf(restricted(null, (tx) => tx.select({ tenantId: table.tenantId }).from(table))))
    expect(noTenant).toContain(await codeOf(restricted('', (tx) => tx.select({ tenantId: table.tenantId }).from(table))))
  })

  test('sessions shows those of one tenant’s people', async () => {
    const { ours, theirs } = houses
    const mine = await seedUser(server, ours.id, 'Viewer')
    await seedUser(server, theirs.id, 'Viewer')
    const seen = await restricted(ours.id, (tx) => tx.select({ userId: sessions.userId }).from(sessions))
    expect(seen).toEqual([{ userId: mine.id }])
  })

  test('tenants shows the one tenant, and fails outside a tenant', async () => {
    const { ours } = houses
    expect(await restricted(ours.id, (tx) => tx.select({ id: tenants.id }).from(tenants))).toEqual([{ id: ours.id }])
    expect(noTenant).toContain(await codeOf(restricted(null, (tx) => tx.select({ id: tenants.id }).from(tenants))))
  })

  test('an update and a delete of everything reach one tenant only', async () => {
    const { ours, theirs } = houses
    const before = [await stateOf(ours), await stateOf(theirs)]
    const rolledBack = new Error('rolled back')
    const work = restricted(ours.id, async (tx) => {
      expect(
        (await tx.update(agents).set({ description: 'taken' }).returning({ at: agents.tenantId })).map(({ at }) => at),
      ).toEqual((await tx.select({ at: agents.tenantId }).from(agents)).map(() => ours.id))
      const renamed = await tx.update(apiKeys).set({ name: 'taken' }).returning({ at: apiKeys.tenantId })
      expect(new Set(renamed.map(({ at }) => at))).toEqual(new Set([ours.id]))
      const deleted = await tx.delete(apiKeys).returning({ at: apiKeys.tenantId })
      expect(deleted.length).toBe(renamed.length)
      throw rolledBack
    })
    await expect(work).rejects.toBe(rolledBack)
    expect([await stateOf(ours), await stateOf(theirs)]).toEqual(before)
  })

  test('a row can be neither made in another tenant nor moved there', async () => {
    const { ours, theirs } = houses
    const before = [await stateOf(ours), await stateOf(theirs)]
    const connector = { type: 'http', url: 'https://a.example/', secretHeader: 'Authorization' } as const
    const agent = { tenantId: theirs.id, name: unique('Agent'), environment: 'dev', connector } as const
    const key = {
      tenantId: theirs.id,
      name: unique('Key'),
      prefix: 'mate_0000000',
      keyHash: crypto.getRandomValues(new Uint8Array(32)),
      role: 'Viewer',
      createdByKind: 'key',
      createdById: 'x',
      createdByName: 'x',
    } as const
    const entry: typeof auditLog.$inferInsert = {
      tenantId: theirs.id,
      actorKind: 'key',
      actorId: 'x',
      actorName: 'x',
      action: 'x',
      entityType: 'x',
      entityId: 'x',
      entityName: 'x',
      outcome: 'success',
      requestId: 'x',
      details: {},
    }
    for (const [tenantId, codes] of [
      [ours.id, ['42501']],
      [null, noTenant],
    ] as const) {
      expect(codes).toContain(await codeOf(restricted(tenantId, (tx) => tx.insert(agents).values(agent))))
      expect(codes).toContain(await codeOf(restricted(tenantId, (tx) => tx.insert(apiKeys).values(key))))
      expect(codes).toContain(await codeOf(restricted(tenantId, (tx) => tx.insert(auditLog).values(entry))))
      const job = { tenantId: theirs.id, queue: 'webhook.deliver', data: {}, groupId: 'x' }
      expect(codes).toContain(await codeOf(restricted(tenantId, (tx) => tx.insert(outbox).values(job))))
      const suite = { tenantId: theirs.id, name: unique('Suite'), passThreshold: 1, delayBetweenTestsMs: 0 }
      expect(codes).toContain(await codeOf(restricted(tenantId, (tx) => tx.insert(testSuites).values(suite))))
      const notice = { tenantId: theirs.id, kind: 'api_keys.frozen', facts: {} } as const
      expect(codes).toContain(await codeOf(restricted(tenantId, (tx) => tx.insert(notices).values(notice))))
    }
    expect(await codeOf(restricted(ours.id, (tx) => tx.update(agents).set({ tenantId: theirs.id })))).toBe('42501')
    expect(await codeOf(restricted(ours.id, (tx) => tx.update(apiKeys).set({ tenantId: theirs.id })))).toBe('42501')
    for (const table of [testSuites, testCases, judgeSettings])
      expect(await codeOf(restricted(ours.id, (tx) => tx.update(table).set({ tenantId: theirs.id })))).toBe('42501')
    expect([await stateOf(ours), await stateOf(theirs)]).toEqual(before)
    // And the agent is a good row, in one's own tenant.
    expect(await codeOf(restricted(theirs.id, (tx) => tx.insert(agents).values(agent)))).toBe('no error')
  })

  test('what no request needs, no request may: hashes, people, settings, a changed or shortened audit log', async () => {
    const { ours } = houses
    const before = await stateOf(ours)
    const statements = [
      sql`select key_hash from api_keys`,
      sql`select * from api_keys`,
      sql`update api_keys set role = 'SuperAdmin'`,
      sql`update api_keys set key_hash = '\\x00'`,
      sql`update api_keys set expires_at = null`,
      sql`update audit_log set actor_name = 'somebody else'`,
      sql`delete from audit_log`,
      sql`truncate audit_log`,
      sql`delete from audit_folds`,
      sql`insert into api_key_usage (calls) values (1)`,
      sql`update api_key_usage set calls = 0`,
      sql`delete from api_key_usage`,
      sql`select * from outbox`,
      sql`delete from outbox`,
      sql`update runs set total = 0`,
      sql`update results set test_case = '{}'`,
      sql`delete from results`,
      sql`update transcript_messages set content = ''`,
      sql`delete from transcript_messages`,
      sql`update notices set kind = 'api_keys.frozen'`,
      sql`delete from notices`,
      sql`update webhook_deliveries set body = '{}'`,
      sql`delete from webhook_deliveries`,
      sql`select * from mate_jobs.job`,
      sql`update tenants set id = gen_random_uuid()`,
      sql`update users set email = 'somebody@else.test'`,
      sql`update users set tenant_id = gen_random_uuid()`,
      sql`select token from sessions`,
      sql`select * from sessions`,
      sql`update sessions set is_pending = false`,
      sql`update sessions set authenticated_at = now()`,
      sql`select client_secret from identity_providers`,
      sql`update identity_providers set issuer = 'https://evil.example'`,
      sql`update identity_providers set audit_tenant_id = gen_random_uuid()`,
      sql`select token_hash from invitations`,
      sql`update invitations set role = 'SuperAdmin'`,
      sql`insert into tenants (name) values ('mine')`,
      sql`update sessions set acting_tenant_id = null`,
      sql`update deleted_runs set runs = 0`,
      sql`delete from deleted_runs`,
      sql`delete from tenants`,
      ...['accounts', 'verifications', 'settings', 'setup_links', 'rate_limits', 'mate_migrations'].map(
        (table) => sql`select * from ${sql.identifier(table)}`,
      ),
      sql`alter table audit_log disable row level security`,
      sql`drop policy tenant_wall on agents`,
      sql`create table mine (id int)`,
      sql`create role mine`,
    ]
    for (const statement of statements) {
      expect([statement.queryChunks, await codeOf(restricted(ours.id, (tx) => tx.execute(statement)))]).toEqual([
        statement.queryChunks,
        '42501',
      ])
    }
    expect(await stateOf(ours)).toEqual(before)
  })

  test('a transaction leaves neither its role nor its tenant behind', async () => {
    await restricted(houses.ours.id, async (tx) => tx.select({ id: agents.id }).from(agents))
    for (let each = 0; each < 30; each++) {
      const rows = await server.database.db
        .select({ role: sql<string>`current_user`, tenant: sql<string>`coalesce(current_setting('mate.tenant_id', true), '')` })
        .from(sql`(select) as once`)
      expect(rows).not.toContainEqual(expect.objectContaining({ role: 'mate_app' }))
      expect(rows).toMatchObject([{ tenant: '' }])
    }
  })
})

describe('a database whose wall does not hold is refused:', () => {
  // Roles belong to the whole cluster: made in a transaction that is rolled back, they never leave it.
  const role = `mate_test_${crypto.randomUUID().replaceAll('-', '')}`
  const rolledBack = new Error('rolled back')
  const faultOf = async (statements: string[], checked: string): Promise<string> => {
    let message = 'no fault'
    const work = server.database.transaction(async (tx) => {
      for (const statement of statements) await tx.execute(sql.raw(statement))
      await checkWalls(tx as Db, checked).catch((error: Error) => {
        message = error.message
      })
      throw rolledBack
    })
    await expect(work).rejects.toBe(rolledBack)
    return message
  }

  const faults: [string, string[], string, RegExp][] = [
    ['the role is not there', [], role, /the role mate_test_\w+ does not exist/],
    ['a superuser', [`create role ${role} superuser`], role, /the role mate_test_\w+ is a superuser or bypasses/],
    ['a role that bypasses it', [`create role ${role} bypassrls`], role, /the role mate_test_\w+ is a superuser or bypasses/],
    [
      'a role that may become one that bypasses it',
      [`create role ${role}_high bypassrls`, `create role ${role} in role ${role}_high`],
      role,
      /the role mate_test_\w+_high is a superuser or bypasses/,
    ],
    ['the owner of a table', [`create role ${role}`, `alter table agents owner to ${role}`], role, /owns the table agents/],
    [
      'a member of the owner',
      [`create role ${role}_high`, `create role ${role} in role ${role}_high`, `alter table audit_log owner to ${role}_high`],
      role,
      /owns the table audit_log, or may become its owner/,
    ],
    ['mate_app made a superuser', ['alter role mate_app superuser'], 'mate_app', /the role mate_app is a superuser/],
    ...[
      'test_suites',
      'test_cases',
      'judge_settings',
      'tenants',
      'agents',
      'api_keys',
      'api_key_usage',
      'audit_log',
      'audit_folds',
      'outbox',
      'notices',
      'webhooks',
      'runs',
      'results',
      ...['users', 'sessions', 'invitations'],
      'deleted_runs',
      'identity_providers',
    ].map((table): [string, string[], string, RegExp] => [
      `the wall of ${table} is down`,
      [`alter table ${table} disable row level security`],
      'mate_app',
      new RegExp(`row-level security is off on the table ${table}`),
    ]),
    [
      'a new table has a grant and no wall',
      ['create table mine (tenant_id uuid)', 'grant select on mine to mate_app'],
      'mate_app',
      /row-level security is off on the table mine/,
    ],
  ]
  test.each(faults)('%s', async (_, statements, checked, expected) => {
    expect(await faultOf(statements, checked)).toMatch(expected)
  })

  test('and none other: the wall as migrated holds', async () => {
    await expect(checkWalls(server.database.db)).resolves.toBeUndefined()
    expect(await faultOf([`create role ${role}`], role)).toBe('no fault')
  })

  test('the server does not start on it', async () => {
    const { database } = await createTestDatabase()
    await database.db.execute(sql`alter table audit_log disable row level security`)
    await expect(startTestServer({}, database)).rejects.toThrow('row-level security is off on the table audit_log')
  })
})
