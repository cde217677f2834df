// Sign-in of people: what it gives, what it tells, how often one may try, and how it ends. Forms from other sites do nothing.
import type { AddressInfo } from 'node:net'
import { hashPassword, verifyPassword } from 'better-auth/crypto'
import { and, eq, sql } from 'drizzle-orm'
import { describe, expect, test } from 'vitest'
import { accounts, apiKeys, auditFolds, auditLog, sessions, users } from '#db/schema.ts'
import { createUser, setupActor } from '#server/first-run.ts'
import type { Role } from '#server/roles.ts'
import { countAudit, postForm, seedKey, seedTenant, type TestServer, useServer } from './harness.ts'

const password = 'correct horse battery staple'
const scryptHash = await hashPassword(password)

interface Person {
  id: string
  email: string
  tenantId: string
}

/** A user with a password, in a tenant of its own. */
async function seedPerson(server: TestServer, role: Role = 'TenantAdmin'): Promise<Person> {
  const { id: tenantId } = await seedTenant(server)
  const email = `${crypto.randomUUID()}@example.com`
  await server.database.transaction((tx) =>
    createUser(tx, { name: `Person ${email.slice(0, 8)}`, email, password: scryptHash, role, tenantId }, setupActor),
  )
  const [user] = await server.database.db.select({ id: users.id }).from(users).where(eq(users.email, email))
  return { id: user?.id ?? '', email, tenantId }
}

type Headers = Record<string, string>

function submit(server: TestServer, path: string, fields: Record<string, string>, headers: Headers = {}): Promise<Response> {
  return server.request(path, {
    method: 'POST',
    headers: { origin: server.url, 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: new URLSearchParams(fields).toString(),
  })
}

const signIn = (server: TestServer, email: string, given = password, headers: Headers = {}) =>
  submit(server, '/sign-in', { email, password: given }, headers)

const cookieOf = (response: Response) => response.headers.getSetCookie()[0]?.split(';')[0] ?? ''
const tokenIn = (cookie: string) => decodeURIComponent(cookie.slice(cookie.indexOf('=') + 1)).split('.')[0] ?? ''

async function signedIn(server: TestServer, role?: Role): Promise<Person & { cookie: string }> {
  const person = await seedPerson(server, role)
  const response = await signIn(server, person.email)
  expect(response.status).toBe(302)
  return { ...person, cookie: cookieOf(response) }
}

/** Where a page sends the holder of a cookie: undefined when it lets them in. */
async function sentTo(server: TestServer, cookie: string): Promise<string | undefined> {
  const response = await server.request('/api-keys', { headers: { cookie } })
  if (response.status === 200) return undefined
  expect(response.status).toBe(302)
  return response.headers.get('location')?.split('?')[0] ?? ''
}

const sessionsOf = (server: TestServer, userId: string) =>
  server.database.db.select().from(sessions).where(eq(sessions.userId, userId))

const entriesOf = (server: TestServer, tenantId: string, action: string) =>
  server.database.db
    .select()
    .from(auditLog)
    .where(and(eq(auditLog.tenantId, tenantId), eq(auditLog.action, action)))
    .orderBy(auditLog.id)

/** A page without what differs from one request to the next. */
const withoutChance = (html: string, email: string) =>
  html
    .replaceAll(email, 'E-MAIL')
    .replace(/nonce="[^"]*"/g, 'nonce')
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'UUID')

