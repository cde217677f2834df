// A lower role on trial refuses nothing and counts what it would have refused; applied, it is the key's role, and only ever lower.
import { eq, sql } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { apiKeys } from '#db/schema.ts'
import { anAgent, aShadow, eventually, rowsOf } from './doors.ts'
import { auditOf, countAudit, type SeededKey, seedKey, seedTenant, useServer } from './harness.ts'

interface Shadow {
  role: string
  since: string
  until: string
  isOver: boolean
  refusals: { operation: string; calls: number; lastAt: string }[]
}

const server = useServer()
const house = { id: '', admin: {} as SeededKey, root: {} as SeededKey }
beforeAll(async () => {
  house.id = (await seedTenant(server)).id
  house.admin = await seedKey(server, house.id, 'TenantAdmin')
  house.root = await seedKey(server, house.id, 'SuperAdmin')
})

const pathOf = ({ id }: SeededKey) => `/api/admin/api-keys/${id}/shadow`
const start = (key: SeededKey, json: object, by = house.admin) =>
  server.request(pathOf(key), { method: 'POST', key: by.key, json })
const drop = (key: SeededKey, by = house.admin) => server.request(pathOf(key), { method: 'DELETE', key: by.key })
const apply = (key: SeededKey, by = house.admin) => server.request(`${pathOf(key)}/apply`, { method: 'POST', key: by.key })
const shadowOf = async (key: SeededKey): Promise<Shadow | null> => {
  const response = await server.request(`/api/admin/api-keys/${key.id}/usage`, { key: house.admin.key })
  return ((await response.json()) as { shadow: Shadow | null }).shadow
}
const create = ({ key }: SeededKey) => server.request('/api/agents', { method: 'POST', key, json: anAgent() })
const roleOf = async ({ id }: SeededKey) =>
  (await server.database.db.select({ role: apiKeys.role }).from(apiKeys).where(eq(apiKeys.id, id)))[0]?.role
const counted = (key: SeededKey, calls: number) =>
  eventually(
    () => shadowOf(key),
    (shadow) => (shadow?.refusals ?? []).reduce((sum, each) => sum + each.calls, 0) >= calls,
  )

describe('on trial', () => {
  test('calls that the lower role would refuse pass, and are counted by operation; those it allows are not', async () => {
    const key = await seedKey(server, house.id, 'TenantAdmin')
    const before = Date.now()
    const started = await start(key, { role: 'Viewer' })
    expect(started.status).toBe(200)
    const shadow = (await started.json()) as Shadow
    expect(shadow).toMatchObject({ role: 'Viewer', isOver: false, refusals: [] })
    expect(Date.parse(shadow.until) - Date.parse(shadow.since)).toBeCloseTo(7 * 86_400_000, -2)
    for (let i = 0; i < 3; i++) expect((await create(key)).status).toBe(201)
    for (let i = 0; i < 2; i++) expect((await server.request('/api/admin/api-keys', { key: key.key })).status).toBe(200)
    for (let i = 0; i < 4; i++) expect((await server.request('/api/agents', { key: key.key })).status).toBe(200)
    const { refusals } = (await counted(key, 5)) ?? {}
    expect(refusals).toEqual([
      { operation: 'agents.create', calls: 3, lastAt: expect.any(String) },
      { operation: 'apiKeys.list', calls: 2, lastAt: expect.any(String) },
    ])
    for (const { lastAt } of refusals ?? []) {
      expect(Date.parse(lastAt)).toBeGreaterThanOrEqual(before)
      expect(Date.parse(lastAt)).toBeLessThanOrEqual(Date.now())
    }
    expect(await roleOf(key)).toBe('TenantAdmin')
  })

  test('by a role between, only what stands above it is counted: acting for a higher role, or in another tenant', async () => {
    const other = await seedTenant(server)
    const key = await seedKey(server, house.id, 'SuperAdmin')
    expect((await start(key, { role: 'TenantAdmin' }, house.root)).status).toBe(200)
    expect((await create(key)).status).toBe(201)
    expect((await server.request('/api/agents', { key: key.key, headers: { 'x-tenant-id': other.id } })).status).toBe(200)
    expect((await counted(key, 1))?.refusals).toMatchObject([{ operation: 'agents.list', calls: 1 }])
  })

  test('it is counted anew when another trial replaces it, and not at all once its days are over', async () => {
    const key = await seedKey(server, house.id, 'TenantAdmin')
    await start(key, { role: 'Viewer', days: 1 })
    await create(key)
    await counted(key, 1)
    const again = (await (await start(key, { role: 'Tester', days: 30 })).json()) as Shadow
    expect(again).toMatchObject({ role: 'Tester', refusals: [] })
    expect(await shadowOf(key)).toEqual(again)

    const over = await seedKey(server, house.id, 'TenantAdmin', { ...aShadow(), shadowUntil: new Date(Date.now() - 1) })
    await create(over)
    await create(key)
    // One batch writes both.
    await counted(key, 1)
    expect(await shadowOf(over)).toMatchObject({ role: 'Viewer', isOver: true, refusals: [] })
  })

  test('it is between 1 and 30 days, of a role lower than the key’s, on an active key', async () => {
    const key = await seedKey(server, house.id, 'Tester')
    const before = [await rowsOf(server, house.id), await countAudit(server, house.id)]
    for (const json of [{ role: 'Tester' }, { role: 'TenantAdmin' }, { role: 'SuperAdmin' }, { role: 'Public' }, {}]) {
      expect([json, (await start(key, json)).status]).toEqual([json, 400])
    }
    for (const days of [0, 31, 1.5, -1, '7', null]) {
      expect([days, (await start(key, { role: 'Viewer', days })).status]).toEqual([days, 400])
    }
    expect([await rowsOf(server, house.id), await countAudit(server, house.id)]).toEqual(before)
    for (const fields of [{ revokedAt: new Date() }, { expiresAt: new Date(Date.now() - 1) }]) {
      const dead = await seedKey(server, house.id, 'Tester', { ...fields, ...aShadow() })
      expect((await start(dead, { role: 'Viewer' })).status).toBe(409)
      expect((await apply(dead)).status).toBe(409)
      expect(await roleOf(dead)).toBe('Tester')
    }
  })

  test('nobody starts, drops or applies it on a key above their own role', async () => {
    const key = await seedKey(server, house.id, 'SuperAdmin', aShadow())
    const before = await rowsOf(server, house.id)
    for (const answer of [await start(key, { role: 'Viewer' }), await drop(key), await apply(key)]) {
      expect(answer.status).toBe(403)
    }
    expect(await rowsOf(server, house.id)).toBe(before)
  })
})

