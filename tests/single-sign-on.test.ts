// Sign-in through a real OpenID provider: whom it lets in, as what, and every way in which its word is not to be believed.

import { and, eq } from 'drizzle-orm'
import { generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { accounts, apiKeys, auditLog, identityProviders, sessions, type TenantMapping, tenants, users } from '#db/schema.ts'
import { auditOf, postForm, seedKey, seedTenant, seedUser, useServer } from './harness.ts'
import {
  beginSignIn,
  finishSignIn,
  sessionOf,
  signIn,
  startProvider,
  type Tamper,
  type TestProvider,
  unsigned,
  walk,
} from './oidc.ts'

const server = useServer({ MATE_ALLOW_PRIVATE_PROVIDERS: 'true', MATE_SIGN_IN_ATTEMPTS: '1000' })

let idp: TestProvider
let root: { tenantId: string; key: string }
/** Its people sign in with the provider, by `tid` and `roles`. */
let company: { id: string; name: string; tid: string }
let providerId: string

beforeAll(async () => {
  idp = await startProvider({ redirectUri: `${server.url}/sso/callback` })
  const { id } = await seedTenant(server)
  root = { tenantId: id, key: (await seedKey(server, id, 'SuperAdmin')).key }
})
afterAll(() => idp?.stop())

beforeEach(async () => {
  company = { ...(await seedTenant(server)), tid: crypto.randomUUID() }
  idp.tamper = undefined
  providerId = await addProvider([mappingOf(company)])
})

const mappingOf = ({ id, tid }: { id: string; tid: string }, fields: Partial<TenantMapping> = {}): TenantMapping => ({
  claimValue: tid,
  tenantId: id,
  defaultRole: 'Viewer',
  roles: [
    { claimValue: 'testers', role: 'Tester' },
    { claimValue: 'admins', role: 'TenantAdmin' },
  ],
  ...fields,
})

async function addProvider(mappings: TenantMapping[], fields: Record<string, unknown> = {}): Promise<string> {
  const { issuer, clientId, clientSecret } = idp
  const claims = { tenantClaim: 'tid', roleClaim: 'roles' }
  const json = {
    name: `Provider ${crypto.randomUUID().slice(0, 8)}`,
    issuer,
    clientId,
    clientSecret,
    ...claims,
    mappings,
    ...fields,
  }
  const response = await server.request('/api/admin/identity-providers', { method: 'POST', key: root.key, json })
  const answer = await response.json()
  expect(answer).toMatchObject({ issuer })
  return answer.id
}

let counter = 0
/** Somebody new at the provider, in the company. */
function somebody(fields: Record<string, unknown> = {}) {
  const sub = `sub-${++counter}-${crypto.randomUUID().slice(0, 6)}`
  idp.person = { sub, email: `${sub}@company.example`, email_verified: true, name: 'Ada', tid: company.tid, ...fields }
  return idp.person
}

const userOf = async (email = '') => (await server.database.db.select().from(users).where(eq(users.email, email)))[0]
const refusals = async () =>
  (await auditOf(server, root.tenantId)).filter(({ entityId, outcome }) => entityId === providerId && outcome === 'refused')
const actionsIn = async (tenantId: string) => (await auditOf(server, tenantId)).map(({ action }) => action)

async function expectRefused(response: Response, words: string): Promise<void> {
  const html = await response.text()
  expect([response.status, sessionOf(response)]).toEqual([403, undefined])
  expect(html).toContain('You are not signed in')
  expect(html).toContain(words)
  expect(response.headers.getSetCookie().some((each) => each.startsWith('mate.sso=;') && each.includes('Max-Age=0'))).toBe(true)
}

describe('whom the provider vouches for', () => {
  test('is made a user of the mapped tenant, with the mapped role, and led to where they wanted to go', async () => {
    const { email } = somebody({ roles: ['testers', 'others'] })
    const response = await signIn(server, providerId, '/runs?status=failed')
    expect([response.status, response.headers.get('location')]).toEqual([302, '/runs?status=failed'])
    expect(await userOf(email)).toMatchObject({ tenantId: company.id, role: 'Tester', name: 'Ada', emailVerified: true })
    const cookie = sessionOf(response) ?? ''
    const page = await (await server.request('/', { headers: { cookie } })).text()
    expect(page).toContain(company.name)
    const entries = await auditOf(server, company.id)
    expect(entries.slice(-2)).toMatchObject([
      { action: 'user.created', actorKind: 'system', actorId: providerId, details: { after: { email, role: 'Tester' } } },
      { action: 'user.signed_in', actorKind: 'user', details: { after: { method: 'oidc' } } },
    ])
    const user = await userOf(email)
    const rows = await server.database.db
      .select()
      .from(sessions)
      .where(eq(sessions.userId, user?.id ?? ''))
    expect(rows).toMatchObject([{ method: 'oidc', isPending: false }])
  })

  test('is the same user the next time, whatever their address is by then', async () => {
    const { email, sub } = somebody()
    await signIn(server, providerId)
    const before = await userOf(email)
    idp.person = { ...idp.person, email: 'another@elsewhere.example', email_verified: false }
    expect(sessionOf(await signIn(server, providerId))).toBeDefined()
    const rows = await server.database.db.select().from(accounts).where(eq(accounts.accountId, sub))
    expect(rows.map(({ userId }) => userId)).toEqual([before?.id])
  })

  test('is linked by a verified address to the user of that tenant who has it', async () => {
    const user = await seedUser(server, company.id, 'Viewer')
    somebody({ email: user.email.toUpperCase(), roles: 'testers' })
    expect(sessionOf(await signIn(server, providerId))).toBeDefined()
    expect(await userOf(user.email)).toMatchObject({ id: user.id, role: 'Tester' })
    expect(await actionsIn(company.id)).toEqual(
      expect.arrayContaining(['tenant.sign_in_mapped', 'user.linked', 'user.role_mapped', 'user.signed_in']),
    )
  })

  test('is mapped by the domain of the verified address, and by a claim inside another', async () => {
    const domain = `${crypto.randomUUID().slice(0, 8)}.example`
    const roles = [{ claimValue: 'mate-testers', role: 'Tester' as const }]
    const mapping = mappingOf(company, { claimValue: domain.toUpperCase(), roles })
    const byDomain = await addProvider([mapping], { tenantClaim: 'email_domain', roleClaim: 'realm_access.roles' })
    const { email } = somebody({ email: `ada@${domain}`, tid: undefined, realm_access: { roles: ['mate-testers'] } })
    expect(sessionOf(await signIn(server, byDomain))).toBeDefined()
    expect(await userOf(email)).toMatchObject({ tenantId: company.id, role: 'Tester' })
  })

  test('is known by UserInfo where the ID token holds nothing but their id', async () => {
    const quiet = await startProvider({ redirectUri: `${server.url}/sso/callback`, isUserInfoOnly: true })
    try {
      quiet.person = somebody({ roles: ['admins'] })
      const { issuer, clientId, clientSecret } = quiet
      const id = await addProvider([mappingOf(company)], { clientId, clientSecret, roleClaim: null })
      await server.database.db.update(identityProviders).set({ issuer }).where(eq(identityProviders.id, id))
      expect(sessionOf(await signIn(server, id))).toBeDefined()
      expect(await userOf(quiet.person.email)).toMatchObject({ tenantId: company.id, role: 'Viewer' })
    } finally {
      await quiet.stop()
    }
  })
})

describe('the role follows the provider at each sign-in:', () => {
  test('raised at once; lowered with the end of other sessions and of what their keys could do', async () => {
    await seedUser(server, company.id, 'TenantAdmin')
    const { email } = somebody({ roles: ['testers'] })
    await signIn(server, providerId)
    idp.person = { ...idp.person, roles: ['testers', 'admins'] }
    const asAdmin = sessionOf(await signIn(server, providerId)) ?? ''
    const user = await userOf(email)
    expect(user?.role).toBe('TenantAdmin')
    const key = await seedKey(server, company.id, 'TenantAdmin', { ownerId: user?.id ?? null })

    idp.person = { ...idp.person, roles: [] }
    const asViewer = sessionOf(await signIn(server, providerId)) ?? ''
    expect((await userOf(email))?.role).toBe('Viewer')
    expect((await server.request('/api-keys', { headers: { cookie: asAdmin } })).status).toBe(302)
    expect((await server.request('/api-keys', { headers: { cookie: asViewer } })).status).toBe(403)
    const me = await (await server.request('/api/me', { key: key.key })).json()
    expect(me.role).toBe('Viewer')
    const entries = (await auditOf(server, company.id)).filter(({ action }) => /role/.test(action))
    expect(entries).toMatchObject([
      { action: 'user.role_mapped', details: { before: { role: 'Tester' }, after: { role: 'TenantAdmin' } } },
      { action: 'user.role_mapped', details: { before: { role: 'TenantAdmin' }, after: { role: 'Viewer' } } },
      {
        action: 'api_key.role_lowered',
        entityId: key.id,
        details: { before: { role: 'TenantAdmin' }, after: { role: 'Viewer' } },
      },
    ])
  })

  test('the last admin of the tenant keeps theirs, which is audited', async () => {
    const { email } = somebody({ roles: ['admins'] })
    await signIn(server, providerId)
    idp.person = { ...idp.person, roles: ['testers'] }
    expect(sessionOf(await signIn(server, providerId))).toBeDefined()
    expect((await userOf(email))?.role).toBe('TenantAdmin')
    const [entry] = (await auditOf(server, company.id)).filter(({ action }) => action === 'user.role_mapped')
    expect(entry).toMatchObject({
      outcome: 'refused',
      details: { reason: expect.stringContaining('the last active admin of this tenant') },
    })
  })

  test('nobody becomes SuperAdmin but by a rule that says so', async () => {
    const { email } = somebody({ roles: ['roots'] })
    await signIn(server, providerId)
    expect((await userOf(email))?.role).toBe('Viewer')
    const explicit = mappingOf(company, { roles: [{ claimValue: 'roots', role: 'SuperAdmin' }] })
    const other = await addProvider([explicit])
    const second = somebody({ roles: ['roots'] })
    await signIn(server, other)
    expect((await userOf(second.email))?.role).toBe('SuperAdmin')
  })

  test('who fits no rule is refused where there is no default', async () => {
    const strict = await addProvider([mappingOf(company, { defaultRole: null })])
    const { email } = somebody({ roles: ['others'] })
    await expectRefused(await signIn(server, strict), 'None of your roles or groups')
    expect(await userOf(email)).toBeUndefined()
  })
})

describe('a token is not believed that', () => {
  const wrong = 'can’t be accepted'
  const replaced: Record<string, [Tamper, string]> = {
    'another issuer made': [(claims, sign) => sign({ ...claims, iss: 'https://evil.example' }), '"iss"'],
    'is for another audience': [(claims, sign) => sign({ ...claims, aud: 'another-client' }), '"aud"'],
    'was issued to another party': [(claims, sign) => sign({ ...claims, azp: 'another-client' }), 'azp'],
    'has another nonce': [(claims, sign) => sign({ ...claims, nonce: 'another' }), '"nonce"'],
    'has no nonce': [({ nonce: _, ...claims }, sign) => sign(claims), '"nonce"'],
    'has expired': [(claims, sign) => sign({ ...claims, exp: Math.floor(Date.now() / 1_000) - 120 }), '"exp"'],
    'nobody signed': [(claims) => unsigned(claims), 'ID token'],
    'is signed with the client’s secret': [
      (claims) => new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from(idp.clientSecret)),
      'ID token',
    ],
    'another key signed': [
      async (claims) => {
        const { privateKey } = await generateKeyPair('RS256')
        return new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'test' }).sign(privateKey)
      },
      'signature',
    ],
    'was changed after it was signed': [
      async (claims, sign) => {
        const [header, , signature] = (await sign(claims)).split('.')
        return `${header}.${Buffer.from(JSON.stringify({ ...claims, roles: ['admins'] })).toString('base64url')}.${signature}`
      },
      'signature',
    ],
  }
  test.each(Object.entries(replaced))('%s', async (_, [tamper, reason]) => {
    const { email } = somebody()
    idp.tamper = tamper
    await expectRefused(await signIn(server, providerId), wrong)
    expect(await userOf(email)).toBeUndefined()
    const entries = await refusals()
    expect(entries).toMatchObject([{ action: 'identity_provider.sign_in_refused', actorKind: 'system' }])
    expect(entries[0]?.details.reason).toContain(reason)
    expect(JSON.stringify(entries)).not.toMatch(/eyJ|a-secret-of/)
  })

  test('is good, and comes with a code that was used already', async () => {
    somebody()
    const { url, cookie } = await beginSignIn(server, providerId)
    const callback = await walk(url, server.url)
    expect(sessionOf(await finishSignIn(server, callback, cookie))).toBeDefined()
    await expectRefused(await finishSignIn(server, callback, cookie), wrong)
    expect((await refusals()).at(-1)?.details.reason).toContain('invalid_grant')
  })
})