describe('signing in', () => {
  const server = useServer({ MATE_SIGN_IN_ATTEMPTS: '100000' })

  test('gives a cookie that is HttpOnly and SameSite=Lax, for the whole site, and audits who, from where and with what', async () => {
    const person = await seedPerson(server)
    const response = await signIn(server, person.email, password, { 'user-agent': 'a browser' })
    expect([response.status, response.headers.get('location')]).toEqual([302, '/'])
    expect(response.headers.getSetCookie()).toHaveLength(1)
    const [cookie = ''] = response.headers.getSetCookie()
    const [pair = '', ...attributes] = cookie.split('; ')
    expect(pair).toMatch(/^mate\.session_token=\S{60,}$/)
    expect(attributes).toEqual(expect.arrayContaining(['HttpOnly', 'SameSite=Lax', 'Path=/']))
    expect(attributes).not.toContain('Secure') // plain http; see below
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(await sentTo(server, pair)).toBeUndefined()
    expect(await entriesOf(server, person.tenantId, 'user.signed_in')).toMatchObject([
      {
        actorKind: 'user',
        actorId: person.id,
        actorRole: 'TenantAdmin',
        entityId: person.id,
        outcome: 'success',
        ip: '127.0.0.1',
        userAgent: 'a browser',
        requestId: response.headers.get('x-request-id'),
      },
    ])
  })

  test('takes the address in any case and with spaces around it', async () => {
    const { email } = await seedPerson(server)
    expect((await signIn(server, `  ${email.toUpperCase()} `)).status).toBe(302)
  })

  test('answers a wrong password, an unknown address and a deactivated user the same', async () => {
    const { email } = await seedPerson(server)
    const deactivated = await seedPerson(server)
    await server.database.db.update(users).set({ isActive: false }).where(eq(users.id, deactivated.id))
    const unknown = `${crypto.randomUUID()}@example.com`
    const pages: string[] = []
    for (const [address, given] of [
      [email, 'another password'],
      [unknown, password],
      [deactivated.email, password],
      [deactivated.email, 'another password'],
    ] as const) {
      const response = await signIn(server, address, given)
      expect(response.status).toBe(400)
      expect(response.headers.getSetCookie()).toEqual([])
      const html = await response.text()
      expect(html).not.toContain(given)
      pages.push(withoutChance(html, address))
    }
    expect(pages[0]).toContain('The e-mail address or the password is wrong.')
    expect(new Set(pages).size).toBe(1)
    expect(await sessionsOf(server, deactivated.id)).toEqual([])
  })

  test.each([
    ['no password', { password: '' }],
    ['a password of 129 characters', { password: 'x'.repeat(129) }],
    ['a password with NUL', { password: `${password}\0` }],
    ['no address', { email: '' }],
    ['an address with NUL', { email: 'a\0@example.com' }],
    ['a wildcard', { email: '%@example.com' }],
    ['nothing at all', { email: '', password: '' }],
  ])('refuses %s without a session', async (_, wrong) => {
    const person = await seedPerson(server)
    const response = await submit(server, '/sign-in', { email: person.email, password, ...wrong })
    expect(response.status).toBe(400)
    expect(response.headers.getSetCookie()).toEqual([])
    expect(await sessionsOf(server, person.id)).toEqual([])
  })

  test('failed attempts are audited, folded to one entry with a count, without what was typed', async () => {
    const person = await seedPerson(server)
    for (let i = 0; i < 4; i++) await signIn(server, person.email, `wrong password ${i}`)
    const entries = await entriesOf(server, person.tenantId, 'user.sign_in_failed')
    expect(entries.length).toBeGreaterThan(0)
    expect(entries.length).toBeLessThan(3) // two when a minute ended in between
    expect(entries[0]).toMatchObject({ entityId: person.id, outcome: 'refused', ip: '127.0.0.1' })
    expect(JSON.stringify(entries)).not.toContain('wrong password')
    const folds = await server.database.db.select().from(auditFolds).where(eq(auditFolds.tenantId, person.tenantId))
    expect(folds.reduce((sum, { occurrences }) => sum + occurrences, 0)).toBe(4)
  })

  test('a password is stored as its scrypt hash with a salt of its own, and as nothing else', async () => {
    const person = await seedPerson(server)
    const [account] = await server.database.db.select().from(accounts).where(eq(accounts.userId, person.id))
    expect(account?.password).toMatch(/^[0-9a-f]{32}:[0-9a-f]{128}$/)
    expect(await verifyPassword({ hash: account?.password ?? '', password })).toBe(true)
    expect(await hashPassword(password)).not.toBe(account?.password)
    expect(JSON.stringify(account)).not.toContain(password)
  })

  test('makes a new session whatever cookie came with the form, and takes none that the server did not sign', async () => {
    const attacker = await signedIn(server)
    const victim = await seedPerson(server)
    const chosen = 'mate.session_token=chosen-by-someone-else.c2lnbmF0dXJl'
    for (const cookie of [attacker.cookie, chosen]) {
      const response = await signIn(server, victim.email, password, { cookie })
      expect(response.status).toBe(302)
      expect(cookieOf(response)).not.toBe(cookie)
      expect(tokenIn(cookieOf(response))).not.toBe(tokenIn(cookie))
    }
    expect((await sessionsOf(server, victim.id)).map(({ token }) => token)).not.toContain(tokenIn(chosen))
    expect(await sentTo(server, chosen)).toBe('/sign-in')
    // The attacker's session is still the attacker's.
    const [session] = await server.database.db
      .select()
      .from(sessions)
      .where(eq(sessions.token, tokenIn(attacker.cookie)))
    expect(session?.userId).toBe(attacker.id)
  })

  test.each([
    ['the token alone', (cookie: string) => `mate.session_token=${tokenIn(cookie)}`],
    [
      'another signature',
      (cookie: string) => cookie.replace(/\.[^.]*$/, `.${encodeURIComponent(Buffer.alloc(32).toString('base64'))}`),
    ],
    ['another token with this signature', (cookie: string) => cookie.replace(/=./, (c) => (c === '=A' ? '=B' : '=A'))],
    ['an empty one', () => 'mate.session_token='],
  ])('a session cookie that was tampered with opens nothing: %s', async (_, tamper) => {
    const { cookie } = await signedIn(server)
    expect(await sentTo(server, cookie)).toBeUndefined()
    expect(tamper(cookie)).not.toBe(cookie)
    expect(await sentTo(server, tamper(cookie))).toBe('/sign-in')
  })

  test('a session ends when its row says so, and lives for 7 days at first', async () => {
    const { id, cookie } = await signedIn(server)
    const [session] = await sessionsOf(server, id)
    const days = ((session?.expiresAt.getTime() ?? 0) - Date.now()) / 86_400_000
    expect(days).toBeCloseTo(7, 2)
    await server.database.db.update(sessions).set({ expiresAt: sql`now() - interval '1 second'` }).where(eq(sessions.userId, id))
    expect(await sentTo(server, cookie)).toBe('/sign-in')
  })

  test('a user who is deactivated, or whose tenant is, is out at once, with an open session too', async () => {
    const one = await signedIn(server)
    await server.database.db.update(users).set({ isActive: false }).where(eq(users.id, one.id))
    expect(await sentTo(server, one.cookie)).toBe('/sign-in')
    const made = await postForm(server, '/api-keys/new', one.cookie, keyForm())
    expect([made.status, made.headers.get('location')?.startsWith('/sign-in')]).toEqual([302, true])
    expect(await server.database.db.$count(apiKeys, eq(apiKeys.tenantId, one.tenantId))).toBe(0)

    const other = await signedIn(server)
    await server.database.db.execute(sql`update tenants set is_active = false where id = ${other.tenantId}`)
    expect(await sentTo(server, other.cookie)).toBe('/sign-in')
    expect((await signIn(server, other.email)).status).toBe(400)
  })

  test('a change of role counts for the session that is open', async () => {
    const { id, cookie } = await signedIn(server, 'TenantAdmin')
    await server.database.db.update(users).set({ role: 'Viewer' }).where(eq(users.id, id))
    expect((await server.request('/api-keys', { headers: { cookie } })).status).toBe(403)
  })

  test('signing out ends the session on the server, clears the cookie and is audited; the old cookie opens nothing', async () => {
    const { id, tenantId, cookie } = await signedIn(server)
    const response = await postForm(server, '/sign-out', cookie, {})
    expect(response.headers.get('location') ?? '/sign-in').toBe('/sign-in')
    expect(response.status).toBe(302)
    expect(response.headers.getSetCookie().find((each) => each.startsWith('mate.session_token='))).toMatch(
      /^mate\.session_token=;.*Max-Age=0/,
    )
    expect(await sessionsOf(server, id)).toEqual([])
    expect(await sentTo(server, cookie)).toBe('/sign-in')
    expect(await entriesOf(server, tenantId, 'user.signed_out')).toMatchObject([{ entityId: id, outcome: 'success' }])
  })

  test('signing out in one browser leaves the session in another', async () => {
    const first = await signedIn(server)
    const second = cookieOf(await signIn(server, first.email))
    await postForm(server, '/sign-out', first.cookie, {})
    expect(await sentTo(server, first.cookie)).toBe('/sign-in')
    expect(await sentTo(server, second)).toBeUndefined()
  })

  test('a link to sign-out does not sign out', async () => {
    const { cookie } = await signedIn(server)
    await server.request('/sign-out', { headers: { cookie } })
    expect(await sentTo(server, cookie)).toBeUndefined()
  })

  test('/api and /trpc never look at the cookie', async () => {
    const { cookie } = await signedIn(server)
    expect((await server.request('/api/me', { headers: { cookie } })).status).toBe(401)
    expect((await server.request('/trpc/me.get?input=%7B%7D', { headers: { cookie } })).status).toBe(401)
  })

  test('who is signed in has no use for the form, but whom another page sent there to come back sees it', async () => {
    const { cookie } = await signedIn(server)
    const visited = await server.request('/sign-in', { headers: { cookie } })
    expect([visited.status, visited.headers.get('location')]).toEqual([302, '/'])
    expect((await server.request('/sign-in?redirectTo=%2Fapi-keys', { headers: { cookie } })).status).toBe(200)
  })

  test.each([
    ['/audit-log?search=x', '/audit-log?search=x'],
    ['/api-keys', '/api-keys'],
    ['', '/'],
    ['//evil.example/', '/'],
    ['///evil.example/', '/'],
    ['/\\evil.example/', '/'],
    ['\\\\evil.example/', '/'],
    ['/.//evil.example/', '/'],
    ['/..//evil.example/', '/'],
    ['/%09/evil.example/', undefined],
    ['/\t/evil.example/', '/'],
    ['/\n/evil.example/', '/'],
    ['https://evil.example/', '/'],
    ['http:evil.example', '/'],
    ['javascript:alert(1)', '/'],
    ['evil.example', '/'],
    [' //evil.example/', '/'],
    ['/api-keys\r\nSet-Cookie: a=b', undefined],
  ])('redirectTo %j stays on this site', async (wanted, expected) => {
    const { email, cookie } = await signedIn(server)
    const path = `/sign-in?redirectTo=${encodeURIComponent(wanted)}`
    const submitted = await submit(server, path, { email, password })
    const themed = await submit(server, '/theme', { theme: 'dark', redirectTo: wanted }, { cookie })
    for (const response of [submitted, themed]) {
      expect(response.status).toBe(302)
      const location = response.headers.get('location') ?? ''
      expect(new URL(location, server.url).origin).toBe(server.url)
      expect(location).toMatch(/^\/(?![/\\])/)
      if (expected !== undefined) expect(location).toBe(expected)
      expect(response.headers.getSetCookie().some((each) => each.startsWith('a=b'))).toBe(false)
    }
  })
})

