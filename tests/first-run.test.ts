// The first tenant and its SuperAdmin: by the one-time link, by settings, and by nothing else.
import { eq } from 'drizzle-orm'
import { afterAll, describe, expect, test } from 'vitest'
import { auditLog, sessions, setupLinks, tenants, users } from '#db/schema.ts'
import { createAdminFromEnv, createSetupToken } from '#server/first-run.ts'
import { postForm, startTestServer, type TestServer } from './harness.ts'

const password = 'correct horse battery staple'
const fields = { tenantName: 'Example Ltd', name: 'Ada Lovelace', email: 'Ada@Example.com', password }

let server: TestServer

afterAll(() => server.stop())

async function start(settings: Record<string, string> = {}): Promise<{ token: string }> {
  await server?.stop()
  server = await startTestServer({ MATE_SIGN_IN_ATTEMPTS: '1000', ...settings })
  return { token: tokenOf(server) }
}

/** The server of the test before, when that test made nothing. */
async function startOrKeep(): Promise<{ token: string }> {
  const isUntouched = server?.app.setupUrl !== undefined && (await counts()).users === 0
  return isUntouched ? { token: tokenOf(server) } : start()
}

const tokenOf = ({ app }: TestServer) => new URL(app.setupUrl ?? 'http://none/?token=').searchParams.get('token') ?? ''

const submit = (token: string, given: Record<string, string> = fields) => postForm(server, `/setup?token=${token}`, '', given)
const signIn = (email: string, given: string) => postForm(server, '/sign-in', '', { email, password: given })
const cookieOf = (response: Response) => response.headers.getSetCookie()[0]?.split(';')[0] ?? ''

async function counts() {
  const { db } = server.database
  const [ofTenants, ofUsers, ofSessions, ofEntries] = await Promise.all([
    db.$count(tenants),
    db.$count(users),
    db.$count(sessions),
    db.$count(auditLog),
  ])
  return { tenants: ofTenants, users: ofUsers, sessions: ofSessions, entries: ofEntries }
}

const nothing = { tenants: 0, users: 0, sessions: 0, entries: 0 }

const auditOfAll = async () =>
  (await server.database.db.select().from(auditLog).orderBy(auditLog.id)).map(({ action, actorKind, actorId, entityName }) => ({
    action,
    actorKind,
    actorId: actorKind === 'user' ? 'the user' : actorId,
    entityName,
  }))

