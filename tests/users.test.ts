// People: who may change whom, what happens to their keys, sessions and invitations when they leave, and who is the last.
import { and, desc, eq, isNull } from 'drizzle-orm'
import { beforeEach, describe, expect, test } from 'vitest'
import { apiKeys, invitations, sessions, totpSecrets, trustRules, users } from '#db/schema.ts'
import type { Role } from '#server/roles.ts'
import {
  auditOf,
  type SeededKey,
  type SeededUser,
  seedInvitation,
  seedKey,
  seedPerson,
  seedTenant,
  seedTrustRule,
  seedUser,
  useServer,
} from './harness.ts'

const server = useServer()

interface House {
  id: string
  admin: SeededKey
  /** A person with two keys of their own, one of which made the second. */
  ada: SeededUser
  adaKey: SeededKey
  childKey: { id: string; key: string; name: string }
}

const ask = (path: string, key: string, method = 'POST', json?: unknown) =>
  server.request(`/api/admin${path}`, { method, key, ...(json === undefined ? {} : { json }) })
const mintBy = async (key: string, role: Role, name: string) =>
  (await (await ask('/api-keys', key, 'POST', { name, role })).json()) as { id: string; key: string; name: string }
const statusBy = async (key: string) => (await server.request('/api/me', { key })).status
const roleBy = async (key: string) => ((await (await server.request('/api/me', { key })).json()) as { role: Role }).role

/** With another admin, unless Ada is the only one. */
async function build(isAlone = false): Promise<House> {
  const { id } = await seedTenant(server)
  const admin = await seedKey(server, id, 'TenantAdmin')
  const ada = await seedUser(server, id, 'TenantAdmin')
  if (!isAlone) await seedPerson(server, id, 'TenantAdmin')
  const adaKey = await seedKey(server, id, 'TenantAdmin', { name: `ada’s ${ada.id}`, ownerId: ada.id })
  const childKey = await mintBy(adaKey.key, 'Tester', 'made by ada’s key')
  return { id, admin, ada, adaKey, childKey }
}

let house: House
beforeEach(async () => {
  house = await build()
})