const keyForm = (name = crypto.randomUUID()) => ({ name, role: 'Viewer', expiry: '30', day: '', formId: crypto.randomUUID() })

describe('a form sent from another site is refused and changes nothing', () => {
  const server = useServer({ MATE_SIGN_IN_ATTEMPTS: '100000' })

  const foreign: [string, (origin: string) => Headers][] = [
    ['another origin', () => ({ origin: 'https://evil.example' })],
    ['a null origin', () => ({ origin: 'null' })],
    ['this host on another port', () => ({ origin: 'http://127.0.0.1:1' })],
    ['a host that begins like this one', (origin) => ({ origin: `${origin}.evil.example` })],
    ['Sec-Fetch-Site: cross-site without Origin', () => ({ 'sec-fetch-site': 'cross-site' })],
    ['Sec-Fetch-Site: same-site without Origin', () => ({ 'sec-fetch-site': 'same-site' })],
    ['Sec-Fetch-Site: cross-site with this origin', (origin) => ({ origin, 'sec-fetch-site': 'cross-site' })],
    [
      'another origin with Sec-Fetch-Site: same-origin',
      () => ({ origin: 'https://evil.example', 'sec-fetch-site': 'same-origin' }),
    ],
    ['neither header', () => ({})],
  ]

  const actions: [string, (keyId: string, email: string) => { path: string; fields: Record<string, string> }][] = [
    ['sign-in', (_, email) => ({ path: '/sign-in', fields: { email, password } })],
    ['sign-out', () => ({ path: '/sign-out', fields: {} })],
    ['set-up', () => ({ path: '/setup?token=x', fields: { tenantName: 'a', name: 'b', email: 'c@example.com', password } })],
    ['generate', () => ({ path: '/api-keys/new', fields: keyForm() })],
    ['revoke', (id) => ({ path: `/api-keys/${id}/revoke`, fields: { reason: 'evil' } })],
    ['delete', (id) => ({ path: `/api-keys/${id}/delete`, fields: { confirm: 'yes' } })],
    ['rename', (id) => ({ path: `/api-keys/${id}`, fields: { name: 'evil' } })],
    ['theme', () => ({ path: '/theme', fields: { theme: 'dark' } })],
  ]

  async function stateOf(tenantId: string, userId: string) {
    const keys = await server.database.db.select().from(apiKeys).where(eq(apiKeys.tenantId, tenantId)).orderBy(apiKeys.id)
    return { keys, sessions: await sessionsOf(server, userId), entries: await countAudit(server, tenantId) }
  }

  /** `/a?b` → `/a.data?b`: how the page with JavaScript sends the same form. */
  const asData = (path: string) => path.replace(/(\?|$)/, '.data$1')

  test('a browser is told so in a page, a program in a problem', async () => {
    const send = (accept: string) =>
      server.request('/sign-in', {
        method: 'POST',
        headers: { accept, origin: 'https://evil.example', 'content-type': 'application/x-www-form-urlencoded' },
        body: 'email=a',
      })
    const page = await send('text/html,application/xhtml+xml')
    expect([page.status, page.headers.get('content-type')]).toEqual([403, 'text/html; charset=utf-8'])
    expect(await page.text()).toMatch(/<h1>Forbidden<\/h1>\n<p>This form was sent from another site/)
    const problem = await send('*/*')
    expect([problem.status, problem.headers.get('content-type')]).toEqual([403, 'application/problem+json'])
  })

  test.each(actions)('%s', async (_, action) => {
    const { id: userId, tenantId, email, cookie } = await signedIn(server)
    const key = await seedKey(server, tenantId, 'Viewer')
    const before = await stateOf(tenantId, userId)
    const send = (path: string, fields: Record<string, string>, headers: Headers) =>
      server.request(path, {
        method: 'POST',
        headers: { cookie, 'content-type': 'application/x-www-form-urlencoded', ...headers },
        body: new URLSearchParams(fields).toString(),
      })
    for (const [name, headers] of foreign) {
      const { path, fields } = action(key.id, email)
      for (const target of [path, asData(path)]) {
        const response = await send(target, fields, headers(server.url))
        expect(`${name} ${target} ${response.status}`).toBe(`${name} ${target} 403`)
        expect(response.headers.getSetCookie()).toEqual([])
      }
    }
    expect(await stateOf(tenantId, userId)).toEqual(before)

    // The same form from this site is not refused for where it comes from.
    const { path, fields } = action(key.id, email)
    const [own, again] = [{ origin: server.url }, { 'sec-fetch-site': 'same-origin' }]
    const answers = [await send(path, fields, own), await send(path, { ...fields, formId: crypto.randomUUID() }, again)]
    for (const response of answers) {
      if (path.startsWith('/setup')) expect(await response.text()).toContain('This set-up link is not')
      else expect(response.status).not.toBe(403)
    }
    if (!path.startsWith('/setup') && path !== '/theme') expect(await stateOf(tenantId, userId)).not.toEqual(before)
  })
})

