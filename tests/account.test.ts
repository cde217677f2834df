// A person's own account: name, password, sessions, how dates are written. Always their own, and never a key's.
import { eq } from 'drizzle-orm'
import { describe, expect, test } from 'vitest'
import { users } from '#db/schema.ts'
import { isKnownPassword } from '#server/known-passwords.ts'
import { countAudit, postForm, seedKey, useServer } from './harness.ts'
import { age, cookieOf, entriesOf, givePassword, password, seedPerson, sentTo, sessionsOf } from './people.ts'

const server = useServer({ MATE_SIGN_IN_ATTEMPTS: '100000' })
const another = 'a green chair in the garden'

const change = (cookie: string, fields: { current?: string; password?: string }) =>
  postForm(server, '/account/password', cookie, { current: password, password: another, ...fields })

describe('the password', () => {
  test('changes with the present one, ends every other session, and is audited without either', async () => {
    const person = await seedPerson(server, 'Viewer')
    const cookie = await givePassword(server, person.email)
    const others = [await givePassword(server, person.email), await givePassword(server, person.email)]
    const answer = await change(cookie, {})
    expect([answer.status, answer.headers.get('location')]).toEqual([302, '/account'])
    expect(await sentTo(server, cookie)).toBeUndefined()
    for (const other of others) expect(await sentTo(server, other)).toBe('/sign-in')
    expect((await postForm(server, '/sign-in', '', { email: person.email, password })).status).toBe(400)
    expect(await sentTo(server, await givePassword(server, person.email, another))).toBeUndefined()
    const entries = await entriesOf(server, person.tenantId, 'user.password_changed')
    expect(entries).toMatchObject([{ entityId: person.id, actorId: person.id, details: { after: { sessionsEnded: 2 } } }])
    for (const secret of [password, another]) expect(JSON.stringify(entries)).not.toContain(secret)
  })

  test('stays when the present one is wrong, which is audited', async () => {
    const person = await seedPerson(server)
    const cookie = await givePassword(server, person.email)
    const answer = await change(cookie, { current: 'another password' })
    expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining('This is not your password.')])
    expect(await entriesOf(server, person.tenantId, 'user.sign_in_failed')).toHaveLength(1)
    expect(await sentTo(server, await givePassword(server, person.email))).toBeUndefined()
  })

  test.each([
    ['of 11 characters', () => 'a'.repeat(11), 'at least 12'],
    ['of 129 characters', () => 'x1'.repeat(65).slice(0, 129), 'at most 128'],
    ['that everybody knows', () => '1q2w3e4r5t6y', 'everybody knows'],
    ['that everybody knows, in capitals', () => '1Q2W3E4R5T6Y', 'everybody knows'],
    ['with the e-mail address in it', ({ email }: { email: string }) => `x${email.toUpperCase()}`, 'your e-mail address'],
    ['with what stands before the @ in it', ({ email }: { email: string }) => `my ${email.split('@')[0]}`, 'your e-mail address'],
    ['with the name in it', ({ name }: { name: string }) => `I am ${name}, hello`, 'or your name'],
    ['that is the present one', () => password, 'the one that you have'],
  ])('is refused when it is one %s', async (_, choose, message) => {
    const person = await seedPerson(server)
    const cookie = await givePassword(server, person.email)
    const given = choose(person)
    const answer = await change(cookie, { password: given })
    const html = await answer.text()
    expect([answer.status, html]).toEqual([400, expect.stringContaining(message)])
    expect(html).not.toContain(given)
    expect((await postForm(server, '/sign-in', '', { email: person.email, password })).status).toBe(302)
  })

  test('counts to its end: of 128 characters, the last one matters', async () => {
    const person = await seedPerson(server)
    const cookie = await givePassword(server, person.email)
    const long = 'long passphrase '.repeat(8)
    expect(long).toHaveLength(128)
    expect((await change(cookie, { password: long })).status).toBe(302)
    const shorter = `${long.slice(0, 127)}x`
    expect((await postForm(server, '/sign-in', '', { email: person.email, password: shorter })).status).toBe(400)
    expect((await postForm(server, '/sign-in', '', { email: person.email, password: long })).status).toBe(302)
  })

  test('asks for a fresh sign-in before anything is typed', async () => {
    const person = await seedPerson(server)
    const cookie = await givePassword(server, person.email)
    await age(server, person.id)
    expect(await sentTo(server, cookie, '/account/password')).toBe('/sign-in/again')
    expect((await change(cookie, {})).headers.get('location')).toContain('/sign-in/again')
    expect((await postForm(server, '/sign-in', '', { email: person.email, password })).status).toBe(302)
  })

  test('may be tried five times a minute', async () => {
    const person = await seedPerson(server)
    const cookie = await givePassword(server, person.email)
    const statuses: number[] = []
    for (let i = 0; i < 6; i++) statuses.push((await change(cookie, { current: `wrong number ${i}` })).status)
    expect(statuses).toEqual([400, 400, 400, 400, 400, 429])
  })

  test('the list of known ones is the whole one', async () => {
    for (const known of ['password', 'qwerty123456', 'QAZWSXEDCRFV']) expect(await isKnownPassword(known)).toBe(true)
    expect(await isKnownPassword(password)).toBe(false)
  })
})

