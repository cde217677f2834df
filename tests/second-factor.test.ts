// The second factor: what it keeps shut, what opens it, once, and what is dangerous asks for anew.
import { eq, sql } from 'drizzle-orm'
import { describe, expect, test } from 'vitest'
import { apiKeys, passkeys, recoveryCodes, sessions, totpSecrets, users } from '#db/schema.ts'
import { removeFactors } from '#server/second-factor.ts'
import { countAudit, postForm, seedKey, seedTrustRule, useServer } from './harness.ts'
import {
  addApp,
  age,
  codeOf,
  codesOn,
  cookieOf,
  entriesOf,
  forgetSteps,
  giveCode,
  givePassword,
  password,
  requireFactor,
  secretOn,
  seedPerson,
  seedPersonWithApp,
  sentTo,
  sessionsOf,
  wrongCodeOf,
} from './people.ts'

const server = useServer({ MATE_SIGN_IN_ATTEMPTS: '100000' })
const secondFactor = '/sign-in/second-factor'
const keyForm = (role: string, name: string = crypto.randomUUID()) => ({
  name,
  role,
  expiry: '30',
  day: '',
  formId: crypto.randomUUID(),
})

describe('signing in with an authenticator app', () => {
  test('a password alone opens nothing, is no sign-in in the log, and leads to the code', async () => {
    const person = await seedPersonWithApp(server)
    const before = await entriesOf(server, person.tenantId, 'user.signed_in')
    const cookie = await givePassword(server, person.email)
    expect(await sentTo(server, cookie)).toBe(secondFactor)
    expect(await sentTo(server, cookie, '/account')).toBe(secondFactor)
    expect((await postForm(server, '/api-keys/new', cookie, keyForm('Viewer'))).headers.get('location')).toContain(secondFactor)
    expect(await server.database.db.$count(apiKeys, eq(apiKeys.tenantId, person.tenantId))).toBe(0)
    for (const path of ['/account/factors/totp/remove', '/account/recovery-codes', '/account/password'])
      expect((await postForm(server, path, cookie, {})).headers.get('location')).toContain(secondFactor)
    expect(await entriesOf(server, person.tenantId, 'user.signed_in')).toEqual(before)
  })

  test('the right code opens it, with another cookie than the password gave, and is the sign-in that is audited', async () => {
    const person = await seedPersonWithApp(server)
    const waiting = await givePassword(server, person.email)
    const answer = await giveCode(server, waiting, codeOf(person.secret), `${secondFactor}?redirectTo=%2Fagents`)
    expect([answer.status, answer.headers.get('location')]).toEqual([302, '/agents'])
    const cookie = cookieOf(answer)
    expect(cookie).not.toBe(waiting)
    expect(await sentTo(server, cookie)).toBeUndefined()
    expect(await sentTo(server, waiting)).toBe('/sign-in')
    const entries = await entriesOf(server, person.tenantId, 'user.signed_in')
    expect(entries.at(-1)).toMatchObject({ entityId: person.id, requestId: answer.headers.get('x-request-id') })
    const opened = (await sessionsOf(server, person.id)).filter(({ method }) => method === 'password+totp')
    expect(opened).toMatchObject([{ isPending: false }])
  })

  test('a code is good once, a neighbouring step too, and none from before the last that was used', async () => {
    const person = await seedPersonWithApp(server)
    const now = codeOf(person.secret)
    expect((await giveCode(server, await givePassword(server, person.email), now)).status).toBe(302)
    expect((await giveCode(server, await givePassword(server, person.email), now)).status).toBe(400)
    const next = codeOf(person.secret, 1)
    expect((await giveCode(server, await givePassword(server, person.email), next)).status).toBe(302)
    expect((await giveCode(server, await givePassword(server, person.email), now)).status).toBe(400)
  })

  test.each(['totp', 'recovery'])('the same %s code twice at once opens once', async (kind) => {
    const person = await seedPersonWithApp(server)
    const code = kind === 'totp' ? codeOf(person.secret) : (person.codes[3] ?? '')
    const waiting = [await givePassword(server, person.email), await givePassword(server, person.email)]
    const answers = await Promise.all(waiting.map((cookie) => giveCode(server, cookie, code)))
    expect(answers.map(({ status }) => status).sort()).toEqual([302, 400])
  })

  test('a wrong code opens nothing, is audited folded and without the code, and after five a minute is all', async () => {
    const person = await seedPersonWithApp(server)
    await server.database.db.execute(sql`delete from key_rates`)
    const cookie = await givePassword(server, person.email)
    const wrong = wrongCodeOf(person.secret)
    const answers: number[] = []
    for (let i = 0; i < 5; i++) answers.push((await giveCode(server, cookie, wrong)).status)
    answers.push((await giveCode(server, cookie, codeOf(person.secret))).status)
    expect(answers).toEqual([400, 400, 400, 400, 400, 429])
    const entries = await entriesOf(server, person.tenantId, 'user.second_factor_failed')
    expect(entries.length).toBeGreaterThan(0)
    expect(entries.length).toBeLessThan(3) // two when a minute ended in between
    expect(entries[0]).toMatchObject({ entityId: person.id, outcome: 'refused', ip: '127.0.0.1' })
    expect(JSON.stringify(entries)).not.toContain(wrong)
  })

  test('a recovery code opens it once, whatever its case and dashes; ten there are', async () => {
    const person = await seedPersonWithApp(server)
    expect(person.codes).toHaveLength(10)
    const [code = ''] = person.codes
    const given = code.toLowerCase().replaceAll('-', ' ')
    expect((await giveCode(server, await givePassword(server, person.email), given)).status).toBe(302)
    expect((await giveCode(server, await givePassword(server, person.email), code)).status).toBe(400)
    const page = await (await server.request('/account', { headers: { cookie: person.cookie } })).text()
    expect(page).toContain('9 of 10 left')
  })

  test('a session waits ten minutes, and not for a person who is deactivated meanwhile', async () => {
    const person = await seedPersonWithApp(server)
    const late = await givePassword(server, person.email)
    await server.database.db
      .update(sessions)
      .set({ authenticatedAt: sql`clock_timestamp() - interval '11 minutes'` })
      .where(eq(sessions.isPending, true))
    expect(cookieOf(await giveCode(server, late, codeOf(person.secret)))).toBe('')
    const other = await givePassword(server, person.email)
    await server.database.db.update(users).set({ isActive: false }).where(eq(users.id, person.id))
    expect(cookieOf(await giveCode(server, other, codeOf(person.secret)))).toBe('')
    expect((await sessionsOf(server, person.id)).filter(({ isPending }) => isPending)).toHaveLength(2)
  })

  test('what is stored opens nothing: the secret is sealed, recovery codes are hashes', async () => {
    const person = await seedPersonWithApp(server)
    const [row] = await server.database.db.select().from(totpSecrets).where(eq(totpSecrets.userId, person.id))
    const codes = await server.database.db.select().from(recoveryCodes).where(eq(recoveryCodes.userId, person.id))
    const stored = JSON.stringify([Buffer.from(row?.secret ?? []).toString('latin1'), codes])
    for (const secret of [person.secret, ...person.codes, ...person.codes.map((code) => code.replaceAll('-', ''))])
      expect(stored).not.toContain(secret)
  })

  test('leaving ends the session that waits', async () => {
    const person = await seedPersonWithApp(server)
    const cookie = await givePassword(server, person.email)
    const left = await postForm(server, secondFactor, cookie, { intent: 'leave' })
    expect(left.headers.get('location')).toBe('/sign-in')
    expect(cookieOf(await giveCode(server, cookie, codeOf(person.secret)))).toBe('')
  })
})

