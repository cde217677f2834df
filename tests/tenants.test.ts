// Tenants: made, changed, deactivated and back by SuperAdmins alone, and what each of it does; and their switch to one.
import { eq, inArray, sql } from 'drizzle-orm'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { auditLog, outbox, sessions, tenants, users, webhookDeliveries, webhooks } from '#db/schema.ts'
import { readEnv } from '#server/env.ts'
import { sweepNotices } from '#server/notice-sweep.ts'
import { notify } from '#server/notices.ts'
import { loadSecret } from '#server/secret.ts'
import { attemptDelivery } from '#server/webhook-delivery.ts'
import { useAgent } from './agent.ts'
import { waitUntil } from './child-server.ts'
import { anAgent, type Input, unique } from './doors.ts'
import {
  auditOf,
  countAudit,
  postForm,
  type SeededKey,
  type SeededUser,
  seedAgent,
  seedKey,
  seedTenant,
  seedUser,
  seedWebhook,
  useServer,
} from './harness.ts'
import { useReceiver, withoutMocks } from './receiver.ts'
import { resultsOf, runOf, seedAgentAt, seedJudge, seedSuite, startRun } from './run-seeds.ts'

withoutMocks()
const server = useServer({ MATE_ALLOW_PRIVATE_AGENTS: 'true', MATE_WORKERS: '2' })
const receiver = useReceiver()
const agent = useAgent()
const home = { id: '', name: '', root: {} as SeededKey, person: {} as SeededUser }
const noQuotas = { maxUsers: null, maxApiKeys: null, maxAgents: null, maxTestSuites: null, maxRunsPerMonth: null }

beforeAll(async () => {
  Object.assign(home, await seedTenant(server))
  home.root = await seedKey(server, home.id, 'SuperAdmin')
  home.person = await seedUser(server, home.id, 'SuperAdmin')
})
beforeEach(() => {
  receiver.received.length = 0
})

async function ask(method: string, path = '', json?: unknown, key = home.root.key) {
  const response = await server.request(`/api/admin/tenants${path}`, { method, key, json })
  const text = await response.text()
  const body: Input & { items: Input[]; errors?: Input[] } = text === '' ? {} : JSON.parse(text)
  return { status: response.status, headers: response.headers, body }
}
const deactivate = (id: string, key?: string) => ask('POST', `/${id}/deactivate`, { reason: 'unpaid' }, key)
const reactivate = (id: string) => ask('POST', `/${id}/reactivate`, {})
const meOf = async (key: string) => (await server.request('/api/me', { key })).status
const read = async (path: string, { cookie }: SeededUser) => server.request(path, { headers: { cookie } })

