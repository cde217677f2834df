// Every role × every operation × every door, generated from the metadata: what the role may do is done, the rest is refused.
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { defineOperations, listOperations } from '#server/operations.ts'
import { type Role, roles } from '#server/roles.ts'
import { type Meta, t } from '#server/trpc.ts'
import {
  callRest,
  callTrpc,
  isEffective,
  isOnlyAudited,
  openPageDoor,
  operations,
  rowsOf,
  subjectOf,
  thaw,
  validInput,
  validInputs,
} from './doors.ts'
import { auditOf, countAudit, seedKey, seedTenant, seedUser, useServer } from './harness.ts'

const server = useServer()
afterEach(() => thaw(server))

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
  'agents.replaceConnector': 'TenantAdmin',
  'agents.delete': 'TenantAdmin',
  'testSuites.list': 'Viewer',
  'testSuites.get': 'Viewer',
  'testSuites.create': 'TenantAdmin',
  'testSuites.update': 'TenantAdmin',
  'testSuites.delete': 'TenantAdmin',
  'testCases.list': 'Viewer',
  'testCases.get': 'Viewer',
  'testCases.create': 'TenantAdmin',
  'testCases.update': 'TenantAdmin',
  'testCases.delete': 'TenantAdmin',
  'judgeSettings.list': 'Viewer',
  'judgeSettings.get': 'Viewer',
  'judgeSettings.create': 'TenantAdmin',
  'judgeSettings.update': 'TenantAdmin',
  'judgeSettings.delete': 'TenantAdmin',
  'metrics.getSummary': 'Viewer',
  'agents.testConnection': 'Tester',
  'apiKeys.list': 'TenantAdmin',
  'apiKeys.get': 'TenantAdmin',
  'apiKeys.create': 'TenantAdmin',
  'apiKeys.update': 'TenantAdmin',
  'apiKeys.revoke': 'TenantAdmin',
  'apiKeys.delete': 'TenantAdmin',
  'apiKeys.rotate': 'TenantAdmin',
  'apiKeys.getFreeze': 'TenantAdmin',
  'apiKeys.freeze': 'TenantAdmin',
  'apiKeys.unfreeze': 'TenantAdmin',
  'apiKeys.bulkRevoke': 'TenantAdmin',
  'apiKeys.getUsage': 'TenantAdmin',
  'apiKeys.listPermissions': 'TenantAdmin',
  'apiKeys.startShadow': 'TenantAdmin',
  'apiKeys.dropShadow': 'TenantAdmin',
  'apiKeys.applyShadow': 'TenantAdmin',
  'roles.list': 'Viewer',
  'tenants.getCurrent': 'TenantAdmin',
  'tenants.list': 'SuperAdmin',
  'tenants.get': 'SuperAdmin',
  'tenants.create': 'SuperAdmin',
  'tenants.update': 'SuperAdmin',
  'tenants.deactivate': 'SuperAdmin',
  'tenants.reactivate': 'SuperAdmin',
  'runs.list': 'Viewer',
  'runs.get': 'Viewer',
  'runs.create': 'Tester',
  'runs.cancel': 'Tester',
  'runs.delete': 'TenantAdmin',
  'results.list': 'Viewer',
  'results.get': 'Viewer',
  'results.getTranscript': 'Viewer',
  'results.setHumanVerdict': 'Tester',
  'auditLog.list': 'TenantAdmin',
  'auditLog.getChain': 'TenantAdmin',
  'auditLog.setRetention': 'TenantAdmin',
  'auditLog.export': 'TenantAdmin',
  'notices.list': 'TenantAdmin',
  'notices.dismiss': 'TenantAdmin',
  'webhooks.list': 'TenantAdmin',
  'webhooks.get': 'TenantAdmin',
  'webhooks.create': 'TenantAdmin',
  'webhooks.update': 'TenantAdmin',
  'webhooks.delete': 'TenantAdmin',
  'webhooks.rotate': 'TenantAdmin',
  'webhooks.test': 'TenantAdmin',
  'webhooks.listDeliveries': 'TenantAdmin',
  'webhooks.redeliver': 'TenantAdmin',
  'users.list': 'TenantAdmin',
  'users.get': 'TenantAdmin',
  'users.listKeys': 'TenantAdmin',
  'users.update': 'TenantAdmin',
  'users.deactivate': 'TenantAdmin',
  'users.reactivate': 'TenantAdmin',
  'users.resetSecondFactor': 'TenantAdmin',
  'users.delete': 'TenantAdmin',
  'invitations.list': 'TenantAdmin',
  'invitations.create': 'TenantAdmin',
  'invitations.revoke': 'TenantAdmin',
  'identityProviders.list': 'SuperAdmin',
  'identityProviders.get': 'SuperAdmin',
  'identityProviders.create': 'SuperAdmin',
  'identityProviders.update': 'SuperAdmin',
  'identityProviders.delete': 'SuperAdmin',
  'identityProviders.test': 'SuperAdmin',
  'signInPolicy.get': 'TenantAdmin',
  'signInPolicy.update': 'TenantAdmin',
  'trustRules.list': 'TenantAdmin',
  'trustRules.get': 'TenantAdmin',
  'trustRules.create': 'TenantAdmin',
  'trustRules.update': 'TenantAdmin',
  'trustRules.delete': 'TenantAdmin',
}