describe('a tenant that asks its admins for a second factor', () => {
  test('leads an admin without one to set it up before anything else opens, and shows recovery codes once', async () => {
    const person = await seedPerson(server, 'TenantAdmin')
    const opened = await givePassword(server, person.email)
    expect(await sentTo(server, opened)).toBeUndefined()
    await requireFactor(server, person.tenantId)
    // The session from before is not enough any more.
    expect(await sentTo(server, opened)).toBe('/sign-in')
    const cookie = await givePassword(server, person.email)
    expect(await sentTo(server, cookie)).toBe(secondFactor)
    const html = await (await server.request(secondFactor, { headers: { cookie } })).text()
    const { secret, sealed } = secretOn(html)
    expect(html).toContain('Set up a second factor')
    const wrong = await postForm(server, secondFactor, cookie, { intent: 'totp', sealed, code: wrongCodeOf(secret) })
    expect(wrong.status).toBe(400)
    // The same QR code as before: what was scanned stays right.
    expect(secretOn(await wrong.text()).secret).toBe(secret)
    const right = await postForm(server, secondFactor, cookie, { intent: 'totp', sealed, code: codeOf(secret) })
    expect([right.status, right.headers.get('cache-control')]).toEqual([201, 'no-store'])
    expect(new Set(codesOn(await right.text())).size).toBe(10)
    expect(await sentTo(server, cookieOf(right))).toBeUndefined()
    expect(await entriesOf(server, person.tenantId, 'user.factor_added')).toMatchObject([
      { entityId: person.id, details: { after: { factor: 'totp' } } },
    ])
  })

  test('asks nothing of those below', async () => {
    const person = await seedPerson(server, 'Tester')
    await requireFactor(server, person.tenantId)
    expect(await sentTo(server, await givePassword(server, person.email))).toBeUndefined()
  })

  test('a password alone never adds a factor beside one that is there', async () => {
    const person = await seedPersonWithApp(server)
    const waiting = await givePassword(server, person.email)
    const other = await seedPerson(server)
    const theirs = await givePassword(server, other.email)
    const { secret, sealed } = secretOn(
      await (await server.request('/account/authenticator', { headers: { cookie: theirs } })).text(),
    )
    const answer = await postForm(server, secondFactor, waiting, { intent: 'totp', sealed, code: codeOf(secret) })
    expect([answer.status, cookieOf(answer)]).toEqual([403, ''])
    const asked = await postForm(server, '/passkeys/ask', waiting, { purpose: 'add' })
    expect(asked.status).toBe(403)
  })

  test('a set-up form is its person’s own: another’s sealed secret is refused', async () => {
    const [one, two] = [await seedPerson(server), await seedPerson(server)]
    const cookies = [await givePassword(server, one.email), await givePassword(server, two.email)] as const
    const path = '/account/authenticator'
    const { secret, sealed } = secretOn(await (await server.request(path, { headers: { cookie: cookies[0] } })).text())
    const answer = await postForm(server, path, cookies[1], { intent: 'totp', sealed, code: codeOf(secret) })
    expect(answer.status).toBe(400)
    expect(await server.database.db.$count(totpSecrets, eq(totpSecrets.userId, two.id))).toBe(0)
  })
})