describe('a tenant', () => {
  test('is made, listed, read, renamed and given quotas; its own log says so, under the SuperAdmin’s name', async () => {
    const name = unique('Tenant')
    const made = await ask('POST', '', { name, maxAgents: 5 })
    expect([made.status, made.headers.get('location')]).toEqual([201, `/api/admin/tenants/${made.body.id}`])
    expect(made.body).toMatchObject({ name, isActive: true, ...noQuotas, maxAgents: 5 })
    const id = String(made.body.id)
    expect((await ask('GET', '?limit=1')).body.items).toEqual([made.body])
    const used = { maxUsers: 0, maxApiKeys: 0, maxAgents: 0, maxTestSuites: 0, maxRunsPerMonth: 0 }
    expect((await ask('GET', `/${id}`)).body).toEqual({ ...made.body, used })

    const before = await countAudit(server, home.id)
    const renamed = unique('Tenant')
    const patched = await ask('PATCH', `/${id}`, { name: renamed, maxUsers: 3, maxAgents: null })
    expect(patched.body).toEqual({ ...made.body, name: renamed, maxUsers: 3, maxAgents: null })
    expect((await ask('PATCH', `/${id}`, { maxUsers: 3 })).status).toBe(200)
    const by = { actorKind: 'key', actorId: home.root.id, actorName: home.root.name, actorRole: 'SuperAdmin', tenantId: id }
    expect(await auditOf(server, id)).toMatchObject([
      { ...by, action: 'tenant.created', entityType: 'tenant', entityId: id, entityName: name },
      {
        ...{ ...by, action: 'tenant.updated', entityId: id },
        details: { before: { name, maxUsers: null, maxAgents: 5 }, after: { name: renamed, maxUsers: 3, maxAgents: null } },
      },
    ])
    expect(await countAudit(server, home.id)).toBe(before)
  })

  test('is listed page by page, newest first, each once', async () => {
    const all = await server.database.db.select({ id: tenants.id }).from(tenants)
    const seen: unknown[] = []
    for (let cursor: unknown = ''; cursor !== null; ) {
      const { body } = await ask('GET', `?limit=2${cursor ? `&cursor=${cursor}` : ''}`)
      seen.push(...body.items.map(({ id }) => id))
      cursor = body.nextCursor
    }
    expect(seen.toSorted()).toEqual(all.map(({ id }) => id).toSorted())
    expect((await ask('GET', '?cursor=nonsense')).status).toBe(400)
  })

  test('has a name of its own whatever the case: 409, and nothing is made or changed', async () => {
    const { id, name } = await seedTenant(server)
    const other = await seedTenant(server)
    const before = [await server.database.db.$count(tenants), await countAudit(server, id)]
    expect((await ask('POST', '', { name: name.toUpperCase() })).status).toBe(409)
    expect((await ask('PATCH', `/${id}`, { name: other.name.toLowerCase() })).status).toBe(409)
    expect((await ask('PATCH', `/${id}`, { name: name.toUpperCase() })).status).toBe(200)
    expect([await server.database.db.$count(tenants), await countAudit(server, id)]).toEqual([before[0], Number(before[1]) + 1])
  })

  test('of two made at once with one name, one is', async () => {
    const name = unique('Tenant')
    const made = await Promise.all([0, 1, 2, 3].map(() => ask('POST', '', { name })))
    expect(made.map(({ status }) => status).toSorted()).toEqual([201, 409, 409, 409])
  })

  test('of a wrong name or quota, of no change, or that is not there, is refused, and nothing is made', async () => {
    const { id } = await seedTenant(server)
    const before = [await server.database.db.$count(tenants), await countAudit(server, id), await countAudit(server, home.id)]
    const bad: [Input, string][] = [
      [{ name: '' }, 'name'],
      [{ name: 'a\nb' }, 'name'],
      [{ name: 'x'.repeat(101) }, 'name'],
      [{ name: 1 }, 'name'],
      [{ name: 'a', maxUsers: -1 }, 'maxUsers'],
      [{ name: 'a', maxAgents: 1.5 }, 'maxAgents'],
      [{ name: 'a', maxRunsPerMonth: '5' }, 'maxRunsPerMonth'],
      [{ name: 'a', maxTestSuites: 2e9 }, 'maxTestSuites'],
      [{ name: 'a', isActive: false }, 'isActive'],
    ]
    for (const [fields, path] of bad) {
      for (const [method, where] of [
        ['POST', ''],
        ['PATCH', `/${id}`],
      ] as const) {
        const { status, body } = await ask(method, where, fields)
        expect([fields, status, body.errors?.map((error) => error.path)]).toEqual([fields, 400, [path]])
      }
    }
    expect((await ask('PATCH', `/${id}`, {})).status).toBe(400)
    const nobody = crypto.randomUUID()
    for (const [method, path, json] of [
      ['GET', `/${nobody}`, undefined],
      ['PATCH', `/${nobody}`, { name: 'a' }],
      ['POST', `/${nobody}/deactivate`, {}],
      ['POST', `/${nobody}/reactivate`, {}],
    ] as const) {
      expect([path, (await ask(method, path, json)).status]).toEqual([path, 404])
    }
    for (const path of ['/1', '/1/deactivate']) expect((await ask(path === '/1' ? 'GET' : 'POST', path)).status).toBe(400)
    expect([await server.database.db.$count(tenants), await countAudit(server, id), await countAudit(server, home.id)]).toEqual(
      before,
    )
  })

  test('is nobody’s to see but a SuperAdmin’s: a TenantAdmin is refused for their own too, and sees that by /api/tenant', async () => {
    const tenant = await seedTenant(server, { maxAgents: 7 })
    const admin = await seedKey(server, tenant.id, 'TenantAdmin')
    await seedAgent(server, tenant.id)
    for (const path of ['', `/${tenant.id}`, `/${home.id}`]) {
      const { status, body } = await ask('GET', path, undefined, admin.key)
      expect(status).toBe(403)
      expect(JSON.stringify(body)).not.toContain(home.name)
    }
    const own = await (await server.request('/api/tenant', { key: admin.key })).json()
    expect(own).toMatchObject({ id: tenant.id, name: tenant.name, ...noQuotas, maxAgents: 7 })
    expect(own.used).toEqual({ maxUsers: 0, maxApiKeys: 1, maxAgents: 1, maxTestSuites: 0, maxRunsPerMonth: 0 })
  })
})

