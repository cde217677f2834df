// Nobody gets a key above their own role: not by any door, not by any field, not by somebody else's key.
import { and, eq } from 'drizzle-orm'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { apiKeys } from '#db/schema.ts'
import type { Operation } from '#server/operations.ts'
import { isRoleAtLeast, type Role, roles } from '#server/roles.ts'
import { type Answer, callRest, callTrpc, countRows, type Input, openPageDoor, operations, rowsOf, unique } from './doors.ts'
import { auditOf, countAudit, seedAgent, seedKey, seedTenant, seedUser, useServer } from './harness.ts'

const server = useServer()
const doors = ['REST', 'tRPC', 'page'] as const
type Door = (typeof doors)[number]

interface Caller {
  id: string
  role: Role
  call(operation: Operation, input: Input, headers?: Record<string, string>): Promise<Answer>
}

const house = { id: '', foreign: '', foreignFormId: crypto.randomUUID(), callers: new Map<string, Caller>() }
const callerOf = (door: Door, role: Role): Caller => {
  const caller = house.callers.get(`${door} ${role}`)
  if (!caller) throw new Error('no caller')
  return caller
}
const operation = (name: string): Operation => {
  const found = operations.find((each) => each.name === name)
  if (!found) throw new Error(`there is no ${name}`)
  return found
}
const keysOf = (tenantId: string) => server.database.db.select().from(apiKeys).where(eq(apiKeys.tenantId, tenantId))
const keyNamed = async (tenantId: string, name: string) =>
  (
    await server.database.db
      .select()
      .from(apiKeys)
      .where(and(eq(apiKeys.tenantId, tenantId), eq(apiKeys.name, name)))
  ).at(0)

beforeAll(async () => {
  house.id = (await seedTenant(server)).id
  house.foreign = (await seedTenant(server)).id
  await seedKey(server, house.foreign, 'SuperAdmin', { formId: house.foreignFormId })
  const page = await openPageDoor(server)
  for (const role of roles) {
    const rest = await seedKey(server, house.id, role)
    const trpc = await seedKey(server, house.id, role)
    const user = await seedUser(server, house.id, role)
    const add = (door: Door, id: string, call: Caller['call']) => house.callers.set(`${door} ${role}`, { id, role, call })
    add('REST', rest.id, (to, input, headers) => callRest(server, to, input, { key: rest.key, headers }))
    add('tRPC', trpc.id, (to, input, headers) => callTrpc(server, to, input, { key: trpc.key, headers }))
    add('page', user.id, (to, input) => page(to, input, user.cookie))
  }
})

const anyRole = fc.constantFrom(...roles)

/** What somebody who wants more might add to the form, all of it unknown to the operation. */
const forgedFields = fc.dictionary(
  fc.constantFrom(
    'createdBy',
    'createdById',
    'created_by_id',
    'createdByKind',
    'createdByName',
    'tenantId',
    'tenant_id',
    'tenant',
    'keyHash',
    'key_hash',
    'key',
    'prefix',
    'status',
    'id',
    'revokedAt',
    'lastUsedAt',
    'roles',
    'Role',
    'isAdmin',
    'principal',
    'constructor',
  ),
  fc.oneof(fc.constantFrom<unknown>('SuperAdmin', null, true, 0), fc.uuid(), fc.constant({ role: 'SuperAdmin' })),
  { minKeys: 1, maxKeys: 3 },
)

/** Values that some parser might take for a role. */
const notRoles = fc.oneof(
  fc.constantFrom<unknown>(
    ...[
      'superadmin',
      'SUPERADMIN',
      'SuperAdmin ',
      ' SuperAdmin',
      'SuperAdmin,Viewer',
      'Super\u200bAdmin',
      'ЅuperAdmin',
      'Owner',
      '',
    ],
    ...[null, true, 3, -1, ['SuperAdmin'], ['Viewer', 'SuperAdmin'], { role: 'SuperAdmin' }, { $ne: 'Viewer' }],
  ),
  fc.string().filter((text) => !(roles as readonly string[]).includes(text) && text.isWellFormed() && !text.includes('\0')),
)