describe('the set-up link', () => {
  test('makes the first tenant and its SuperAdmin, signs them in, and is audited', async () => {
    const { token } = await start()
    expect(token).toMatch(/^[\w-]{43}$/)
    const form = await server.request(`/setup?token=${token}`)
    expect(form.status).toBe(200)
    expect(await form.text()).toContain('name="tenantName"')

    const done = await submit(token)
    expect([done.status, done.headers.get('location')]).toEqual([302, '/api-keys'])
    expect((await server.request('/api-keys', { headers: { cookie: cookieOf(done) } })).status).toBe(200)
    const [user] = await server.database.db.select().from(users)
    const [tenant] = await server.database.db.select().from(tenants)
    expect(tenant?.name).toBe('Example Ltd')
    expect(user).toMatchObject({ email: 'ada@example.com', name: 'Ada Lovelace', role: 'SuperAdmin', tenantId: tenant?.id })
    expect(await auditOfAll()).toEqual([
      { action: 'tenant.created', actorKind: 'system', actorId: 'setup', entityName: 'Example Ltd' },
      { action: 'user.created', actorKind: 'system', actorId: 'setup', entityName: 'Ada Lovelace' },
      { action: 'user.signed_in', actorKind: 'user', actorId: 'the user', entityName: 'Ada Lovelace' },
    ])
    expect((await signIn('ada@example.com', password)).status).toBe(302)
  })

  test('works once: afterwards the form is closed, and a second use makes nothing', async () => {
    const { token } = await start()
    const another = await createSetupToken(server.database) // as the start of another node makes it
    expect((await submit(token)).status).toBe(302)
    const before = await counts()
    for (const used of [token, another ?? '']) {
      const form = await server.request(`/setup?token=${used}`)
      expect(form.status).toBe(404)
      expect(await form.text()).not.toContain('name="tenantName"')
      expect((await submit(used, { ...fields, email: 'eve@example.com' })).status).toBe(403)
    }
    expect(await counts()).toEqual(before)
    expect(before).toMatchObject({ tenants: 1, users: 1 })
    expect(await server.database.db.$count(setupLinks)).toBe(0)
    // And a later start makes no link any more.
    expect(await createSetupToken(server.database)).toBeUndefined()
  })

  test('used by four at once makes one tenant and one user', async () => {
    const { token } = await start()
    const answers = await Promise.all(
      [1, 2, 3, 4].map((n) => submit(token, { ...fields, tenantName: `Tenant ${n}`, email: `user${n}@example.com` })),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([302, 403, 403, 403])
    expect(await counts()).toMatchObject({ tenants: 1, users: 1, sessions: 1, entries: 3 })
  })

  test.each([
    ['a wrong token', () => 'A'.repeat(43)],
    ['no token', () => ''],
    ['the token cut short', (token: string) => token.slice(0, -1)],
    [
      'the token in another case',
      (token: string) => token.replace(/[a-z]/i, (c) => (c === c.toLowerCase() ? c.toUpperCase() : c.toLowerCase())),
    ],
    ['a token that is too long', (token: string) => token.repeat(3)],
  ])('is closed to %s, and nothing is made', async (_, wrong) => {
    const { token } = await startOrKeep()
    const form = await server.request(`/setup?token=${wrong(token)}`)
    expect(form.status).toBe(404)
    expect(await form.text()).not.toContain('name="tenantName"')
    expect([400, 403]).toContain((await submit(wrong(token))).status)
    expect(await counts()).toEqual(nothing)
    // The right one is still open.
    expect((await server.request(`/setup?token=${token}`)).status).toBe(200)
  })

  test('only the hash of its token is stored', async () => {
    const { token } = await startOrKeep()
    const [link] = await server.database.db.select().from(setupLinks)
    const stored = Buffer.from(link?.tokenHash ?? [])
    expect(stored).toHaveLength(32)
    expect(stored.toString('base64url')).not.toBe(token)
  })

  test.each([
    ['an address that is none', { email: 'nobody' }, 'email'],
    ['a password that is too short', { password: 'elevenchars' }, 'password'],
    ['a password that is too long', { password: 'x'.repeat(129) }, 'password'],
    ['a password that everybody knows', { password: '1Q2W3E4R5T6Y' }, 'password'],
    ['a password with the name in it', { password: 'hello ada lovelace' }, 'password'],
    ['no tenant', { tenantName: '  ' }, 'tenantName'],
    ['a name that is too long', { name: 'x'.repeat(101) }, 'name'],
    ['a name with a line break', { name: 'Ada\nLovelace' }, 'name'],
  ])('refuses %s, says so at the field, keeps what was typed but the password, and makes nothing', async (_, wrong, field) => {
    const { token } = await startOrKeep()
    const given = { ...fields, ...wrong }
    const response = await submit(token, given)
    expect(response.status).toBe(400)
    const html = await response.text()
    const inputOf = (name: string) => new RegExp(`<input[^>]*name="${name}"[^>]*>`).exec(html)?.[0] ?? ''
    expect(inputOf(field)).toContain('aria-invalid="true"')
    for (const name of ['tenantName', 'name', 'email'].filter((each) => each !== field)) {
      expect(inputOf(name)).toContain(`value="${given[name as keyof typeof fields]}"`)
    }
    expect(inputOf('password')).not.toContain('value=')
    expect(html).not.toContain(given.password)
    expect(await counts()).toEqual(nothing)
  })
})

describe('MATE_ADMIN_EMAIL and MATE_ADMIN_PASSWORD', () => {
  const settings = { MATE_ADMIN_EMAIL: 'Root@Example.com', MATE_ADMIN_PASSWORD: 'a long enough password' }

  test('make the first SuperAdmin without a browser: no link is open, they sign in, and it is audited', async () => {
    await start(settings)
    expect(server.app.setupUrl).toBeUndefined()
    expect(await server.database.db.$count(setupLinks)).toBe(0)
    expect(await auditOfAll()).toEqual([
      { action: 'tenant.created', actorKind: 'system', actorId: 'setup', entityName: 'Default' },
      { action: 'user.created', actorKind: 'system', actorId: 'setup', entityName: 'Admin' },
    ])
    expect((await signIn('root@example.com', settings.MATE_ADMIN_PASSWORD)).status).toBe(302)
  })

  test('change nothing once there is a user, neither another one nor the password of the same', async () => {
    await start(settings)
    const before = await counts()
    await createAdminFromEnv(server.database, 'other@example.com', 'another long password')
    await createAdminFromEnv(server.database, 'root@example.com', 'another long password')
    expect(await counts()).toEqual(before)
    expect((await signIn('root@example.com', 'another long password')).status).toBe(400)
    expect((await signIn('root@example.com', settings.MATE_ADMIN_PASSWORD)).status).toBe(302)
  })

  test('on two nodes that start at once make one user', async () => {
    await start()
    const make = () => createAdminFromEnv(server.database, 'root@example.com', settings.MATE_ADMIN_PASSWORD)
    await Promise.all([make(), make(), make()])
    expect(await counts()).toMatchObject({ tenants: 1, users: 1, entries: 2 })
    const [user] = await server.database.db.select().from(users).where(eq(users.email, 'root@example.com'))
    expect(user?.role).toBe('SuperAdmin')
  })
})

test('there are no default credentials: on an empty database nobody signs in, and no key opens anything', async () => {
  await start()
  expect(await counts()).toEqual(nothing)
  for (const name of ['admin', 'root', 'mate']) {
    for (const given of ['admin', 'changeme', `${name}-${name}-${name}`, '123456789012']) {
      expect((await signIn(`${name}@example.com`, given)).status).toBe(400)
    }
  }
  expect((await server.request('/api/me')).status).toBe(401)
  const page = await server.request('/api-keys')
  expect([page.status, page.headers.get('location')]).toEqual([302, '/sign-in?redirectTo=%2Fapi-keys'])
  expect(await counts()).toEqual(nothing)
})
