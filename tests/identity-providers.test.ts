// Identity providers and the sign-in policy: who may set them, what is never shown, who is told, and what locks nobody out.
import { hashPassword } from 'better-auth/crypto'
import { eq } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { accounts, identityProviders, tenants, users } from '#db/schema.ts'
import { readEnv } from '#server/env.ts'
import type { Role } from '#server/roles.ts'
import { loadSecret } from '#server/secret.ts'
import { unseal } from '#server/secret-box.ts'
import { auditOf, postForm, seedIdentityProvider, seedKey, seedTenant, seedUser, useServer } from './harness.ts'
import { startProvider } from './oidc.ts'

const server = useServer({ MATE_ALLOW_PRIVATE_PROVIDERS: 'true', MATE_SIGN_IN_ATTEMPTS: '1000' })

let root: { tenantId: string; key: string }
let company: { id: string; name: string; admin: string }

beforeAll(async () => {
  const { id } = await seedTenant(server)
  root = { tenantId: id, key: (await seedKey(server, id, 'SuperAdmin')).key }
  const tenant = await seedTenant(server)
  company = { ...tenant, admin: (await seedKey(server, tenant.id, 'TenantAdmin')).key }
})

const path = '/api/admin/identity-providers'
const call = async (method: string, to: string, json?: unknown, key = root.key) => {
  const response = await server.request(to, { method, key, ...(json === undefined ? {} : { json }) })
  const text = await response.text()
  return { status: response.status, text, body: text === '' ? {} : JSON.parse(text) }
}

const secret = 'a-secret-that-is-never-shown'
const input = () => ({
  name: `Provider ${crypto.randomUUID().slice(0, 8)}`,
  clientId: 'mate',
  tenantClaim: 'tid',
  mappings: [{ claimValue: crypto.randomUUID(), tenantId: company.id, defaultRole: 'Viewer', roles: [] as object[] }],
})
const create = async (more: object = {}) => {
  const { status, body } = await call('POST', path, {
    ...input(),
    issuer: 'https://id.example.com',
    clientSecret: secret,
    ...more,
  })
  expect([status, body.errors]).toEqual([201, undefined])
  return body
}
const rowOf = async (id: string) =>
  (await server.database.db.select().from(identityProviders).where(eq(identityProviders.id, id)))[0]
const isSsoOnly = (tenantId: string, value: boolean) =>
  server.database.db.update(tenants).set({ isSsoOnly: value }).where(eq(tenants.id, tenantId))