describe('a deactivated tenant', () => {
  test('refuses its keys and its sessions at once, keeps their entry, and has both back when it is active again', async () => {
    const tenant = await seedTenant(server)
    const { key, id: keyId } = await seedKey(server, tenant.id, 'Viewer')
    const person = await seedUser(server, tenant.id, 'TenantAdmin')
    const { status, body } = await deactivate(tenant.id)
    expect([status, body.isActive]).toEqual([200, false])
    expect(await meOf(key)).toBe(401)
    const page = await read('/agents', person)
    expect([page.status, page.headers.get('location')]).toEqual([302, '/sign-in?redirectTo=%2Fagents'])
    expect(await auditOf(server, tenant.id)).toMatchObject([
      {
        ...{ action: 'tenant.deactivated', actorId: home.root.id, entityId: tenant.id },
        details: { before: { isActive: true }, after: { isActive: false }, reason: 'unpaid' },
      },
      { action: 'api_key.refused', entityId: keyId, details: { reason: 'The key is tenant deactivated.' } },
    ])
    const count = await countAudit(server, tenant.id)
    expect((await deactivate(tenant.id)).status).toBe(200)
    expect(await countAudit(server, tenant.id)).toBe(count)
    expect((await reactivate(tenant.id)).body.isActive).toBe(true)
    expect((await reactivate(tenant.id)).status).toBe(200)
    expect(await meOf(key)).toBe(200)
    expect((await read('/agents', person)).status).toBe(200)
    expect(await auditOf(server, tenant.id, count)).toMatchObject([{ action: 'tenant.reactivated' }])
  })

  test('is not one’s own, nor that of the only active SuperAdmins: 409 that says why', async () => {
    const before = await countAudit(server, home.id)
    const own = await deactivate(home.id)
    expect([own.status, own.body.detail]).toEqual([409, expect.stringContaining('is the tenant of this key')])
    const elsewhere = await seedTenant(server)
    const { key } = await seedKey(server, elsewhere.id, 'SuperAdmin')
    // There are people who are SuperAdmins in the home tenant alone: those of no other test here.
    const others = await server.database.db
      .update(users)
      .set({ role: 'TenantAdmin' })
      .where(sql`role = 'SuperAdmin' and tenant_id <> ${home.id}`)
      .returning({ id: users.id })
    const last = await deactivate(home.id, key)
    expect([last.status, last.body.detail]).toEqual([409, expect.stringContaining('has the only active SuperAdmins')])
    expect(await meOf(home.root.key)).toBe(200)
    expect(await countAudit(server, home.id)).toBe(before)
    // With one elsewhere it may be.
    await seedUser(server, elsewhere.id, 'SuperAdmin')
    expect((await deactivate(home.id, key)).status).toBe(200)
    expect((await ask('POST', `/${home.id}/reactivate`, {}, key)).status).toBe(200)
    const ids = others.map(({ id }) => id)
    if (ids.length > 0) await server.database.db.update(users).set({ role: 'SuperAdmin' }).where(inArray(users.id, ids))
  })

  test('can be looked at by a SuperAdmin, and not changed', async () => {
    const tenant = await seedTenant(server)
    const { id } = await seedAgent(server, tenant.id)
    await deactivate(tenant.id)
    const headers = { 'x-tenant-id': tenant.id }
    const { key } = home.root
    expect((await server.request(`/api/agents/${id}`, { key, headers })).status).toBe(200)
    const refused = await server.request('/api/agents', { method: 'POST', key, headers, json: anAgent() })
    expect([refused.status, (await refused.json()).detail]).toEqual([403, expect.stringContaining('Reactivate it first')])
    const entries = await auditOf(server, tenant.id)
    expect(entries.at(-1)).toMatchObject({ action: 'api_key.refused', actorId: home.root.id, outcome: 'refused' })
    await reactivate(tenant.id)
    expect((await server.request('/api/agents', { method: 'POST', key, headers, json: anAgent() })).status).toBe(201)
  })

  test('has its runs cancelled, whoever asked for them, and stores nothing more of them', async () => {
    for (const headers of [{}, { byRoot: true }]) {
      const tenant = await seedTenant(server)
      const tester = await seedKey(server, tenant.id, 'Tester')
      await seedJudge(server, tenant.id, 'please')
      const suite = await seedSuite(server, tenant.id, 3)
      const { id: agentId } = await seedAgentAt(server, tenant.id, agent.url)
      const gate = Promise.withResolvers<string>()
      const asked = agent.asked.length
      agent.reply = ({ message }) => (message === 'say 1' ? gate.promise : 'please')
      const request = (path: string, options: object) =>
        server.request(path, { ...options, key: home.root.key, headers: { 'x-tenant-id': tenant.id } })
      const asking = 'byRoot' in headers ? { request } : server
      const id = await startRun(asking, { id: tenant.id, tester }, suite.id, agentId)
      await waitUntil(async () => agent.asked.length === asked + 2)
      expect((await deactivate(tenant.id)).status).toBe(200)
      const stored = (await resultsOf(server, id)).map(({ verdict }) => verdict)
      gate.resolve('please')
      await waitUntil(async () => (await runOf(server, id)).status === 'cancelled')
      expect((await runOf(server, id)).errorMessage).toBe('The tenant was deactivated before it had ended.')
      expect((await resultsOf(server, id)).map(({ verdict }) => verdict)).toEqual(stored)
      expect(agent.asked.length).toBe(asked + 2)
    }
  })

  test('is sent nothing, and loses nothing: what waited is delivered once it is active, and counts as no failure', async () => {
    const tenant = await seedTenant(server)
    const events = ['*', 'audit.entry']
    const webhook = await seedWebhook(server, tenant.id, { url: receiver.url, events, auditCursor: 0, failingSince: new Date(0) })
    await deactivate(tenant.id)
    await server.database.transaction((tx) => notify(tx, { kind: 'api_keys.frozen', tenantId: tenant.id }))
    const deliveries = () =>
      server.database.db.select().from(webhookDeliveries).where(eq(webhookDeliveries.webhookId, webhook.id))
    // Its job is there and does nothing; nor does one of a minute that comes later, nor the hourly look at what is overdue.
    await waitUntil(async () => (await server.database.db.$count(outbox)) === 0)
    const [waiting] = await deliveries()
    const env = readEnv({ MATE_ALLOW_PRIVATE_AGENTS: 'true' })
    const context = { database: server.database, secret: await loadSecret(server.database, env), env }
    await attemptDelivery(context, { tenantId: tenant.id, deliveryId: waiting?.id ?? '', attempt: 1 })
    await sweepNotices(server.database, new Date(Date.now() + 40 * 86_400_000))
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    expect(receiver.received).toEqual([])
    expect(await deliveries()).toMatchObject([{ id: waiting?.id, status: 'pending', attempts: 0 }])

    await reactivate(tenant.id)
    await waitUntil(async () => receiver.received.length >= 2)
    const frozen = receiver.received.find(({ body }) => body.type === 'api_keys.frozen')
    expect(frozen?.id).toBe(waiting?.id)
    const entries = receiver.received.flatMap(({ body }) => (body.data.entries ?? []) as Input[])
    expect(entries.map(({ action }) => action)).toEqual(expect.arrayContaining(['tenant.deactivated']))
    const [row] = await server.database.db.select().from(webhooks).where(eq(webhooks.id, webhook.id))
    expect(row).toMatchObject({ isActive: true, failingSince: null })
  })
})