describe('an answer is not taken', () => {
  test('with another state, without one, or doubled', async () => {
    const { email } = somebody()
    const { url, cookie } = await beginSignIn(server, providerId)
    const callback = new URL(await walk(url, server.url))
    const another = new URL(callback)
    another.searchParams.set('state', 'another')
    const none = new URL(callback)
    none.searchParams.delete('state')
    const doubled = new URL(callback)
    doubled.searchParams.append('state', callback.searchParams.get('state') ?? '')
    for (const each of [another, none, doubled])
      await expectRefused(await finishSignIn(server, each.href, cookie), 'can’t be accepted')
    expect(await userOf(email)).toBeUndefined()
    expect(await refusals()).not.toEqual([])
    expect(sessionOf(await finishSignIn(server, callback.href, cookie))).toBeDefined()
  })

  test('in a browser that did not begin the sign-in, or with a cookie that was changed', async () => {
    const { email } = somebody()
    const { url, cookie } = await beginSignIn(server, providerId)
    const callback = await walk(url, server.url)
    const changed = `${cookie.slice(0, -3)}${cookie.endsWith('AAA') ? 'BBB' : 'AAA'}`
    for (const each of ['', changed, 'mate.sso=AAAA']) {
      await expectRefused(await finishSignIn(server, callback, each), 'not begun in this browser')
    }
    expect(await userOf(email)).toBeUndefined()
  })

  test('when the provider refuses, of whose words nothing is shown', async () => {
    const { cookie } = await beginSignIn(server, providerId)
    const said = new URLSearchParams({ error: 'access_denied', error_description: 'call 0900-EVIL', state: 'x' })
    const response = await server.request(`/sso/callback?${said}`, { headers: { cookie } })
    expect(await response.text()).not.toContain('0900')
    expect(response.status).toBe(403)
  })

  test('of a provider that was set inactive meanwhile, which has no button any more either', async () => {
    somebody()
    const { url, cookie } = await beginSignIn(server, providerId)
    const callback = await walk(url, server.url)
    await server.database.db.update(identityProviders).set({ isActive: false }).where(eq(identityProviders.id, providerId))
    await expectRefused(await finishSignIn(server, callback, cookie), 'not in use any more')
    expect(await (await server.request('/sign-in')).text()).not.toContain(providerId)
    expect((await postForm(server, '/sso/start', '', { providerId, redirectTo: '/' })).status).toBe(404)
  })
})