describe('attempts to sign in are limited', () => {
  const server = useServer({ MATE_SIGN_IN_ATTEMPTS: '5' })

  test('one address may try 5 times a minute, whatever X-Forwarded-For says and whoever it tries to be', async () => {
    const { email } = await seedPerson(server)
    const other = await seedPerson(server)
    const statuses: number[] = []
    for (let i = 0; i < 7; i++) {
      const headers = {
        'x-forwarded-for': `203.0.113.${i}`,
        'x-mate-client-address': `203.0.113.${i}`,
        'x-real-ip': `203.0.113.${i}`,
      }
      statuses.push((await signIn(server, email, 'a wrong password', headers)).status)
    }
    expect(statuses).toEqual([400, 400, 400, 400, 400, 429, 429])
    // The right password neither, and nobody else's.
    for (const address of [email, other.email]) {
      const refused = await signIn(server, address)
      expect(refused.status).toBe(429)
      expect(await refused.text()).toContain('Too many attempts to sign in')
      expect(refused.headers.getSetCookie()).toEqual([])
    }
    const [entry] = await entriesOf(server, (await tenantOf(email)) ?? '', 'user.sign_in_failed')
    expect(entry?.ip).toBe('127.0.0.1')
  })

  const tenantOf = async (email: string) =>
    (await server.database.db.select({ id: users.tenantId }).from(users).where(eq(users.email, email)))[0]?.id
})