describe('the switch', () => {
  const page = (path: string, fields: Record<string, string>, { cookie }: SeededUser = home.person) =>
    postForm(server, path, cookie, fields)
  const shown = async (path = '/', person = home.person) => (await read(path, person)).text()
  const bar = 'Acting in another tenant'

  test('leads a SuperAdmin’s pages into another tenant and back, says so on each, and in that tenant’s log', async () => {
    const tenant = await seedTenant(server)
    const { name: agentName } = await seedAgent(server, tenant.id)
    const before = await countAudit(server, home.id)
    expect(await shown('/agents')).not.toContain(bar)
    expect((await page(`/tenants/${tenant.id}/enter`, {})).status).toBe(302)
    for (const path of ['/', '/agents', '/tenants', '/nowhere', '/agents/not-an-id']) {
      const text = await shown(path)
      expect([path, text.includes(bar), text.includes(tenant.name)]).toEqual([path, true, true])
    }
    expect(await shown('/agents')).toContain(agentName)
    const suite = { name: unique('Suite'), passThreshold: '80', delayBetweenTestsMs: '0' }
    expect((await page('/test-suites/new', suite)).status).toBe(302)
    // A second time is nothing new.
    expect((await page(`/tenants/${tenant.id}/enter`, {})).status).toBe(302)
    expect((await page('/tenants/leave', {})).status).toBe(302)
    expect((await page('/tenants/leave', {})).status).toBe(302)
    expect(await shown('/agents')).not.toContain(bar)
    expect(await shown('/agents')).not.toContain(agentName)
    const by = { actorKind: 'user', actorId: home.person.id, actorName: home.person.name, actorRole: 'SuperAdmin' }
    expect(await auditOf(server, tenant.id)).toMatchObject([
      { ...by, action: 'user.entered_tenant', entityType: 'user', entityId: home.person.id },
      { ...by, action: 'test_suite.created', entityName: suite.name },
      { ...by, action: 'user.left_tenant', entityType: 'user', entityId: home.person.id },
    ])
    expect(await countAudit(server, home.id)).toBe(before)
  })

  test('from one tenant straight to another leaves the first, and a deactivated one can be entered, to look', async () => {
    const first = await seedTenant(server)
    const second = await seedTenant(server, { isActive: false })
    await page(`/tenants/${first.id}/enter`, {})
    await page(`/tenants/${second.id}/enter`, {})
    const actionsOf = async ({ id }: { id: string }) => (await auditOf(server, id)).map(({ action }) => action)
    expect(await actionsOf(first)).toEqual(['user.entered_tenant', 'user.left_tenant'])
    expect(await actionsOf(second)).toEqual(['user.entered_tenant'])
    expect(await shown('/agents')).toContain('It is deactivated')
    const refused = await page('/test-suites/new', { name: 'x', passThreshold: '80', delayBetweenTestsMs: '0' })
    expect([refused.status, await refused.text()]).toEqual([403, expect.stringContaining('Reactivate it first')])
    expect((await page(`/tenants/${second.id}`, { intent: 'reactivate' })).status).toBe(302)
    await page('/tenants/leave', {})
  })

  test('is over when they sign out, and the tenant’s log says so', async () => {
    const tenant = await seedTenant(server)
    const person = await seedUser(server, home.id, 'SuperAdmin')
    await page(`/tenants/${tenant.id}/enter`, {}, person)
    expect((await page('/sign-out', {}, person)).status).toBe(302)
    const actions = (await auditOf(server, tenant.id)).map(({ action, actorId }) => [action, actorId])
    expect(actions).toEqual([
      ['user.entered_tenant', person.id],
      ['user.left_tenant', person.id],
    ])
    expect((await read('/agents', person)).status).toBe(302)
  })

  test('is a SuperAdmin’s alone, to a tenant that is there, and not to their own', async () => {
    const tenant = await seedTenant(server)
    const admin = await seedUser(server, tenant.id, 'TenantAdmin')
    expect((await page(`/tenants/${home.id}/enter`, {}, admin)).status).toBe(403)
    expect((await page('/tenants/leave', {}, admin)).status).toBe(403)
    const refusals = (await auditOf(server, tenant.id)).map(({ action, actorId }) => [action, actorId])
    expect(refusals).toEqual([
      ['user.refused', admin.id],
      ['user.refused', admin.id],
    ])
    expect((await page(`/tenants/${crypto.randomUUID()}/enter`, {})).status).toBe(404)
    expect((await page('/tenants/1/enter', {})).status).toBe(404)
    expect((await page(`/tenants/${home.id}/enter`, {})).status).toBe(400)
    for (const path of ['/tenants', '/tenants/new', `/tenants/${tenant.id}`]) expect((await read(path, admin)).status).toBe(403)
  })

  test('ends with the role and with the session, and is no other session’s', async () => {
    const tenant = await seedTenant(server)
    const { name: agentName } = await seedAgent(server, tenant.id)
    const person = await seedUser(server, (await seedTenant(server)).id, 'SuperAdmin')
    await page(`/tenants/${tenant.id}/enter`, {}, person)
    expect(await shown('/agents', person)).toContain(agentName)
    expect(await shown('/agents')).not.toContain(agentName)
    const role = (to: 'TenantAdmin' | 'SuperAdmin') =>
      server.database.db.update(users).set({ role: to }).where(eq(users.id, person.id))
    await role('TenantAdmin')
    expect(await shown('/agents', person)).not.toContain(bar)
    expect(await shown('/agents', person)).not.toContain(agentName)
    // One who is no SuperAdmin can't be led there by the row either.
    const [moved] = await server.database.db
      .select({ previous: sql<string>`previous` })
      .from(sql`mate_act_in((select id from sessions where user_id = ${person.id}), ${home.id}::uuid)`)
    expect(moved?.previous).toBe(tenant.id)
    expect(await server.database.db.select().from(sessions).where(eq(sessions.userId, person.id))).toMatchObject([
      { actingTenantId: tenant.id },
    ])
    await role('SuperAdmin')
    await page('/sign-out', {}, person)
    expect((await read('/agents', person)).status).toBe(302)
  })
})