describe.each(doors)('by %s', (door) => {
  test('a key is granted exactly when its role is not above that of an admin who asks, and is what was asked for', async () => {
    await fc.assert(
      fc.asyncProperty(anyRole, anyRole, fc.boolean(), async (held, granted, hasForeignFormId) => {
        const caller = callerOf(door, held)
        const name = unique('Minted')
        const before = await rowsOf(server, house.id)
        const total = await countRows(server)
        const input = { name, role: granted, ...(hasForeignFormId ? { formId: crypto.randomUUID() } : {}) }
        const answer = await caller.call(operation('apiKeys.create'), input)
        const isAllowed = isRoleAtLeast(held, 'TenantAdmin') && isRoleAtLeast(held, granted)
        const row = await keyNamed(house.id, name)
        if (!isAllowed) {
          expect(answer.status).toBe(403)
          expect(answer.problem.detail).toContain(held)
          expect(row).toBeUndefined()
          expect(await rowsOf(server, house.id)).toBe(before)
          expect(await countRows(server)).toBe(total)
          return
        }
        expect(answer.status).toBe(door === 'REST' ? 201 : 200)
        expect(row).toMatchObject({ role: granted, tenantId: house.id, createdById: caller.id, revokedAt: null })
        expect(answer.output).toMatchObject({ role: granted, createdBy: { id: caller.id }, status: 'active' })
      }),
      { numRuns: 25 },
    )
  })

  test('a form id that another tenant has used makes a key of the caller’s own tenant, and tells nothing of the other', async () => {
    const caller = callerOf(door, 'TenantAdmin')
    const foreign = await rowsOf(server, house.foreign)
    const name = unique('Minted')
    await server.database.db.delete(apiKeys).where(and(eq(apiKeys.tenantId, house.id), eq(apiKeys.formId, house.foreignFormId)))
    const answer = await caller.call(operation('apiKeys.create'), { name, role: 'Viewer', formId: house.foreignFormId })
    expect(answer.problem).toEqual({})
    expect(await keyNamed(house.id, name)).toMatchObject({ role: 'Viewer', tenantId: house.id })
    expect(await rowsOf(server, house.foreign)).toBe(foreign)
  })

  test('a field that the operation does not name is refused, and nothing is made or changed, in any tenant', async () => {
    const target = await seedKey(server, house.id, 'Viewer')
    await fc.assert(
      fc.asyncProperty(anyRole, anyRole, forgedFields, fc.boolean(), async (held, granted, forged, isUpdate) => {
        const caller = callerOf(door, held)
        const before = [await rowsOf(server, house.id), await rowsOf(server, house.foreign), await countRows(server)]
        const audit = await countAudit(server, house.id)
        const name = unique('Minted')
        // `id` is a field of an update; role is not.
        const { id: _, ...others } = forged
        const answer = isUpdate
          ? await caller.call(operation('apiKeys.update'), { ...others, role: granted, id: target.id, name })
          : await caller.call(operation('apiKeys.create'), { ...forged, name, role: granted })
        expect(answer.status).toBe(isRoleAtLeast(held, 'TenantAdmin') ? 400 : 403)
        expect([await rowsOf(server, house.id), await rowsOf(server, house.foreign), await countRows(server)]).toEqual(before)
        const entries = await auditOf(server, house.id, audit)
        expect(entries.filter(({ outcome }) => outcome === 'success')).toEqual([])
      }),
      { numRuns: 25 },
    )
  })

  test('what is not one of the four names is no role', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom<Role>('TenantAdmin', 'SuperAdmin'), notRoles, async (held, role) => {
        const total = await countRows(server)
        const answer = await callerOf(door, held).call(operation('apiKeys.create'), { name: unique('Minted'), role })
        expect(answer.status).toBe(400)
        expect(answer.problem.errors?.map(({ path }) => path)).toEqual(['role'])
        expect(await countRows(server)).toBe(total)
      }),
      { numRuns: 25 },
    )
  })

  test.each(['apiKeys.update', 'apiKeys.revoke', 'apiKeys.delete'])(
    '%s: nobody touches a key above their own role, and an admin may touch the others',
    async (name) => {
      for (const held of roles) {
        for (const of of roles) {
          const caller = callerOf(door, held)
          const target = await seedKey(server, house.id, of)
          const before = await rowsOf(server, house.id)
          const audit = await countAudit(server, house.id)
          const input = { id: target.id, ...(name === 'apiKeys.update' ? { name: unique('Renamed') } : {}) }
          const answer = await caller.call(operation(name), input)
          const entries = await auditOf(server, house.id, audit)
          if (isRoleAtLeast(held, 'TenantAdmin') && isRoleAtLeast(held, of)) {
            expect([held, of, answer.status, answer.problem]).toEqual([held, of, expect.toBeOneOf([200, 204]), {}])
            expect(await rowsOf(server, house.id)).not.toBe(before)
            expect(entries).toMatchObject([{ outcome: 'success', entityId: target.id, actorId: caller.id }])
          } else {
            expect([held, of, answer.status]).toEqual([held, of, 403])
            expect(answer.problem.detail).toContain(held)
            expect(await rowsOf(server, house.id)).toBe(before)
            expect(entries.filter(({ outcome }) => outcome === 'success')).toEqual([])
          }
        }
      }
    },
  )
})

