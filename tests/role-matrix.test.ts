// Every role × every operation × every door, generated from the metadata: what the role may do is done, the rest is refused.
import { beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { defineOperations, listOperations } from '#server/operations.ts'
import { type Role, roles } from '#server/roles.ts'
import { type Meta, t } from '#server/trpc.ts'
import { callRest, callTrpc, openPageDoor, operations, rowsOf, validInput, validInputs } from './doors.ts'
import { auditOf, countAudit, seedKey, seedTenant, seedUser, useServer } from './harness.ts'

const server = useServer()
const page: { call?: Awaited<ReturnType<typeof openPageDoor>> } = {}
beforeAll(async () => {
  page.call = await openPageDoor(server)
})

// The least role of every operation, by hand: a change of the metadata that lets more people in has to be made here too.
const leastRoles: Record<string, Role> = {
  'me.get': 'Viewer',
  'agents.list': 'Viewer',
  'agents.get': 'Viewer',
  'agents.create': 'TenantAdmin',
  'agents.update': 'TenantAdmin',
  'agents.delete': 'TenantAdmin',
  'apiKeys.list': 'TenantAdmin',
  'apiKeys.get': 'TenantAdmin',
  'apiKeys.create': 'TenantAdmin',
  'apiKeys.update': 'TenantAdmin',
  'apiKeys.revoke': 'TenantAdmin',
  'apiKeys.delete': 'TenantAdmin',
  'auditLog.list': 'TenantAdmin',
}

const isAllowed = (operation: string, role: Role) => roles.indexOf(role) >= roles.indexOf(leastRoles[operation] ?? 'SuperAdmin')

test('every operation has a least role and an input in these tests, and no test is left of one that is gone', () => {
  const names = operations.map(({ name }) => name).sort()
  expect(Object.keys(validInputs).sort()).toEqual(names)
  expect(Object.fromEntries(operations.map(({ name, meta }) => [name, meta.role]))).toEqual(leastRoles)
})

describe.each(['REST', 'tRPC', 'page'] as const)('by %s', (door) => {
  describe.each(roles)('a %s', (role) => {
    const caller = { tenantId: '', id: '', name: '', credential: '' }
    beforeAll(async () => {
      caller.tenantId = (await seedTenant(server)).id
      if (door === 'page') {
        const { id, name, cookie } = await seedUser(server, caller.tenantId, role)
        Object.assign(caller, { id, name, credential: cookie })
      } else {
        const { id, name, key } = await seedKey(server, caller.tenantId, role)
        Object.assign(caller, { id, name, credential: key })
      }
    })

    const call = async (operation: (typeof operations)[number], input: Record<string, unknown>) => {
      if (door === 'REST') return callRest(server, operation, input, { key: caller.credential })
      if (door === 'tRPC') return callTrpc(server, operation, input, { key: caller.credential })
      if (!page.call) throw new Error('the door is not open')
      return page.call(operation, input, caller.credential)
    }

    for (const operation of operations) {
      if (!isAllowed(operation.name, role)) {
        test(`is refused ${operation.name}: 403 that names both roles, nothing changed, one entry`, async () => {
          const input = await validInput(server, operation, caller.tenantId)
          const before = { rows: await rowsOf(server, caller.tenantId), audit: await countAudit(server, caller.tenantId) }
          const answer = await call(operation, input)
          expect(answer.status).toBe(403)
          expect(answer.problem).toMatchObject({ status: 403, code: 'forbidden', title: 'Forbidden' })
          expect(answer.problem.detail).toContain(`needs the role ${operation.meta.role};`)
          expect(answer.problem.detail).toContain(`has ${role}.`)
          expect(await rowsOf(server, caller.tenantId)).toBe(before.rows)
          expect((await auditOf(server, caller.tenantId)).slice(before.audit)).toMatchObject([
            {
              action: door === 'page' ? 'user.refused' : 'api_key.refused',
              outcome: 'refused',
              actorId: caller.id,
              actorRole: role,
              entityId: caller.id,
              details: { operation: operation.name, reason: answer.problem.detail },
            },
          ])
        })
        continue
      }

      const effect = operation.kind === 'query' ? 'changes nothing' : 'is audited once'
      test(`may call ${operation.name}, which ${effect}`, async () => {
        const input = await validInput(server, operation, caller.tenantId)
        const before = { rows: await rowsOf(server, caller.tenantId), audit: await countAudit(server, caller.tenantId) }
        const answer = await call(operation, input)
        expect(answer.problem).toEqual({})
        expect(answer.status).toBe((door === 'REST' && operation.meta.openapi.status) || 200)
        const entries = (await auditOf(server, caller.tenantId)).slice(before.audit)
        if (operation.kind === 'query') {
          expect(await rowsOf(server, caller.tenantId)).toBe(before.rows)
          expect(entries).toEqual([])
        } else {
          expect(await rowsOf(server, caller.tenantId)).not.toBe(before.rows)
          expect(entries).toMatchObject([
            { action: operation.meta.audit, outcome: 'success', actorId: caller.id, actorRole: role },
          ])
        }
      })
    }

    test('is told by me.get exactly the operations that it may call', async () => {
      const me = operations.find(({ name }) => name === 'me.get')
      if (!me) throw new Error('there is no me.get')
      const { output } = await call(me, {})
      const allowed = operations.map(({ name }) => name).filter((name) => isAllowed(name, role))
      expect(output.operations).toEqual(allowed)
      expect(output).toMatchObject({ id: caller.id, name: caller.name, role, tenant: { id: caller.tenantId } })
    })
  })
})

describe('the admin pages by HTTP', () => {
  test.each(roles)(
    'a %s sees API keys and the audit log only as an admin, and neither sees who is not signed in',
    async (role) => {
      const tenant = await seedTenant(server)
      const { name } = await seedKey(server, tenant.id, 'Viewer')
      const { cookie } = await seedUser(server, tenant.id, role)
      for (const path of ['/api-keys', '/api-keys/new', '/audit-log', '/api-keys.data', '/audit-log.data']) {
        const response = await server.request(path, { headers: { cookie } })
        const text = await response.text()
        expect([path, response.status]).toEqual([path, isAllowed('apiKeys.list', role) ? 200 : 403])
        if (!isAllowed('apiKeys.list', role)) expect(text).not.toContain(name)
        const anonymous = await server.request(path)
        expect(await anonymous.text()).not.toContain(name)
        expect(anonymous.status).not.toBe(200)
      }
    },
  )
})

describe('an incomplete procedure is refused at the start, by name:', () => {
  const openapi: Meta['openapi'] = { method: 'GET', path: '/x', summary: 'x', description: 'x', tags: ['x'] }
  const withMeta = (meta: Partial<Meta>) => t.procedure.meta(meta as Meta).input(z.strictObject({})) // incomplete on purpose
  const complete = t.router({ read: withMeta({ role: 'Viewer', openapi }).query(() => null) })
  const faulty = {
    'no role': [withMeta({ openapi }).query(() => null), 'things.faulty declares no role'],
    'no metadata at all': [t.procedure.input(z.strictObject({})).query(() => null), 'things.faulty declares no role'],
    'no REST path': [withMeta({ role: 'Viewer' }).query(() => null), 'things.faulty declares no REST path'],
    'a mutation without an audit event': [
      withMeta({ role: 'Viewer', openapi }).mutation(() => null),
      'things.faulty changes something and declares no audit event',
    ],
    'no input': [t.procedure.meta({ role: 'Viewer', openapi }).query(() => null), 'things.faulty declares no input'],
  } as const

  test.each(Object.entries(faulty))('%s', (_, [procedure, message]) => {
    const router = t.router({ things: t.router({ faulty: procedure }), fine: complete })
    const known = listOperations()
    expect(() => defineOperations(router)).toThrow(message)
    expect(() => defineOperations(router)).not.toThrow('fine.read')
    expect(listOperations()).toBe(known)
  })
})