/** What needs no credential, by hand too: anyone may call it, whatever the role. */
const publicOperations = ['apiKeys.reportLeak', 'tokens.exchange']

const isAllowed = (operation: string, role: Role) => roles.indexOf(role) >= roles.indexOf(leastRoles[operation] ?? 'SuperAdmin')

/** What the pages show of a role, by the table above and not by the code that the gate asks. */
function permissionsBy(role: Role) {
  return listOperations().map(({ name, meta: { openapi } }) => {
    const allowed = publicOperations.includes(name) || isAllowed(name, role)
    const reason = allowed ? null : `Needs the role ${leastRoles[name]}.`
    const { summary, method, path, tags } = openapi
    return { operation: name, summary, method, path: `/api${path}`, tag: tags[0], allowed, reason }
  })
}

test('a key is shown what it may call by its role, and nothing once it is revoked or expired', async () => {
  const tenant = await seedTenant(server)
  const admin = await seedKey(server, tenant.id, 'TenantAdmin')
  const shownOf = async (role: Role, fields = {}) => {
    const { id } = await seedKey(server, tenant.id, role, fields)
    const response = await server.request(`/api/admin/api-keys/${id}/permissions`, { key: admin.key })
    return (await response.json()).items
  }
  for (const role of roles) expect(await shownOf(role)).toEqual(permissionsBy(role))
  const ended = [
    ['revoked', { revokedAt: new Date() }],
    ['expired', { expiresAt: new Date(Date.now() - 1_000) }],
  ] as const
  for (const [status, fields] of ended) {
    const refused = { allowed: false, reason: `The key is ${status}.` }
    const expected = permissionsBy('SuperAdmin').map((each) =>
      publicOperations.includes(each.operation) ? each : { ...each, ...refused },
    )
    expect(await shownOf('SuperAdmin', fields)).toEqual(expected)
  }
})

test('every operation has a least role and an input in these tests, and no test is left of one that is gone', () => {
  const names = operations.map(({ name }) => name).sort()
  expect(Object.keys(validInputs).sort()).toEqual(names)
  expect(Object.fromEntries(operations.map(({ name, meta }) => [name, meta.role]))).toEqual(leastRoles)
  const rest = listOperations().filter(({ name }) => !names.includes(name))
  expect(rest.map(({ name, meta }) => [name, meta.role])).toEqual(publicOperations.map((name) => [name, 'Public']))
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
          expect(await auditOf(server, caller.tenantId, before.audit)).toMatchObject([
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

      const effect = isEffective(operation) ? 'is audited once' : 'changes nothing'
      test(`may call ${operation.name}, which ${effect}`, async () => {
        const input = await validInput(server, operation, caller.tenantId)
        const known = subjectOf(operation, input, {}, caller.tenantId)
        const before = { rows: await rowsOf(server, known), audit: await countAudit(server, known) }
        const answer = await call(operation, input)
        expect(answer.problem).toEqual({})
        expect(answer.status).toBe((door === 'REST' && operation.meta.openapi.status) || 200)
        // A tenant that was made now has an empty log until then.
        const subject = subjectOf(operation, input, answer.output, caller.tenantId)
        const entries = await auditOf(server, subject, subject === known ? before.audit : 0)
        if (!isEffective(operation)) {
          expect(await rowsOf(server, subject)).toBe(before.rows)
          expect(entries).toEqual([])
        } else {
          if (!isOnlyAudited(operation)) expect(await rowsOf(server, subject)).not.toBe(before.rows)
          expect(entries).toMatchObject([
            { action: operation.meta.audit, outcome: 'success', actorId: caller.id, actorRole: role },
          ])
        }
      })
    }

    test('is shown by roles.list what it may call, and what not and why', async () => {
      const list = operations.find(({ name }) => name === 'roles.list')
      if (!list) throw new Error('there is no roles.list')
      const { output } = await call(list, {})
      const items = output.items as { role: Role; operations: { operation: string; allowed: boolean; reason: string }[] }[]
      expect(items.map((item) => item.role)).toEqual(roles)
      for (const item of items) expect(item.operations).toEqual(permissionsBy(item.role))
    })

    test('is told by me.get exactly the operations that it may call', async () => {
      const me = operations.find(({ name }) => name === 'me.get')
      if (!me) throw new Error('there is no me.get')
      const { output } = await call(me, {})
      const allowed = listOperations()
        .map(({ name }) => name)
        .filter((name) => publicOperations.includes(name) || isAllowed(name, role))
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