describe('nobody is let in', () => {
  test('whose address is not verified, and nobody is linked by it', async () => {
    const user = await seedUser(server, company.id, 'TenantAdmin')
    for (const claims of [{ email_verified: false }, { email_verified: undefined }, { email: undefined }]) {
      somebody({ email: user.email, ...claims })
      await expectRefused(await signIn(server, providerId), 'email_verified')
    }
    const linked = await server.database.db.select().from(accounts).where(eq(accounts.userId, user.id))
    expect(linked).toEqual([])
    const byDomain = await addProvider([mappingOf(company, { claimValue: 'company.example' })], { tenantClaim: 'email_domain' })
    somebody({ email_verified: false })
    await expectRefused(await signIn(server, byDomain), 'email_verified')
  })

  test('by an unverified address, unless its provider is trusted and does not deny it', async () => {
    const trusted = await addProvider([mappingOf(company)], { isEmailTrusted: true })
    const { email } = somebody({ email_verified: undefined })
    expect(sessionOf(await signIn(server, trusted))).toBeDefined()
    expect(await userOf(email)).toMatchObject({ tenantId: company.id })
    somebody({ email_verified: false })
    await expectRefused(await signIn(server, trusted), 'email_verified')
  })

  test('with the address of a user of another tenant, who stays as they are', async () => {
    const other = await seedTenant(server)
    const user = await seedUser(server, other.id, 'TenantAdmin')
    somebody({ email: user.email, roles: ['admins'] })
    await expectRefused(await signIn(server, providerId), 'another tenant')
    expect(await userOf(user.email)).toMatchObject({ id: user.id, tenantId: other.id, role: 'TenantAdmin' })
    expect(await server.database.db.select().from(accounts).where(eq(accounts.userId, user.id))).toEqual([])
  })

  test('as a SuperAdmin of the tenant, by their address alone', async () => {
    const user = await seedUser(server, company.id, 'SuperAdmin')
    somebody({ email: user.email, roles: ['admins'] })
    await expectRefused(await signIn(server, providerId), 'SuperAdmin')
    expect(await userOf(user.email)).toMatchObject({ role: 'SuperAdmin' })
  })

  test('whose tenant is not mapped, is deactivated, or is another by now', async () => {
    const { email } = somebody()
    await signIn(server, providerId)
    idp.person = { ...idp.person, tid: 'unknown' }
    await expectRefused(await signIn(server, providerId), 'not mapped')
    const other = await seedTenant(server)
    const moved = [mappingOf(company), mappingOf({ id: other.id, tid: 'moved' })]
    await server.database.db.update(identityProviders).set({ mappings: moved }).where(eq(identityProviders.id, providerId))
    idp.person = { ...idp.person, tid: 'moved' }
    await expectRefused(await signIn(server, providerId), 'another tenant')
    expect((await userOf(email))?.tenantId).toBe(company.id)
    idp.person = { ...idp.person, tid: company.tid }
    await server.database.db.update(tenants).set({ isActive: false }).where(eq(tenants.id, company.id))
    await expectRefused(await signIn(server, providerId), 'deactivated')
  })

  test('who is deactivated; their tenant’s log has it', async () => {
    const { email } = somebody()
    await signIn(server, providerId)
    const user = await userOf(email)
    await server.database.db
      .update(users)
      .set({ isActive: false })
      .where(eq(users.id, user?.id ?? ''))
    await expectRefused(await signIn(server, providerId), 'Your account is deactivated')
    const failed = and(eq(auditLog.tenantId, company.id), eq(auditLog.action, 'user.sign_in_failed'))
    expect(await server.database.db.select().from(auditLog).where(failed)).toMatchObject([
      { entityId: user?.id, outcome: 'refused' },
    ])
  })
})

