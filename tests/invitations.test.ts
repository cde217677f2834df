// Invitations: a link that is good once, for 72 hours, for a role of the inviter’s or below; sent by e-mail when that is set up.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { eq } from 'drizzle-orm'
import { SMTPServer } from 'smtp-server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { invitations, users } from '#db/schema.ts'
import { readEnv } from '#server/env.ts'
import { hashToken } from '#server/invitations.ts'
import {
  auditOf,
  requester,
  type SeededKey,
  seedInvitation,
  seedKey,
  seedPerson,
  seedTenant,
  startTestServer,
  type TestServer,
  useServer,
} from './harness.ts'

const server = useServer()
let tenant: { id: string; name: string }
let admin: SeededKey
beforeAll(async () => {
  tenant = await seedTenant(server)
  admin = await seedKey(server, tenant.id, 'TenantAdmin')
})

const email = () => `${crypto.randomUUID()}@example.com`
const password = 'a long enough password'
const invite = (json: unknown, key = admin.key, on: Pick<TestServer, 'request'> = server) =>
  on.request('/api/admin/invitations', { method: 'POST', key, json })
const take = (link: string, fields: Record<string, string> = { name: 'Grace', password }) =>
  server.request(link, {
    method: 'POST',
    headers: { origin: server.url, 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(fields).toString(),
  })

describe('a link', () => {
  test('makes the user with the role it was made for, signs them in, and is used up; only its hash is stored', async () => {
    const address = email()
    const response = await invite({ email: address.toUpperCase(), role: 'Tester' })
    expect(response.status).toBe(201)
    const made = await response.json()
    expect(made).toMatchObject({ email: address, role: 'Tester', isExpired: false, mail: 'not configured' })
    expect(Date.parse(made.expiresAt) - Date.parse(made.createdAt)).toBeCloseTo(72 * 3_600_000, -5)
    const token = new URL(made.link, server.url).searchParams.get('token') ?? ''
    const [row] = await server.database.db.select().from(invitations).where(eq(invitations.id, made.id))
    expect(Buffer.from(row?.tokenHash ?? [])).toEqual(hashToken(token))
    expect(JSON.stringify(row)).not.toContain(token)
    expect(await (await server.request(made.link)).text()).toContain(tenant.name)

    const joined = await take(made.link)
    expect([joined.status, joined.headers.get('location')]).toEqual([302, '/'])
    const cookie = joined.headers.getSetCookie()[0]?.split(';')[0] ?? ''
    expect((await server.request('/runs', { headers: { cookie } })).status).toBe(200)
    const [user] = await server.database.db.select().from(users).where(eq(users.email, address))
    expect(user).toMatchObject({ name: 'Grace', role: 'Tester', tenantId: tenant.id, isActive: true })
    expect(user?.lastSignedInAt).toBeInstanceOf(Date)

    const again = await take(made.link, { name: 'Mallory', password })
    expect(again.status).toBe(403)
    expect((await server.request(made.link)).status).toBe(404)
    const actions = (await auditOf(server, tenant.id)).filter(({ entityId }) => [made.id, user?.id].includes(entityId))
    expect(actions.map(({ action }) => action)).toEqual(['invitation.created', 'user.joined', 'user.signed_in'])
  })

  test('used twice at once makes one user', async () => {
    const { token } = await seedInvitation(server, tenant.id)
    const before = await server.database.db.$count(users, eq(users.tenantId, tenant.id))
    const answers = await Promise.all(['Ada', 'Eve'].map((name) => take(`/invitation?token=${token}`, { name, password })))
    expect(answers.map(({ status }) => status).sort()).toEqual([302, 403])
    expect(await server.database.db.$count(users, eq(users.tenantId, tenant.id))).toBe(before + 1)
  })

  test('that is expired, revoked, replaced, or made up opens nothing', async () => {
    const expired = await seedInvitation(server, tenant.id, { expiresAt: new Date(Date.now() - 1_000) })
    const address = email()
    const first = await (await invite({ email: address, role: 'Viewer' })).json()
    const second = await (await invite({ email: address, role: 'Viewer' })).json()
    const revoked = await (await invite({ email: email(), role: 'Viewer' })).json()
    const path = `/api/admin/invitations/${revoked.id}`
    expect((await server.request(path, { method: 'DELETE', key: admin.key })).status).toBe(204)
    for (const link of [`/invitation?token=${expired.token}`, first.link, revoked.link, '/invitation?token=abc', '/invitation']) {
      expect((await take(link)).status).toBe(403)
    }
    expect((await take(second.link)).status).toBe(302)
  })

  test('keeps what was typed when the password is too short, and stays open', async () => {
    const { token } = await seedInvitation(server, tenant.id)
    const refused = await take(`/invitation?token=${token}`, { name: 'Grace Hopper', password: 'short' })
    expect(refused.status).toBe(400)
    const html = await refused.text()
    expect(html).toContain('Must have at least 12 characters.')
    expect(html).toContain('value="Grace Hopper"')
    expect((await take(`/invitation?token=${token}`)).status).toBe(302)
  })

  test('to an address that somebody of another tenant has makes nothing, and says what to do', async () => {
    const elsewhere = await seedPerson(server, (await seedTenant(server)).id, 'Viewer')
    const { token } = await seedInvitation(server, tenant.id, { email: elsewhere.email })
    const refused = await take(`/invitation?token=${token}`)
    expect([refused.status, (await refused.text()).includes('Somebody has this address already.')]).toEqual([400, true])
  })
})

test('somebody of the tenant is not invited again: 409 at the address', async () => {
  const known = await seedPerson(server, tenant.id, 'Viewer', { isActive: false })
  const response = await invite({ email: known.email, role: 'Viewer' })
  expect(response.status).toBe(409)
  expect((await response.json()).errors).toEqual([
    { path: 'email', message: `${known.name} has this address already: reactivate them instead.` },
  ])
})

describe('by e-mail', () => {
  const mails: string[] = []
  const smtp = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onData(stream, { envelope }, done) {
      let text = ''
      stream.on('data', (chunk) => {
        text += chunk
      })
      stream.on('end', () => {
        mails.push(`${envelope.rcptTo.map(({ address }) => address).join()}\n${text}`)
        done(text.includes('refuse') ? new Error('no') : null)
      })
    },
  })
  let mailing: TestServer
  let asked: Pick<TestServer, 'request'>
  let key: string
  let tenantName: string

  beforeAll(async () => {
    smtp.listen(0, '127.0.0.1')
    await once(smtp.server, 'listening')
    const { port } = smtp.server.address() as AddressInfo
    mailing = await startTestServer({
      MATE_SMTP_URL: `smtp://127.0.0.1:${port}`,
      MATE_MAIL_FROM: 'mate <mate@example.com>',
      PUBLIC_URL: 'https://mate.example.com/',
    })
    // Its own address is the public one.
    asked = { request: requester(`http://127.0.0.1:${(mailing.app.server.address() as AddressInfo).port}`) }
    const house = await seedTenant(mailing)
    tenantName = house.name
    key = (await seedKey(mailing, house.id, 'TenantAdmin')).key
  })
  afterAll(async () => {
    await mailing.stop()
    smtp.close()
  })

  test('the link arrives, with who invites to what', async () => {
    const address = email()
    const made = await (await invite({ email: address, role: 'Viewer' }, key, asked)).json()
    expect(made.mail).toBe('sent')
    expect(made.link).toMatch(/^https:\/\/mate\.example\.com\/invitation\?token=[\w-]{43}$/)
    const [mail = ''] = mails
    // Quoted-printable breaks lines with "=", and writes "=" as "=3D".
    const text = mail.replaceAll('=\r\n', '').replaceAll('=3D', '=')
    expect(text.startsWith(`${address}\n`)).toBe(true)
    expect(text).toContain(made.link)
    expect(text).toContain(`to ${tenantName} on mate`)
  })

  test('a mail that is not taken fails nothing: the link stands in the answer, and the failure is said', async () => {
    const made = await (await invite({ email: `refuse-${email()}`, role: 'Viewer' }, key, asked)).json()
    expect(made).toMatchObject({ mail: 'failed', link: expect.stringContaining('/invitation?token=') })
  })

  test('the settings are complete, or the server does not start', () => {
    const settings = {
      MATE_SMTP_URL: 'smtp://localhost',
      MATE_MAIL_FROM: 'a@example.com',
      PUBLIC_URL: 'https://mate.example.com',
    }
    expect(readEnv(settings)).toMatchObject({ MATE_SMTP_URL: 'smtp://localhost' })
    for (const name of ['MATE_MAIL_FROM', 'PUBLIC_URL']) {
      expect(() => readEnv({ ...settings, [name]: '' })).toThrow(`${name}: is missing`)
    }
    expect(() => readEnv({ ...settings, MATE_SMTP_URL: 'http://localhost' })).toThrow('must be smtp://… or smtps://…')
  })
})