describe('dropped', () => {
  test('the key keeps its role, nothing is counted any more, and a second time changes nothing', async () => {
    const key = await seedKey(server, house.id, 'TenantAdmin')
    await start(key, { role: 'Viewer', days: 2 })
    expect((await drop(key)).status).toBe(204)
    expect(await shadowOf(key)).toBeNull()
    expect(await roleOf(key)).toBe('TenantAdmin')
    const audit = await countAudit(server, house.id)
    expect((await drop(key)).status).toBe(204)
    expect(await countAudit(server, house.id)).toBe(audit)
    expect((await apply(key)).status).toBe(409)
  })
})

describe('applied', () => {
  test('it is the key’s role: what it refuses is refused, what it allows goes on, and all of it is in the log', async () => {
    const key = await seedKey(server, house.id, 'TenantAdmin')
    const audit = await countAudit(server, house.id)
    const shadow = (await (await start(key, { role: 'Tester', days: 3 })).json()) as Shadow
    const applied = await apply(key)
    expect(applied.status).toBe(200)
    expect(await applied.json()).toMatchObject({ id: key.id, role: 'Tester', status: 'active' })
    expect((await create(key)).status).toBe(403)
    expect((await server.request('/api/agents', { key: key.key })).status).toBe(200)
    expect(await shadowOf(key)).toBeNull()
    const entries = await auditOf(server, house.id, audit)
    expect(entries.map(({ action, details }) => [action, details])).toEqual([
      ['api_key.shadow_started', { after: { shadowRole: 'Tester', shadowUntil: shadow.until } }],
      ['api_key.role_lowered', { before: { role: 'TenantAdmin' }, after: { role: 'Tester' } }],
      ['api_key.refused', expect.anything()],
    ])
    expect((await apply(key)).status).toBe(409)
  })

  test('the database itself lets a request lower a role only: never raise it, never of another tenant’s key', async () => {
    const [high, same, none] = [
      await seedKey(server, house.id, 'Viewer', { ...aShadow(), shadowRole: 'SuperAdmin' }),
      await seedKey(server, house.id, 'Viewer', aShadow()),
      await seedKey(server, house.id, 'Tester'),
    ]
    const foreign = await seedKey(server, (await seedTenant(server)).id, 'Tester', aShadow())
    const lowered = await server.database.transaction(async (tx) => {
      await tx.execute(sql`select set_config('role', 'mate_app', true), set_config('mate.tenant_id', ${house.id}, true)`)
      const answers = []
      for (const { id } of [high, same, none, foreign]) {
        const [row] = await tx.select({ isDone: sql<boolean>`mate_lower_key_role(${id}::uuid)` }).from(sql`(select) as once`)
        answers.push(row?.isDone)
      }
      return answers
    })
    expect(lowered).toEqual([false, false, false, false])
    expect(await Promise.all([high, same, none, foreign].map(roleOf))).toEqual(['Viewer', 'Viewer', 'Tester', 'Tester'])
  })
})