describe('attempts that are sent all at once are limited too', () => {
  const server = useServer({ MATE_SIGN_IN_ATTEMPTS: '5' })

  test('of 30 at once, 5 are tried', async () => {
    const { email } = await seedPerson(server)
    const answers = await Promise.all(Array.from({ length: 30 }, (_, i) => signIn(server, email, `a wrong password ${i}`)))
    const statuses = answers.map(({ status }) => status)
    expect(statuses.every((status) => status === 400 || status === 429)).toBe(true)
    expect(statuses.filter((status) => status === 400)).toHaveLength(5)
  })
})

describe('behind a proxy that MATE_TRUST_PROXY names', () => {
  const server = useServer({ MATE_SIGN_IN_ATTEMPTS: '3', MATE_TRUST_PROXY: '127.0.0.1, 10.0.0.0/8' })

  test('the client is the last address that no trusted proxy wrote: for the limit, the session and the audit entry', async () => {
    const person = await seedPerson(server)
    const attempt = (forwarded: string, given?: string) => signIn(server, person.email, given, { 'x-forwarded-for': forwarded })
    // What stands left of the client's address was written by the client, and buys no further attempt.
    const statuses: number[] = []
    for (const forged of ['1.1.1.1', '2.2.2.2', '3.3.3.3', '4.4.4.4']) {
      statuses.push((await attempt(`${forged}, 203.0.113.7, 10.1.2.3`, 'a wrong password')).status)
    }
    expect(statuses).toEqual([400, 400, 400, 429])
    expect((await attempt('203.0.113.7')).status).toBe(429)
    // Another client is not held to account for it.
    expect((await attempt('203.0.113.7, 203.0.113.8')).status).toBe(302)
    expect((await sessionsOf(server, person.id)).map(({ ipAddress }) => ipAddress)).toEqual(['203.0.113.8'])
    expect((await entriesOf(server, person.tenantId, 'user.signed_in')).map(({ ip }) => ip)).toEqual(['203.0.113.8'])
    expect((await entriesOf(server, person.tenantId, 'user.sign_in_failed'))[0]?.ip).toBe('203.0.113.7')
  })
})