test('two first sign-ins at once make one user', async () => {
  const { email } = somebody()
  const begun = await Promise.all([beginSignIn(server, providerId), beginSignIn(server, providerId)])
  const callbacks = await Promise.all(begun.map(({ url }) => walk(url, server.url)))
  const responses = await Promise.all(callbacks.map((callback, i) => finishSignIn(server, callback, begun[i]?.cookie ?? '')))
  expect(responses.map((response) => sessionOf(response) !== undefined)).toEqual([true, true])
  expect(
    await server.database.db
      .select()
      .from(users)
      .where(eq(users.email, email ?? '')),
  ).toHaveLength(1)
})

test('the keys of a person are theirs when they are lowered, also those that a key of theirs made elsewhere', async () => {
  await seedUser(server, root.tenantId, 'SuperAdmin')
  const explicit = mappingOf(company, { roles: [{ claimValue: 'roots', role: 'SuperAdmin' }] })
  const rootsToo = await addProvider([explicit])
  await seedUser(server, company.id, 'TenantAdmin')
  const { email } = somebody({ roles: ['roots'] })
  await signIn(server, rootsToo)
  const user = await userOf(email)
  const elsewhere = await seedTenant(server)
  const { id, key } = await seedKey(server, elsewhere.id, 'Viewer', { ownerId: user?.id ?? null })
  idp.person = { ...idp.person, roles: [] }
  await signIn(server, rootsToo)
  expect((await server.request('/api/me', { key })).status).toBe(401)
  const [row] = await server.database.db.select().from(apiKeys).where(eq(apiKeys.id, id))
  expect(row?.revokedReason).toContain('no SuperAdmin any more')
  expect(await actionsIn(elsewhere.id)).toContain('api_key.revoked')
})