describe('a fresh sign-in', () => {
  const name = () => `key ${crypto.randomUUID()}`

  test.each(['TenantAdmin', 'SuperAdmin'])(
    'is asked of a person for a %s key, who comes back to the form as it was',
    async (role) => {
      const person = await seedPerson(server, 'SuperAdmin')
      const cookie = await givePassword(server, person.email)
      await age(server, person.id)
      const form = { ...keyForm(role, name()), requestsPerMinute: '60' }
      const before = await countAudit(server, person.tenantId)
      const sent = await postForm(server, '/api-keys/new', cookie, form)
      const again = sent.headers.get('location') ?? ''
      expect([sent.status, again.split('?')[0]]).toEqual([302, '/sign-in/again'])
      expect(await countAudit(server, person.tenantId)).toBe(before)
      expect((await postForm(server, again, cookie, { password: 'not the password' })).status).toBe(400)
      const back = await postForm(server, again, cookie, { password })
      const path = back.headers.get('location') ?? ''
      expect([back.status, path.split('?')[0]]).toEqual([302, '/api-keys/new'])
      const html = await (await server.request(path, { headers: { cookie } })).text()
      expect(html).toContain(`value="${form.name}"`)
      expect(html).toMatch(new RegExp(`<input[^>]*checked=""[^>]*value="${role}"|<input[^>]*value="${role}"[^>]*checked=""`))
      expect(html).toMatch(
        /<input[^>]*name="requestsPerMinute"[^>]*value="60"|<input[^>]*value="60"[^>]*name="requestsPerMinute"/,
      )
      expect((await postForm(server, '/api-keys/new', cookie, { ...form, formId: crypto.randomUUID() })).status).toBe(201)
      expect(await entriesOf(server, person.tenantId, 'user.signed_in_again')).toHaveLength(1)
    },
  )

  test.each(['new', 'saved'])(
    'is asked of a person for a rule that gives such keys: it comes back as it was (%s)',
    async (which) => {
      const person = await seedPerson(server)
      const cookie = await givePassword(server, person.email)
      await age(server, person.id)
      const path = `/trust-rules/${which === 'new' ? 'new' : (await seedTrustRule(server, person.tenantId)).id}`
      const form = {
        ...{ name: name(), issuer: 'https://gitlab.com', audience: 'https://a.example', role: 'TenantAdmin' },
        ...{ lifetimeMinutes: '7', claim: 'project_path', value: 'acme/app', requestsPerMinute: '60' },
      }
      const sent = await postForm(server, `${path}?provider=gitlab`, cookie, form)
      const again = sent.headers.get('location') ?? ''
      expect([sent.status, again.split('?')[0]]).toEqual([302, '/sign-in/again'])
      const back = (await postForm(server, again, cookie, { password })).headers.get('location') ?? ''
      expect(back.split('?')[0]).toBe(path)
      const html = await (await server.request(back, { headers: { cookie } })).text()
      const inputs = html.match(/<input[^>]*>/g) ?? []
      const shown = (field: string, value: string) =>
        inputs.filter((input) => input.includes(`name="${field}"`) && input.includes(`value="${value}"`))
      for (const [field, value] of Object.entries(form)) expect([field, shown(field, value).length]).toEqual([field, 1])
      expect(shown('role', form.role)[0]).toContain('checked=""')
      if (which === 'saved') expect(shown('isActive', 'yes')[0]).not.toContain('checked=""')
      else expect(html).toMatch(/<a[^>]*aria-current="true"[^>]*>GitLab</)
      expect((await postForm(server, path, cookie, form)).status).toBe(302)
      const ruled = await entriesOf(server, person.tenantId, which === 'new' ? 'trust_rule.created' : 'trust_rule.updated')
      expect(ruled).toHaveLength(1)
    },
  )

  test('is asked to rotate such a key, and not for keys below, nor of keys', async () => {
    const person = await seedPerson(server)
    const cookie = await givePassword(server, person.email)
    const key = await seedKey(server, person.tenantId, 'TenantAdmin')
    const low = await seedKey(server, person.tenantId, 'Tester')
    await age(server, person.id)
    const rotate = (id: string) => postForm(server, `/api-keys/${id}/rotate`, cookie, { overlapHours: '72' })
    const refused = await rotate(key.id)
    expect(decodeURIComponent(refused.headers.get('location') ?? '')).toBe(
      `/sign-in/again?redirectTo=/api-keys/${key.id}/rotate?overlapHours=72`,
    )
    expect((await rotate(low.id)).status).toBe(201)
    expect((await postForm(server, '/api-keys/new', cookie, keyForm('Tester'))).status).toBe(201)
    const made = await server.request('/api/admin/api-keys', {
      key: key.key,
      method: 'POST',
      json: { name: name(), role: 'TenantAdmin' },
    })
    expect(made.status).toBe(201)
  })

  test('is by the second factor where there is one, and not by the password', async () => {
    const person = await seedPersonWithApp(server)
    await age(server, person.id)
    const path = '/sign-in/again?redirectTo=%2Faccount'
    expect(await sentTo(server, person.cookie, '/account/recovery-codes')).toBe('/sign-in/again')
    expect((await postForm(server, path, person.cookie, { password })).status).toBe(400)
    expect(await sentTo(server, person.cookie, '/account/recovery-codes')).toBe('/sign-in/again')
    await forgetSteps(server, person.id)
    expect((await giveCode(server, person.cookie, codeOf(person.secret), path)).status).toBe(302)
    expect(await sentTo(server, person.cookie, '/account/recovery-codes')).toBeUndefined()
  })

  test('is asked to add, to remove and to make recovery codes, and nothing is changed before', async () => {
    const person = await seedPersonWithApp(server)
    const cookie = person.cookie
    await age(server, person.id)
    const before = await countAudit(server, person.tenantId)
    for (const path of ['/account/factors/totp/remove', '/account/recovery-codes', '/account/password'])
      expect((await postForm(server, path, cookie, {})).headers.get('location')).toContain('/sign-in/again')
    expect((await postForm(server, '/passkeys/ask', cookie, { purpose: 'add' })).status).toBe(403)
    expect(await countAudit(server, person.tenantId)).toBe(before)
  })
})