describe('sessions', () => {
  test('are listed with their device, this one marked', async () => {
    const person = await seedPerson(server, 'Viewer')
    const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
    const cookie = await givePassword(server, person.email)
    const other = await server.request('/sign-in', {
      method: 'POST',
      headers: { origin: server.url, 'content-type': 'application/x-www-form-urlencoded', 'user-agent': firefox },
      body: new URLSearchParams({ email: person.email, password }).toString(),
    })
    expect(other.status).toBe(302)
    const html = await (await server.request('/account', { headers: { cookie } })).text()
    expect(html).toContain('Firefox on Linux')
    expect(html).toContain('127.0.0.1')
    expect(html.match(/This session/g)).toHaveLength(1)
  })

  test('one ends, the others stay; then all others; each is audited', async () => {
    const person = await seedPerson(server)
    const cookies: string[] = []
    const ids: string[] = []
    for (let i = 0; i < 4; i++) {
      cookies.push(await givePassword(server, person.email))
      const known = await sessionsOf(server, person.id)
      ids.push(known.find(({ id }) => !ids.includes(id))?.id ?? '')
    }
    const [own = '', ...others] = cookies
    await postForm(server, '/account', own, { intent: 'end-session', id: ids[1] ?? '' })
    expect(await Promise.all(others.map((cookie) => sentTo(server, cookie)))).toEqual(['/sign-in', undefined, undefined])
    await postForm(server, '/account', own, { intent: 'end-others' })
    expect(await Promise.all(others.map((cookie) => sentTo(server, cookie)))).toEqual(['/sign-in', '/sign-in', '/sign-in'])
    expect(await sentTo(server, own)).toBeUndefined()
    const entries = await entriesOf(server, person.tenantId, 'user.sessions_ended')
    expect(entries.map(({ details }) => details.after)).toEqual([{ ended: 1 }, { ended: 2 }])
  })

  test('of others can’t be ended, nor one’s own by its id, and nothing is audited then', async () => {
    const [one, two] = [await seedPerson(server), await seedPerson(server)]
    const [mine, theirs] = [await givePassword(server, one.email), await givePassword(server, two.email)]
    const before = await countAudit(server, one.tenantId)
    for (const userId of [one.id, two.id]) {
      const [session] = await sessionsOf(server, userId)
      await postForm(server, '/account', mine, { intent: 'end-session', id: session?.id ?? '' })
    }
    expect((await postForm(server, '/account', mine, { intent: 'end-session', id: 'no id' })).status).toBe(400)
    expect(await sentTo(server, mine)).toBeUndefined()
    expect(await sentTo(server, theirs)).toBeUndefined()
    expect(await countAudit(server, one.tenantId)).toBe(before)
  })
})

test('the name changes, and is audited with what it was; the same one changes nothing', async () => {
  const person = await seedPerson(server, 'Viewer')
  const cookie = await givePassword(server, person.email)
  const rename = (name: string) => postForm(server, '/account', cookie, { intent: 'rename', name })
  expect((await rename(' Grace Hopper ')).status).toBe(302)
  expect((await rename('Grace Hopper')).status).toBe(302)
  const [user] = await server.database.db.select({ name: users.name }).from(users).where(eq(users.id, person.id))
  expect(user?.name).toBe('Grace Hopper')
  expect(await entriesOf(server, person.tenantId, 'user.renamed')).toMatchObject([
    { details: { before: { name: person.name }, after: { name: 'Grace Hopper' } } },
  ])
  for (const wrong of ['', 'x'.repeat(101), 'a\nb']) expect((await rename(wrong)).status).toBe(400)
})

test('how dates are written is kept in a cookie, one of those that there are', async () => {
  const person = await seedPerson(server, 'Viewer')
  const cookie = await givePassword(server, person.email)
  const choose = async (dates: string) => {
    const answer = await postForm(server, '/account', cookie, { intent: 'dates', dates })
    const [set = ''] = answer.headers.getSetCookie().filter((each) => each.startsWith('dates='))
    const page = await server.request('/account', { headers: { cookie: `${cookie}; ${set.split(';')[0]}` } })
    const html = await page.text()
    return /<option value="([^"]*)" selected=""/.exec(html)?.[1]
  }
  expect(await choose('de')).toBe('de')
  expect(await choose('utc')).toBe('utc')
  expect(await choose('"><script>')).toBe('')
})

test('the account is a person’s: a key has no way to it, and without a session one signs in first', async () => {
  const person = await seedPerson(server)
  const { key } = await seedKey(server, person.tenantId, 'SuperAdmin')
  for (const path of ['/account', '/account/password', '/account/authenticator', '/account/recovery-codes']) {
    const asked = await server.request(path, { key })
    expect([asked.status, asked.headers.get('location')?.split('?')[0]]).toEqual([302, '/sign-in'])
    const sent = await server.request(path, {
      key,
      method: 'POST',
      headers: { origin: server.url, 'content-type': 'application/x-www-form-urlencoded' },
      body: 'intent=end-others',
    })
    expect(sent.headers.get('location')?.split('?')[0]).toBe('/sign-in')
  }
  for (const path of ['/api/account', '/trpc/account.get']) expect((await server.request(path, { key })).status).toBe(404)
  expect(cookieOf(await postForm(server, '/passkeys/show', '', { purpose: 'again', response: '{}' }))).toBe('')
})