describe('a person who leaves', () => {
  test('loses sessions, invitations and keys in one, those that their keys made too; the tenant’s own keys stay', async () => {
    const { admin, ada, adaKey, childKey } = house
    const other = await seedUser(server, house.id, 'TenantAdmin')
    const invited = await seedInvitation(server, house.id, { ownerId: ada.id })
    const stays = await seedInvitation(server, house.id)
    const response = await ask(`/users/${ada.id}/deactivate`, admin.key, 'POST', { reason: 'Left.' })
    expect(response.status).toBe(200)
    const body = await response.json()
    expect(body).toMatchObject({ id: ada.id, isActive: false, sessionCount: 0, keyCount: 0 })
    expect(body.keys).toEqual([
      { id: adaKey.id, name: adaKey.name, fate: 'revoke' },
      { id: childKey.id, name: childKey.name, fate: 'revoke' },
    ])
    expect([await statusBy(adaKey.key), await statusBy(childKey.key), await statusBy(admin.key)]).toEqual([401, 401, 200])
    const { db } = server.database
    expect(await db.$count(sessions, eq(sessions.userId, ada.id))).toBe(0)
    expect(await db.$count(sessions, eq(sessions.userId, other.id))).toBe(1)
    expect((await server.request('/api-keys', { headers: { cookie: ada.cookie } })).status).toBe(302)
    const left = await db.select({ id: invitations.id }).from(invitations).where(eq(invitations.tenantId, house.id))
    expect(left).toEqual([{ id: stays.id }])
    expect(invited.id).not.toBe(stays.id)
    const entries = (await auditOf(server, house.id)).filter(({ action }) => action !== 'api_key.tripwire').slice(-4)
    expect(entries.map(({ action, entityId }) => [action, entityId]).sort()).toEqual(
      [
        ['api_key.revoked', adaKey.id],
        ['api_key.revoked', childKey.id],
        ['invitation.revoked', invited.id],
        ['user.deactivated', ada.id],
      ].sort(),
    )
    expect(entries.every(({ actorId, outcome }) => actorId === admin.id && outcome === 'success')).toBe(true)
  })

  test('is settled as the preview’s reader chose: kept as the tenant’s, or transferred', async () => {
    const { admin, ada, adaKey, childKey } = house
    const heir = await seedPerson(server, house.id, 'TenantAdmin')
    const preview = await (await ask(`/users/${ada.id}/keys`, admin.key, 'GET')).json()
    expect(preview.keys.map(({ id }: { id: string }) => id)).toEqual([adaKey.id, childKey.id])
    const choice = { keys: 'keep', choices: [{ id: adaKey.id, fate: 'transfer' }], transferTo: heir.id, digest: preview.digest }
    const response = await ask(`/users/${ada.id}/deactivate`, admin.key, 'POST', choice)
    expect(response.status).toBe(200)
    expect([await statusBy(adaKey.key), await statusBy(childKey.key)]).toEqual([200, 200])
    const kept = await (await ask(`/api-keys/${childKey.id}`, admin.key, 'GET')).json()
    const moved = await (await ask(`/api-keys/${adaKey.id}`, admin.key, 'GET')).json()
    expect([kept.owner, moved.owner]).toEqual([null, { id: heir.id, name: heir.name }])
    const actions = (await auditOf(server, house.id)).map(({ action }) => action)
    expect(actions).toEqual(expect.arrayContaining(['api_key.kept', 'api_key.transferred', 'user.deactivated']))
    // The heir leaves: the key goes with them, as it would have with Ada.
    expect((await ask(`/users/${heir.id}/deactivate`, admin.key)).status).toBe(200)
    expect([await statusBy(adaKey.key), await statusBy(childKey.key)]).toEqual([401, 200])
  })

  test('is left alone when the keys are others than in the preview', async () => {
    const { admin, ada, adaKey } = house
    const { digest } = await (await ask(`/users/${ada.id}/keys`, admin.key, 'GET')).json()
    await mintBy(adaKey.key, 'Viewer', 'made meanwhile')
    const response = await ask(`/users/${ada.id}/deactivate`, admin.key, 'POST', { digest })
    expect(response.status).toBe(409)
    expect((await (await ask(`/users/${ada.id}`, admin.key, 'GET')).json()).isActive).toBe(true)
    expect(await statusBy(adaKey.key)).toBe(200)
  })

  test.each([
    ['nobody', {}],
    ['a stranger', { transferTo: crypto.randomUUID() }],
  ])('has no key transferred to %s', async (_, more) => {
    const response = await ask(`/users/${house.ada.id}/deactivate`, house.admin.key, 'POST', { keys: 'transfer', ...more })
    expect(response.status).toBe(400)
    expect((await response.json()).errors[0].path).toBe('transferTo')
    expect(await statusBy(house.adaKey.key)).toBe(200)
  })

  test('has no key transferred to who is no admin, is deactivated, or is of another tenant', async () => {
    const elsewhere = await seedTenant(server)
    const people = [
      await seedPerson(server, house.id, 'Tester'),
      await seedPerson(server, house.id, 'TenantAdmin', { isActive: false }),
      await seedPerson(server, elsewhere.id, 'TenantAdmin'),
    ]
    for (const { id } of people) {
      const json = { keys: 'transfer', transferTo: id }
      expect((await ask(`/users/${house.ada.id}/deactivate`, house.admin.key, 'POST', json)).status).toBe(400)
    }
    expect(await statusBy(house.adaKey.key)).toBe(200)
  })

  test('loses the keys that they made as SuperAdmin in other tenants, and it stands in the logs there', async () => {
    const elsewhere = await seedTenant(server)
    const root = await seedPerson(server, house.id, 'SuperAdmin')
    await seedPerson(server, house.id, 'SuperAdmin')
    const boss = await seedKey(server, house.id, 'SuperAdmin')
    const far = await seedKey(server, elsewhere.id, 'SuperAdmin', { ownerId: root.id })
    const json = { keys: 'keep' }
    expect((await ask(`/users/${root.id}/deactivate`, boss.key, 'POST', json)).status).toBe(200)
    expect(await statusBy(far.key)).toBe(401)
    const entries = (await auditOf(server, elsewhere.id)).filter(({ action }) => action !== 'api_key.tripwire')
    const [entry, another] = entries
    expect([entry?.action, entry?.entityId, entry?.actorId, another]).toEqual(['api_key.revoked', far.id, boss.id, undefined])
    expect(entry?.details.reason).toBe(`${root.name} is no SuperAdmin any more.`)
  })

  test('comes back without what was revoked, and is removed only once deactivated', async () => {
    const { admin, ada, adaKey } = house
    expect((await ask(`/users/${ada.id}`, admin.key, 'DELETE')).status).toBe(409)
    await ask(`/users/${ada.id}/deactivate`, admin.key)
    expect(await (await ask(`/users/${ada.id}/reactivate`, admin.key)).json()).toMatchObject({ isActive: true })
    expect(await statusBy(adaKey.key)).toBe(401)
    await ask(`/users/${ada.id}/deactivate`, admin.key)
    expect((await ask(`/users/${ada.id}`, admin.key, 'DELETE')).status).toBe(204)
    expect((await ask(`/users/${ada.id}`, admin.key, 'GET')).status).toBe(404)
    const { action, entityName, details } = (await auditOf(server, house.id)).at(-1) ?? {}
    expect([action, entityName, details?.before?.email]).toEqual(['user.deleted', ada.name, ada.email])
  })
})