describe('behind a proxy that ends TLS, without PUBLIC_URL', () => {
  const server = useServer({ MATE_SIGN_IN_ATTEMPTS: '1000' })

  test('forms of the page that the browser saw over https are taken', async () => {
    const { email } = await seedPerson(server)
    const response = await signIn(server, email, password, { origin: server.url.replace('http:', 'https:') })
    expect(response.status).toBe(302)
  })
})

describe('behind TLS, as PUBLIC_URL says', () => {
  const server = useServer({ MATE_SIGN_IN_ATTEMPTS: '1000', PUBLIC_URL: 'https://mate.example.com' })

  test('the cookie is Secure, HSTS is sent, and only that origin may send forms', async () => {
    const { port } = server.app.server.address() as AddressInfo
    const { email } = await seedPerson(server)
    const send = (origin: string) =>
      fetch(`http://127.0.0.1:${port}/sign-in`, {
        method: 'POST',
        redirect: 'manual',
        headers: { origin, 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({ email, password }),
      })
    for (const origin of ['http://mate.example.com', `http://127.0.0.1:${port}`, 'https://evil.example']) {
      expect((await send(origin)).status).toBe(403)
    }
    const response = await send('https://mate.example.com')
    expect(response.status).toBe(302)
    const [cookie = ''] = response.headers.getSetCookie()
    expect(cookie.startsWith('__Secure-mate.session_token=')).toBe(true)
    expect(cookie.split('; ')).toEqual(expect.arrayContaining(['Secure', 'HttpOnly', 'SameSite=Lax']))
    expect(response.headers.get('strict-transport-security')).toContain('max-age=31536000')
    const page = await fetch(`http://127.0.0.1:${port}/api-keys`, { headers: { cookie: cookie.split(';')[0] ?? '' } })
    expect(page.status).toBe(200)
  })
})