describe('removing', () => {
  test('the app takes the recovery codes along, is audited, and the password alone signs in again', async () => {
    const person = await seedPersonWithApp(server)
    expect((await postForm(server, '/account/factors/totp/remove', person.cookie, {})).status).toBe(302)
    expect(await server.database.db.$count(recoveryCodes, eq(recoveryCodes.userId, person.id))).toBe(0)
    expect(await sentTo(server, await givePassword(server, person.email))).toBeUndefined()
    expect(await entriesOf(server, person.tenantId, 'user.factor_removed')).toMatchObject([
      { details: { before: { factor: 'totp' } } },
    ])
  })

  test('new recovery codes end those before', async () => {
    const person = await seedPersonWithApp(server)
    const answer = await postForm(server, '/account/recovery-codes', person.cookie, {})
    const codes = new Set(codesOn(await answer.text()))
    expect([answer.status, codes.size]).toEqual([201, 10])
    for (const code of person.codes) expect(codes).not.toContain(code)
    const waiting = await givePassword(server, person.email)
    expect((await giveCode(server, waiting, person.codes[0] ?? '')).status).toBe(400)
    expect((await giveCode(server, waiting, [...codes][0] ?? '')).status).toBe(302)
  })

  test('nobody removes another’s passkey', async () => {
    const [one, two] = [await seedPersonWithApp(server), await seedPersonWithApp(server)]
    const values = { userId: one.id, name: 'laptop', credentialId: crypto.randomUUID(), publicKey: new Uint8Array(77) }
    const [key] = await server.database.db
      .insert(passkeys)
      .values({ ...values, counter: 0, transports: [], isBackedUp: false })
      .returning({ id: passkeys.id })
    expect((await postForm(server, `/account/factors/${key?.id}/remove`, two.cookie, {})).status).toBe(404)
    expect(await server.database.db.$count(passkeys, eq(passkeys.userId, one.id))).toBe(1)
  })

  test('an admin’s transaction, as mate_app, removes the factors of its own tenant’s people alone, and can read no secret', async () => {
    const [one, two] = [await seedPersonWithApp(server), await seedPersonWithApp(server)]
    const asTenant = <T>(work: Parameters<typeof server.database.transaction<T>>[0]) =>
      server.database.transaction(async (tx, last) => {
        await tx.execute(sql`select set_config('role', 'mate_app', true), set_config('mate.tenant_id', ${one.tenantId}, true)`)
        return work(tx, last)
      })
    await asTenant((tx) => removeFactors(tx, two.id))
    expect(await server.database.db.$count(totpSecrets, eq(totpSecrets.userId, two.id))).toBe(1)
    await asTenant((tx) => removeFactors(tx, one.id))
    expect(await server.database.db.$count(totpSecrets, eq(totpSecrets.userId, one.id))).toBe(0)
    for (const secret of [sql`secret from totp_secrets`, sql`code_hash from recovery_codes`, sql`public_key from passkeys`])
      await expect(asTenant((tx) => tx.execute(sql`select ${secret}`))).rejects.toThrow()
    expect(await sentTo(server, await givePassword(server, one.email))).toBeUndefined()
  })
})

test('a challenge for a passkey is asked for at most 30 times a minute by one network', async () => {
  const statuses: number[] = []
  for (let i = 0; i < 31; i++) statuses.push((await postForm(server, '/passkeys/ask', '', { purpose: 'sign-in' })).status)
  expect(statuses.slice(0, 30)).not.toContain(429)
  expect(statuses.at(-1)).toBe(429)
})

test('at an address of numbers there are no passkeys, and it says so', async () => {
  const person = await seedPerson(server)
  const cookie = await givePassword(server, person.email)
  const asked = await postForm(server, '/passkeys/ask', cookie, { purpose: 'add' })
  expect([asked.status, (await asked.json()).detail]).toEqual([400, expect.stringContaining('belongs to a domain')])
  expect(await addApp(server, cookie)).toMatchObject({ codes: expect.any(Array) })
})