describe('a provider', () => {
  test('is answered without its secret, which is sealed, kept by an update, and in no audit entry', async () => {
    const made = await create()
    const shown = [
      await call('GET', `${path}/${made.id}`),
      await call('GET', path),
      await call('PUT', `${path}/${made.id}`, input()),
    ]
    for (const { status, text } of shown) {
      expect(status).toBe(200)
      expect(text).not.toContain(secret)
      expect(text).not.toContain('clientSecret')
    }
    const row = await rowOf(made.id)
    const opened = async () =>
      unseal(await loadSecret(server.database, readEnv({})), made.id, (await rowOf(made.id))?.clientSecret ?? new Uint8Array())
    expect(Buffer.from(row?.clientSecret ?? []).toString('latin1')).not.toContain(secret)
    expect(await opened()).toBe(secret)
    await call('PUT', `${path}/${made.id}`, { ...input(), clientSecret: 'another-secret' })
    expect(await opened()).toBe('another-secret')
    const entries = JSON.stringify([await auditOf(server, root.tenantId), await auditOf(server, company.id)])
    expect(entries).not.toMatch(/a-secret-that|another-secret/)
  })

  test.each([
    ['an http issuer that is not on this machine', { issuer: 'http://id.example.com' }, 'issuer', 'https'],
    ['a metadata service', { issuer: 'https://169.254.169.254/' }, 'issuer', 'not one that mate may call'],
    ['the address of metadata', { issuer: 'https://id.example.com/.well-known/openid-configuration' }, 'issuer', 'well-known'],
    ['scopes without openid', { scopes: ['email'] }, 'scopes', 'openid'],
    ['a scope with a space in it', { scopes: ['openid', 'a b'] }, 'scopes.1', 'scope'],
    [
      'SuperAdmin by default',
      { mappings: [{ claimValue: 'a', tenantId: crypto.randomUUID(), defaultRole: 'SuperAdmin' }] },
      'mappings.0.defaultRole',
      '',
    ],
    [
      'a tenant that is not there',
      { mappings: [{ claimValue: 'a', tenantId: crypto.randomUUID() }] },
      'mappings.0.tenantId',
      'no such tenant',
    ],
  ])('with %s is refused', async (_, fields, at, words) => {
    const { status, body } = await call('POST', path, {
      ...input(),
      issuer: 'https://id.example.com',
      clientSecret: secret,
      ...fields,
    })
    expect([status, body.errors?.[0]?.path]).toEqual([400, at])
    expect(body.errors[0].message).toContain(words)
  })

  test('maps each value of the claim once, and keeps its issuer', async () => {
    const mapping = { claimValue: 'Example.com', tenantId: company.id }
    const twice = { mappings: [mapping, { ...mapping, claimValue: 'example.COM' }] }
    expect(
      (await call('POST', path, { ...input(), issuer: 'https://id.example.com', clientSecret: secret, ...twice })).status,
    ).toBe(400)
    const { id } = await create()
    const moved = await call('PUT', `${path}/${id}`, { ...input(), issuer: 'https://evil.example' })
    expect([moved.status, moved.body.errors]).toEqual([400, [{ path: 'issuer', message: 'Is not a field.' }]])
  })

  test('is told to each mapped tenant in its own log, when it is mapped, changed and unmapped', async () => {
    const tenant = await seedTenant(server)
    const mappings = [{ claimValue: 'them', tenantId: tenant.id, defaultRole: 'Viewer', roles: [] }]
    const { id } = await create({ mappings })
    await call('PUT', `${path}/${id}`, { ...input(), mappings })
    const raised = [{ ...mappings[0], roles: [{ claimValue: 'bosses', role: 'TenantAdmin' }] }]
    await call('PUT', `${path}/${id}`, { ...input(), mappings: raised })
    await call('PUT', `${path}/${id}`, { ...input(), mappings: raised, isActive: false })
    await call('PUT', `${path}/${id}`, { ...input(), mappings: raised })
    expect((await call('DELETE', `${path}/${id}`)).status).toBe(204)
    const entries = await auditOf(server, tenant.id)
    const [mapped, unmapped] = ['tenant.sign_in_mapped', 'tenant.sign_in_unmapped']
    expect(entries.map(({ action }) => action)).toEqual([mapped, mapped, unmapped, mapped, unmapped])
    expect(entries[1]).toMatchObject({
      actorRole: 'SuperAdmin',
      entityId: tenant.id,
      details: { after: { mappings: [{ roles: [{ role: 'TenantAdmin' }] }] } },
    })
  })

  test('is tested by its metadata: what is wrong is said', async () => {
    const idp = await startProvider({ redirectUri: `${server.url}/sso/callback` })
    try {
      const good = await create({ issuer: idp.issuer })
      expect(await call('POST', `${path}/${good.id}/test`)).toMatchObject({ status: 200, body: { ok: true, error: null } })
      // RFC 8414, section 3.3: the metadata has to name the very issuer that it was asked of.
      const other = await create({ issuer: idp.issuer.replace('127.0.0.1', 'localhost') })
      const wrong = await call('POST', `${path}/${other.id}/test`)
      expect(wrong.body).toMatchObject({ ok: false, error: expect.stringContaining('issuer does not match') })
      const none = await create({ issuer: `${idp.issuer}/nothing/here` })
      expect((await call('POST', `${path}/${none.id}/test`)).body.ok).toBe(false)
    } finally {
      await idp.stop()
    }
    const gone = await create({ issuer: idp.issuer })
    const { body } = await call('POST', `${path}/${gone.id}/test`)
    expect(body).toEqual({ ok: false, error: 'The provider was not reached: The connection was refused.' })
  })

  test('that is not there is 404', async () => {
    for (const [method, to, json] of [
      ['GET', ''],
      ['PUT', '', input()],
      ['DELETE', ''],
      ['POST', '/test'],
    ] as const) {
      expect((await call(method, `${path}/${crypto.randomUUID()}${to}`, json)).status).toBe(404)
    }
  })
})