test('a migration that meets two tenants of one name lets the older keep it', async () => {
  const { readFileSync } = await import('node:fs')
  const [, rename = ''] = readFileSync('db/migrations/0012_tenants.sql', 'utf8').split('-- Names are unique')
  const statement = rename.slice(rename.indexOf('update'), rename.indexOf(';'))
  const undo = new Error('rolled back')
  const name = unique('Twin')
  const work = server.database.db.transaction(async (tx) => {
    await tx.execute(sql`drop index tenants_name`)
    for (const [at, each] of [name, name.toUpperCase()].entries())
      await tx.insert(tenants).values({ name: each, createdAt: new Date(Date.UTC(2000, 0, 1 + at)) })
    await tx.execute(sql.raw(statement))
    const rows = await tx
      .select()
      .from(tenants)
      .where(sql`lower(name) like lower(${`${name}%`})`)
      .orderBy(tenants.createdAt)
    expect(rows.map((row) => row.name)).toEqual([name, `${name.toUpperCase()} (${rows[1]?.id.slice(0, 8)})`])
    throw undo
  })
  await expect(work).rejects.toBe(undo)
})

test('the audit log of a new tenant begins with its making', async () => {
  const { body } = await ask('POST', '', { name: unique('Tenant') })
  const entries = await server.database.db
    .select()
    .from(auditLog)
    .where(eq(auditLog.tenantId, String(body.id)))
  expect(entries.map(({ action }) => action)).toEqual(['tenant.created'])
})
