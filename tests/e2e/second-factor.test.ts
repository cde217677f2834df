// Passkeys in a real browser with Chromium's virtual authenticator, and an authenticator app with JavaScript and without.
import type { Browser, CDPSession, Page } from '@playwright/test'
import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { passkeys } from '#db/schema.ts'
import { useServer } from '../harness.ts'
import { age, codeOf, entriesOf, forgetSteps, type Person, password, requireFactor, seedPerson } from '../people.ts'
import { expectAccessible } from './accessible.ts'
import { launchBrowser, openPage } from './browser.ts'

const server = useServer({ MATE_SIGN_IN_ATTEMPTS: '100000' })
let browser: Browser
/** A passkey belongs to a domain, and the harness's server is at a number. */
let origin: string

beforeAll(async () => {
  browser = await launchBrowser(inject('browser'))
  origin = server.url.replace('127.0.0.1', 'localhost')
})

afterAll(() => browser.close())

async function givePassword(page: Page, { email }: Person): Promise<void> {
  await page.goto('/sign-in')
  await page.getByLabel('E-mail').fill(email)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
}

async function signOut(page: Page): Promise<void> {
  await page.goto('/')
  await page.locator('header summary').click()
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.waitForURL('**/sign-in')
}

interface Authenticator {
  cdp: CDPSession
  authenticatorId: string
}

async function addAuthenticator(page: Page): Promise<Authenticator> {
  const cdp = await page.context().newCDPSession(page)
  await cdp.send('WebAuthn.enable')
  const has = { hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true }
  const options = { protocol: 'ctap2', transport: 'internal', ...has } as const
  return { cdp, ...(await cdp.send('WebAuthn.addVirtualAuthenticator', { options })) }
}

async function addPasskey(page: Page, name: string): Promise<void> {
  await page.goto('/account')
  await page.getByRole('link', { name: 'Add passkey' }).click()
  await page.getByLabel('Name of the passkey').fill(name)
  await page.getByRole('button', { name: 'Add passkey' }).click()
}

const heading = (page: Page, name: string) => page.getByRole('heading', { level: 1, name }).waitFor()

async function expectInOrder(page: Page): Promise<void> {
  await expectAccessible(page)
  const size = page.viewportSize()
  await page.setViewportSize({ width: 360, height: 740 })
  expect([page.url(), await page.locator('html').evaluate((html) => html.scrollWidth)]).toEqual([page.url(), 360])
  if (size) await page.setViewportSize(size)
}