describe('around the fields', () => {
  test('X-Tenant-Id lets nobody but a SuperAdmin make a key elsewhere, and a SuperAdmin’s is made there under its name', async () => {
    for (const door of ['REST', 'tRPC'] as const) {
      for (const held of roles) {
        const caller = callerOf(door, held)
        const before = [await rowsOf(server, house.id), await rowsOf(server, house.foreign)]
        const name = unique('Minted')
        const headers = { 'x-tenant-id': house.foreign }
        const answer = await caller.call(operation('apiKeys.create'), { name, role: 'Viewer' }, headers)
        if (held === 'SuperAdmin') {
          expect(answer.problem).toEqual({})
          expect(await keyNamed(house.foreign, name)).toMatchObject({ role: 'Viewer', createdById: caller.id })
          expect(await keyNamed(house.id, name)).toBeUndefined()
        } else {
          expect(answer.status).toBe(403)
          expect([await rowsOf(server, house.id), await rowsOf(server, house.foreign)]).toEqual(before)
        }
      }
    }
  })

  test('a role said twice in one JSON body counts as the last, and that one is checked', async () => {
    const { key } = await seedKey(server, house.id, 'TenantAdmin')
    const before = await rowsOf(server, house.id)
    const headers = { 'content-type': 'application/json' }
    const body = `{"name":"Twice","role":"Viewer","role":"SuperAdmin"}`
    for (const path of ['/api/admin/api-keys', '/trpc/apiKeys.create']) {
      const response = await server.request(path, { method: 'POST', key, body, headers })
      expect(response.status).toBe(403)
    }
    expect(await rowsOf(server, house.id)).toBe(before)
  })

  test('a role in the query, in a header or in another form’s encoding grants nothing', async () => {
    const { key } = await seedKey(server, house.id, 'TenantAdmin')
    const before = await rowsOf(server, house.id)
    const json = { name: 'Elsewhere', role: 'Viewer' }
    const post = { method: 'POST', key }
    const byQuery = await server.request('/api/admin/api-keys?role=SuperAdmin', { ...post, json })
    expect(byQuery.status).toBe(400)
    const form = {
      ...post,
      body: 'name=Elsewhere&role=SuperAdmin',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    }
    expect((await server.request('/api/admin/api-keys', form)).status).toBe(415)
    expect((await server.request('/trpc/apiKeys.create', form)).status).toBe(415)
    expect(await rowsOf(server, house.id)).toBe(before)
    const headers = { 'x-role': 'SuperAdmin', role: 'SuperAdmin', 'x-http-method-override': 'DELETE' }
    const byHeader = await server.request('/api/admin/api-keys', { ...post, json, headers })
    expect(await byHeader.json()).toMatchObject({ role: 'Viewer' })
  })

  test('an agent has no field that grants: a role among its fields is refused', async () => {
    const { key } = await seedKey(server, house.id, 'TenantAdmin')
    const agent = await seedAgent(server, house.id)
    const before = await rowsOf(server, house.id)
    const connector = { type: 'http', url: 'https://a.example/' }
    for (const extra of [{ role: 'SuperAdmin' }, { tenantId: house.foreign }, { id: agent.id }, { connectorSecret: 'x' }]) {
      const json = { name: unique('Agent'), environment: 'dev', connector, ...extra }
      expect((await server.request('/api/agents', { method: 'POST', key, json })).status).toBe(400)
      expect((await server.request(`/api/agents/${agent.id}`, { method: 'PUT', key, json })).status).toBe(400)
    }
    expect(await rowsOf(server, house.id)).toBe(before)
  })

  test('at the end of it all, no caller below SuperAdmin has made a SuperAdmin’s key, and none but an admin has made any', async () => {
    const made = (await keysOf(house.id)).filter(({ createdByKind }) => createdByKind !== 'console')
    expect(made.length).toBeGreaterThan(20)
    const roleOf = new Map([...house.callers.values()].map(({ id, role }) => [id, role]))
    for (const key of made) {
      const maker = roleOf.get(key.createdById) ?? 'TenantAdmin' // the others of this file are TenantAdmins
      expect(isRoleAtLeast(maker, 'TenantAdmin') && isRoleAtLeast(maker, key.role)).toBe(true)
    }
  })
})