describe('a lower role', () => {
  test('lowers the keys above it, ends sessions, and leaves the others', async () => {
    const { admin, ada, adaKey, childKey } = house
    const above = await seedInvitation(server, house.id, { ownerId: ada.id, role: 'TenantAdmin' })
    const within = await seedInvitation(server, house.id, { ownerId: ada.id, role: 'Viewer' })
    const response = await ask(`/users/${ada.id}`, admin.key, 'PATCH', { role: 'Tester' })
    expect(await response.json()).toMatchObject({ role: 'Tester', sessionCount: 0, keys: [{ id: adaKey.id, fate: 'lower' }] })
    expect([await roleBy(adaKey.key), await roleBy(childKey.key)]).toEqual(['Tester', 'Tester'])
    const { db } = server.database
    const open = await db.select({ id: invitations.id }).from(invitations).where(eq(invitations.tenantId, house.id))
    expect(open).toEqual([{ id: within.id }])
    expect(above.id).not.toBe(within.id)
    const actions = (await auditOf(server, house.id)).slice(-3).map(({ action }) => action)
    expect(actions.sort()).toEqual(['api_key.role_lowered', 'invitation.revoked', 'user.updated'])
  })

  test('of a SuperAdmin ends their keys in other tenants', async () => {
    const elsewhere = await seedTenant(server)
    const root = await seedPerson(server, house.id, 'SuperAdmin')
    await seedPerson(server, house.id, 'SuperAdmin')
    const boss = await seedKey(server, house.id, 'SuperAdmin')
    const far = await seedKey(server, elsewhere.id, 'Viewer', { ownerId: root.id })
    expect((await ask(`/users/${root.id}`, boss.key, 'PATCH', { role: 'TenantAdmin' })).status).toBe(200)
    expect(await statusBy(far.key)).toBe(401)
  })
})

describe('nobody', () => {
  test('raises anyone above themselves, nor touches who stands above', async () => {
    const { admin, ada } = house
    const root = await seedPerson(server, house.id, 'SuperAdmin')
    expect((await ask(`/users/${ada.id}`, admin.key, 'PATCH', { role: 'SuperAdmin' })).status).toBe(403)
    for (const [path, method] of [
      [`/users/${root.id}`, 'PATCH'],
      [`/users/${root.id}/deactivate`, 'POST'],
    ] as const) {
      expect((await ask(path, admin.key, method, method === 'PATCH' ? { name: 'x' } : {})).status).toBe(403)
    }
    const json = { email: 'root@example.com', role: 'SuperAdmin' }
    expect((await ask('/invitations', admin.key, 'POST', json)).status).toBe(403)
    const [row] = await server.database.db.select().from(users).where(eq(users.id, root.id))
    expect(row).toMatchObject({ role: 'SuperAdmin', isActive: true, name: root.name })
  })

  test('changes themselves, by their own keys neither, nor by keys that those made', async () => {
    const { ada, adaKey } = house
    const grandchild = await mintBy(adaKey.key, 'TenantAdmin', 'another of ada’s')
    for (const { key } of [adaKey, grandchild]) {
      expect((await ask(`/users/${ada.id}`, key, 'PATCH', { role: 'Tester' })).status).toBe(403)
      expect((await ask(`/users/${ada.id}/deactivate`, key)).status).toBe(403)
    }
    const [row] = await server.database.db.select().from(users).where(eq(users.id, ada.id))
    expect(row).toMatchObject({ role: 'TenantAdmin', isActive: true })
  })
})