describe('passkeys', () => {
  test('are added, sign in alone, are a second factor, show again who one is, and are removed', async () => {
    const person = await seedPerson(server, 'TenantAdmin')
    const { page, faults } = await openPage(browser, origin)
    await addAuthenticator(page)
    await givePassword(page, person)
    await page.waitForURL(`${origin}/`)
    await addPasskey(page, 'laptop')
    await heading(page, 'Keep these recovery codes')
    expect((await page.locator('pre').textContent())?.trim().split('\n')).toHaveLength(10)
    await page.getByRole('link', { name: 'I have kept them' }).click()
    await page.getByText('10 of 10 left').waitFor()

    await signOut(page)
    await page.getByRole('button', { name: 'Sign in with a passkey' }).click()
    await page.waitForURL(`${origin}/`)
    await heading(page, 'Overview')

    await signOut(page)
    await givePassword(page, person)
    await heading(page, 'Second factor')
    await page.getByRole('button', { name: 'Use a passkey' }).click()
    await heading(page, 'Overview')

    await age(server, person.id)
    await page.goto('/account')
    await page.getByRole('link', { name: /^Remove\s*laptop$/ }).click()
    await heading(page, 'Sign in again')
    await page.getByRole('button', { name: 'Use a passkey' }).click()
    await heading(page, 'Remove this second factor?')
    await page.getByRole('button', { name: 'Remove' }).click()
    await page.getByText('None yet').waitFor()
    expect(await server.database.db.$count(passkeys, eq(passkeys.userId, person.id))).toBe(0)

    await signOut(page)
    await page.getByRole('button', { name: 'Sign in with a passkey' }).click()
    await page.getByText('This passkey was not accepted.').waitFor()
    await givePassword(page, person)
    await heading(page, 'Overview')
    expect(await entriesOf(server, person.tenantId, 'user.signed_in')).toHaveLength(4)
    expect(faults).toEqual([])
  })

  test('a copy that counts backwards is refused, and one without its holder’s verification', async () => {
    const person = await seedPerson(server)
    const { page } = await openPage(browser, origin)
    const { cdp, authenticatorId } = await addAuthenticator(page)
    await givePassword(page, person)
    await page.waitForURL(`${origin}/`)
    await addPasskey(page, 'key')
    await heading(page, 'Keep these recovery codes')
    await signOut(page)
    await server.database.db.update(passkeys).set({ counter: 1_000 }).where(eq(passkeys.userId, person.id))
    const press = () => page.getByRole('button', { name: 'Sign in with a passkey' }).click()
    await press()
    await page.getByText('This passkey was not accepted.').waitFor()
    await server.database.db.update(passkeys).set({ counter: 0 }).where(eq(passkeys.userId, person.id))
    await cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false })
    await page.reload()
    await press()
    await page.getByText('No passkey was used').waitFor()
    await cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: true })
    await press()
    await heading(page, 'Overview')
  })

  test('an answer is good once', async () => {
    const person = await seedPerson(server)
    const { page } = await openPage(browser, origin)
    await addAuthenticator(page)
    await givePassword(page, person)
    await page.waitForURL(`${origin}/`)
    await addPasskey(page, 'key')
    await heading(page, 'Keep these recovery codes')
    await signOut(page)
    const sent = page.waitForRequest((request) => request.url().includes('/passkeys/show'))
    await page.getByRole('button', { name: 'Sign in with a passkey' }).click()
    const body = (await sent).postData() ?? ''
    await heading(page, 'Overview')
    const replay = await fetch(`${origin}/passkeys/show`, {
      method: 'POST',
      headers: { origin, 'content-type': 'application/x-www-form-urlencoded' },
      body,
      redirect: 'manual',
    })
    expect([replay.status, replay.headers.getSetCookie(), replay.headers.get('location')]).toEqual([400, [], null])
  })

  test('are the first factor of an admin who must have one, and open the session', async () => {
    const person = await seedPerson(server)
    await requireFactor(server, person.tenantId)
    const { page, faults } = await openPage(browser, origin)
    await addAuthenticator(page)
    await givePassword(page, person)
    await heading(page, 'Set up a second factor')
    await expectInOrder(page)
    await page.getByLabel('Name of the passkey').fill('phone')
    await page.getByRole('button', { name: 'Add passkey' }).click()
    await heading(page, 'Keep these recovery codes')
    await expectInOrder(page)
    await page.getByRole('link', { name: 'I have kept them' }).click()
    await heading(page, 'Overview')
    expect(faults).toEqual([])
  })
})

describe.each([true, false])('with JavaScript: %s', (javaScriptEnabled) => {
  test('an authenticator app is set up, asked for, and removed after a fresh sign-in', async () => {
    const person = await seedPerson(server, 'Viewer')
    const { page, faults } = await openPage(browser, origin, { javaScriptEnabled })
    await givePassword(page, person)
    await page.waitForURL(`${origin}/`)
    await page.goto('/account')
    await page.getByRole('link', { name: 'Set up app' }).click()
    await page.getByRole('img', { name: /QR code/ }).waitFor()
    const secret = (await page.locator('main p.font-mono').textContent())?.replaceAll(' ', '') ?? ''
    await page.getByLabel('Code', { exact: true }).fill(codeOf(secret))
    await page.getByRole('button', { name: 'Add authenticator app' }).click()
    await heading(page, 'Keep these recovery codes')
    const [recovery = ''] = (await page.locator('pre').textContent())?.trim().split('\n') ?? []
    await page.getByRole('link', { name: 'I have kept them' }).click()
    await page.getByText('10 of 10 left').waitFor()

    await forgetSteps(server, person.id)
    await signOut(page)
    await givePassword(page, person)
    await heading(page, 'Second factor')
    await page.getByLabel('Code', { exact: true }).fill(codeOf(secret))
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await heading(page, 'Overview')

    await age(server, person.id)
    await page.goto('/account')
    await page.getByRole('link', { name: 'Remove app' }).click()
    await heading(page, 'Sign in again')
    await page.getByLabel('Code', { exact: true }).fill(recovery)
    await page.getByRole('button', { name: 'Go on' }).click()
    await heading(page, 'Remove this second factor?')
    await page.getByRole('button', { name: 'Remove' }).click()
    await page.getByText('Not set up').waitFor()
    expect(faults).toEqual([])
  }, 90_000)
})

test('the pages of the account are in order: for axe, light and dark, and on a phone', async () => {
  const person = await seedPerson(server)
  const { page, faults } = await openPage(browser, origin)
  await givePassword(page, person)
  await page.waitForURL(`${origin}/`)
  for (const path of ['/account', '/account/password', '/account/authenticator', '/account/passkeys/new']) {
    await page.goto(path)
    await page.waitForURL(`**${path}`)
    await expectInOrder(page)
  }
  await page.goto('/sign-in/again')
  await heading(page, 'Sign in again')
  await expectInOrder(page)
  expect(faults).toEqual([])
})