describe('single sign-on only', () => {
  const policy = '/api/admin/sign-in-policy'
  const password = 'correct horse battery staple'

  async function seedTenantWithProvider() {
    const tenant = await seedTenant(server)
    const { key } = await seedKey(server, tenant.id, 'TenantAdmin')
    const mappings = [{ claimValue: crypto.randomUUID(), tenantId: tenant.id, defaultRole: 'Viewer', roles: [] }]
    const provider = await create({ mappings })
    return { ...tenant, key, provider, mappings }
  }

  async function seedPerson(tenantId: string, role: Role) {
    const user = await seedUser(server, tenantId, role)
    const hashed = await hashPassword(password)
    await server.database.db
      .insert(accounts)
      .values({ userId: user.id, accountId: user.id, providerId: 'credential', password: hashed })
    return user
  }
  const signIn = (email: string, given = password) => postForm(server, '/sign-in', '', { email, password: given })

  test('needs a provider that is active and mapped to the tenant', async () => {
    const tenant = await seedTenant(server)
    const { key } = await seedKey(server, tenant.id, 'TenantAdmin')
    const wanted = { isSsoOnly: true, requiresSecondFactor: false }
    const refused = await call('PUT', policy, wanted, key)
    expect([refused.status, refused.body.errors?.[0]?.path]).toEqual([400, 'isSsoOnly'])
    const mappings = [{ claimValue: 'x', tenantId: tenant.id, defaultRole: 'Viewer' as const, roles: [] }]
    const { id, name } = await seedIdentityProvider(server, root.tenantId, { mappings, isActive: false })
    expect((await call('PUT', policy, wanted, key)).status).toBe(400)
    await server.database.db.update(identityProviders).set({ isActive: true }).where(eq(identityProviders.id, id))
    expect(await call('PUT', policy, wanted, key)).toMatchObject({ status: 200, body: { ...wanted, providers: [name] } })
    expect((await call('GET', policy, undefined, key)).body).toEqual({ ...wanted, providers: [name] })
    const written = (await auditOf(server, tenant.id)).filter(({ action }) => action === 'tenant.sign_in_policy_changed')
    expect(written).toMatchObject([{ details: { before: { isSsoOnly: false }, after: { isSsoOnly: true } } }])
  })

  test('refuses a right password with the button to press, a wrong one as ever, and lets a SuperAdmin in', async () => {
    const { id, provider } = await seedTenantWithProvider()
    const [admin, superAdmin] = [await seedPerson(id, 'TenantAdmin'), await seedPerson(id, 'SuperAdmin')]
    expect((await signIn(admin.email)).status).toBe(302)
    await isSsoOnly(id, true)
    const refused = await signIn(admin.email)
    expect([refused.status, refused.headers.getSetCookie().some((each) => each.includes('session_token'))]).toEqual([403, false])
    expect(await refused.text()).toContain(`Sign in with ${provider.name}`)
    const wrong = await signIn(admin.email, 'not the password')
    expect(wrong.status).toBe(400)
    expect((await wrong.text()).replaceAll(/<form.*?<\/form>/gs, '')).not.toContain('does not sign in by password')
    expect((await signIn(superAdmin.email)).status).toBe(302)
    const entries = (await auditOf(server, id)).filter(({ action }) => action === 'user.sign_in_failed')
    expect(entries[0]).toMatchObject({
      entityId: admin.id,
      details: { reason: expect.stringContaining('The password was right') },
    })
    await isSsoOnly(id, false)
    expect((await signIn(admin.email)).status).toBe(302)
  })

  test('keeps the last provider that lets its people in from being deleted, deactivated or mapped elsewhere', async () => {
    const { id, name, provider, mappings } = await seedTenantWithProvider()
    await isSsoOnly(id, true)
    const to = `${path}/${provider.id}`
    const attempts = [
      ['DELETE', undefined],
      ['PUT', { ...input(), mappings, isActive: false }],
      ['PUT', { ...input(), mappings: [] }],
    ] as const
    for (const [method, json] of attempts) {
      const { status, body } = await call(method, to, json)
      expect(status).toBe(409)
      expect(body.detail).toContain(name)
    }
    expect(await rowOf(provider.id)).toMatchObject({ isActive: true, mappings: [{ tenantId: id }] })
    await create({ mappings })
    expect((await call('DELETE', to)).status).toBe(204)
  })

  test('says nothing of a tenant to those who have no password there', async () => {
    const { id } = await seedTenantWithProvider()
    await isSsoOnly(id, true)
    const user = await seedUser(server, id, 'Viewer')
    const [withoutPassword, unknown] = [await signIn(user.email), await signIn('nobody@nowhere.example')]
    expect([withoutPassword.status, unknown.status]).toEqual([400, 400])
    expect(await server.database.db.select().from(users).where(eq(users.id, user.id))).toMatchObject([{ tenantId: id }])
  })
})