describe('the last one', () => {
  test('who administers a tenant can’t be lowered, deactivated or removed', async () => {
    const { id, admin, ada, adaKey } = await build(true)
    await seedPerson(server, id, 'TenantAdmin', { isActive: false })
    await seedPerson(server, id, 'Tester')
    for (const answer of [
      await ask(`/users/${ada.id}`, admin.key, 'PATCH', { role: 'Tester' }),
      await ask(`/users/${ada.id}/deactivate`, admin.key),
      await ask(`/users/${ada.id}`, admin.key, 'DELETE'),
    ]) {
      expect(answer.status).toBe(409)
    }
    expect(await statusBy(adaKey.key)).toBe(200)
  })

  test('of two admins stays, when both are deactivated at once, 10 times', async () => {
    for (let round = 0; round < 10; round++) {
      const { admin, ada, id } = await build(true)
      const eve = await seedPerson(server, id, 'TenantAdmin')
      const answers = await Promise.all([ada, eve].map((person) => ask(`/users/${person.id}/deactivate`, admin.key)))
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 409])
    }
  })

  test('of the SuperAdmins stays, in whichever tenant they are, when all are lowered at once', async () => {
    const { db } = server.database
    await db.update(users).set({ isActive: false }).where(eq(users.role, 'SuperAdmin'))
    const elsewhere = await seedTenant(server)
    const boss = await seedKey(server, house.id, 'SuperAdmin')
    const [one, two] = [await seedPerson(server, house.id, 'SuperAdmin'), await seedPerson(server, elsewhere.id, 'SuperAdmin')]
    await seedPerson(server, elsewhere.id, 'TenantAdmin')
    const lower = (id: string, tenantId: string) =>
      server.request(`/api/admin/users/${id}`, {
        method: 'PATCH',
        key: boss.key,
        json: { role: 'TenantAdmin' },
        headers: { 'x-tenant-id': tenantId },
      })
    const answers = await Promise.all([lower(one.id, house.id), lower(two.id, elsewhere.id)])
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409])
    expect(await db.$count(users, and(eq(users.role, 'SuperAdmin'), eq(users.isActive, true)))).toBe(1)
  })
})

test('a key belongs to the person whose key made it, to the tenant when nobody’s did, and follows a rotation', async () => {
  const { admin, ada, adaKey } = house
  const rotated = await (await ask(`/api-keys/${adaKey.id}/rotate`, adaKey.key, 'POST', { overlapHours: 1 })).json()
  const own = await mintBy(admin.key, 'Viewer', 'the tenant’s')
  expect([rotated.owner, (await (await ask(`/api-keys/${own.id}`, admin.key, 'GET')).json()).owner]).toEqual([
    { id: ada.id, name: ada.name },
    null,
  ])
  const ownerless = await server.database.db.$count(apiKeys, and(eq(apiKeys.tenantId, house.id), isNull(apiKeys.ownerId)))
  expect(ownerless).toBe(2)
})

test('trust rules go with who made them, and those that a lower role may not have; the tenant’s own stay', async () => {
  const { id, admin, ada } = house
  const eve = await seedPerson(server, id, 'TenantAdmin')
  const rules = [
    await seedTrustRule(server, id, { ownerId: ada.id }),
    await seedTrustRule(server, id, { ownerId: eve.id, role: 'TenantAdmin' }),
    await seedTrustRule(server, id, {}),
  ]
  expect((await ask(`/users/${ada.id}/deactivate`, admin.key)).status).toBe(200)
  expect((await ask(`/users/${eve.id}`, admin.key, 'PATCH', { role: 'Tester' })).status).toBe(200)
  const rows = await server.database.db.select().from(trustRules).where(eq(trustRules.tenantId, id))
  const isActive = (rule: { id: string } | undefined) => rows.find((row) => row.id === rule?.id)?.isActive
  expect(rules.map(isActive)).toEqual([false, false, true])
})

test('a lost second factor is taken by an admin: sessions end, a password signs in again; nobody takes their own', async () => {
  const { admin, ada, adaKey } = house
  const { db } = server.database
  await db.insert(totpSecrets).values({ userId: ada.id, secret: Buffer.from('sealed'), lastStep: 0 })
  const path = `/users/${ada.id}/reset-second-factor`
  expect((await ask(path, adaKey.key, 'POST', {})).status).toBe(403)
  expect(await db.$count(totpSecrets, eq(totpSecrets.userId, ada.id))).toBe(1)
  const response = await ask(path, admin.key, 'POST', { reason: 'A new phone.' })
  expect([response.status, (await response.json()).sessionCount]).toEqual([200, 0])
  expect(await db.$count(totpSecrets, eq(totpSecrets.userId, ada.id))).toBe(0)
  const last = (await auditOf(server, house.id)).at(-1)
  expect([last?.action, last?.entityId, last?.details.reason]).toEqual(['user.factors_reset', ada.id, 'A new phone.'])
})

test('a session that ends while it is being prolonged sends to sign-in, and is no error, 20 times', async () => {
  for (let round = 0; round < 20; round++) {
    const { admin, ada } = house
    const { cookie } = await seedUser(server, house.id, 'Viewer')
    const pages = Array.from({ length: 4 }, () => server.request('/runs', { headers: { cookie } }))
    const [leaver] = await server.database.db
      .select()
      .from(users)
      .where(eq(users.tenantId, house.id))
      .orderBy(desc(users.createdAt))
      .limit(1)
    expect(leaver?.id).not.toBe(ada.id)
    const ended = await ask(`/users/${leaver?.id}/deactivate`, admin.key)
    const statuses = (await Promise.all(pages)).map(({ status }) => status)
    expect([ended.status, statuses.filter((status) => status !== 200 && status !== 302)]).toEqual([200, []])
  }
})
