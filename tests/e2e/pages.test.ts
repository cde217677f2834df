// Every page, in every dress: light, dark, narrow, by keyboard, for screen readers, for those who may not.
import { AxeBuilder } from '@axe-core/playwright'
import type { Browser, Locator, Page } from '@playwright/test'
import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { users } from '#db/schema.ts'
import { type SeededUser, seedKey, seedTenant, seedUser, useServer } from '../harness.ts'
import { launchBrowser, openPage } from './browser.ts'

const server = useServer()
let browser: Browser
let admin: SeededUser
let viewer: SeededUser
let paths: { path: string; status: number }[]

beforeAll(async () => {
  browser = await launchBrowser(inject('browser'))
  const tenant = await seedTenant(server)
  admin = await seedUser(server, tenant.id, 'TenantAdmin')
  viewer = await seedUser(server, tenant.id, 'Viewer')
  const used = { lastUsedAt: new Date(), lastUsedIp: '2001:db8::17', lastUsedUserAgent: 'curl/8.14.1' }
  const { id } = await seedKey(server, tenant.id, 'Tester', { name: 'ci-pipeline', ...used })
  // Another key than the one above: a use of that one would replace the address it was last used from.
  const { key } = await seedKey(server, tenant.id, 'Tester')
  await seedKey(server, tenant.id, 'Viewer', {
    name: 'a-name-without-any-space-that-goes-on-for-very-long-'.repeat(2).slice(0, 100),
  })
  await seedKey(server, tenant.id, 'Viewer', { name: 'old', expiresAt: new Date(Date.now() - 86_400_000) })
  const revoked = { revokedAt: new Date(), revokedById: admin.id, revokedByName: admin.name, revokedReason: 'rotated' }
  await seedKey(server, tenant.id, 'TenantAdmin', { name: 'gone', ...revoked })
  await seedKey(server, tenant.id, 'SuperAdmin', { name: 'above' })
  expect((await server.request('/api/agents', { key, method: 'POST', json: {} })).status).toBe(403)
  paths = [
    { path: '/api-keys', status: 200 },
    { path: '/api-keys?search=nothing-has-this-name', status: 200 },
    { path: '/api-keys/new', status: 200 },
    { path: `/api-keys/${id}`, status: 200 },
    { path: `/api-keys/${id}/revoke`, status: 200 },
    { path: `/api-keys/${id}/delete`, status: 200 },
    { path: '/audit-log', status: 200 },
    { path: '/audit-log?search=nothing', status: 200 },
    { path: '/api-keys/not-an-id', status: 400 },
    { path: `/api-keys/${crypto.randomUUID()}`, status: 404 },
    { path: '/nowhere', status: 404 },
  ]
})

afterAll(() => browser.close())

const cookieOf = ({ cookie }: SeededUser) => {
  const [name = '', value = ''] = cookie.split(/=(.*)/s)
  return { name, value, url: server.url }
}

test('axe finds nothing on any page, light or dark, nothing leaves the origin, no policy is violated', async () => {
  const { page, faults } = await openPage(browser, server.url)
  await expectAccessible('/sign-in', 200)
  await expectAccessible('/setup?token=none', 404)
  await page.context().addCookies([cookieOf(admin)])
  for (const { path, status } of paths) await expectAccessible(path, status)
  expect(faults).toEqual([])

  async function expectAccessible(path: string, status: number): Promise<void> {
    const response = await page.goto(path)
    expect([path, response?.status()]).toEqual([path, status])
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme })
      // Colours that are still on their way from one theme to the other have neither's contrast.
      await page.evaluate(() => Promise.all(document.getAnimations().map(({ finished }) => finished)))
      // Of its rules, only the contrasts depend on the theme.
      const axe = new AxeBuilder({ page }).setLegacyMode()
      const { violations } = await (colorScheme === 'light' ? axe : axe.withRules('color-contrast')).analyze()
      const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`)
      expect({ path, colorScheme, found }).toEqual({ path, colorScheme, found: [] })
    }
    expect(await page.getByRole('heading', { level: 1 }).count()).toBe(1)
    expect(await page.title()).toMatch(/\S · mate$/)
  }
}, 240_000)

test('no page is wider than a phone of 360 px, with JavaScript on or off', async () => {
  for (const javaScriptEnabled of [true, false]) {
    const { page } = await openPage(browser, server.url, { viewport: { width: 360, height: 740 }, javaScriptEnabled })
    await page.context().addCookies([cookieOf(admin)])
    for (const { path } of paths) {
      await page.goto(path)
      const box = await page.locator('html').evaluate((html) => ({ wide: html.scrollWidth, seen: html.clientWidth }))
      expect({ path, ...box }).toEqual({ path, wide: 360, seen: 360 })
    }
  }
})

test('the keyboard alone generates a key: skip link, link, name, role, button', async () => {
  const { page } = await openPage(browser, server.url)
  await page.context().addCookies([cookieOf(admin)])
  await page.goto('/api-keys')
  await page.keyboard.press('Tab')
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Skip to content')
  await page.keyboard.press('Enter')
  await tabTo('Generate Key')
  await page.keyboard.press('Enter')
  await page.waitForURL('**/api-keys/new')
  await page.getByLabel('Name').focus()
  await page.keyboard.type('by-keyboard')
  await page.keyboard.press('Tab')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await page.getByLabel('API key', { exact: true }).waitFor()
  expect(await page.getByText('Tester').count()).toBeGreaterThan(0)

  async function tabTo(name: string): Promise<void> {
    for (let presses = 0; presses < 30; presses++) {
      await page.keyboard.press('Tab')
      const text = await page.evaluate(() => document.activeElement?.textContent ?? '')
      if (text.includes(name)) return
    }
    throw new Error(`Tab never reached ${name}`)
  }
})

test('a user below TenantAdmin gets a clear 403 page and no link to what they may not open', async () => {
  const { page } = await openPage(browser, server.url)
  await page.context().addCookies([cookieOf(viewer)])
  for (const path of ['/api-keys', '/api-keys/new', '/audit-log']) {
    const response = await page.goto(path)
    expect(response?.status()).toBe(403)
    const text = (await page.locator('main').textContent()) ?? ''
    expect(text).toContain('TenantAdmin')
    expect(text).toContain('Viewer')
  }
  await page.goto('/')
  expect(
    await page
      .locator('header')
      .getByRole('link', { name: /API Keys|Audit Log/ })
      .count(),
  ).toBe(0)
})

test('a TenantAdmin is offered the roles up to their own, the least first and chosen', async () => {
  const { page } = await openPage(browser, server.url)
  await page.context().addCookies([cookieOf(admin)])
  await page.goto('/api-keys/new')
  const values = await page
    .locator('input[name=role]')
    .evaluateAll((radios) => radios.map((radio) => (radio as HTMLInputElement).value))
  expect(values).toEqual(['Viewer', 'Tester', 'TenantAdmin'])
  expect(await page.locator('input[name=role]:checked').inputValue()).toBe('Viewer')
  await page.goto('/api-keys?search=above')
  const row = page.getByRole('row').filter({ hasText: 'above' })
  expect(await row.getByRole('link', { name: /Revoke|Delete/ }).count()).toBe(0)
})

test('Revoke warns of a key that was used in the last 7 days, Delete is louder for an active one', async () => {
  const { page } = await openPage(browser, server.url)
  await page.context().addCookies([cookieOf(admin)])
  await page.goto('/api-keys?search=ci-pipeline')
  await page.getByRole('link', { name: /^Revoke/ }).click()
  await page.getByText('2001:db8::17').first().waitFor()
  await page.goto('/api-keys?search=ci-pipeline')
  await page.getByRole('link', { name: /^Delete/ }).click()
  await page.getByText('This key still works').waitFor()
  const confirm = page.getByRole('checkbox')
  expect(await confirm.getAttribute('required')).not.toBeNull()
})

test('the API Explorer opens Scalar from our own origin, without a policy violation, and downloads mate-openapi.json', async () => {
  const { page, faults } = await openPage(browser, server.url)
  await page.context().addCookies([cookieOf(admin)])
  await page.goto('/api-keys')
  const link = page.getByRole('link', { name: /OpenAPI JSON/ })
  expect(await downloadedName(page, link)).toBe('mate-openapi.json')
  const text = (await page.locator('main').textContent()) ?? ''
  expect(text).toContain('X-API-Key')
  expect(text).toContain('Authorization: ApiKey')
  await page.goto('/scalar/v1')
  await page.getByText('Who this key is').first().waitFor({ timeout: 30_000 })
  expect(faults).toEqual([])
})

test('times are in the reader’s zone, exact in UTC on hover; a button says what it does meanwhile; what was done is announced', async () => {
  const tokyo = { timezoneId: 'Asia/Tokyo' }
  const { page } = await openPage(browser, server.url, tokyo)
  await page.context().addCookies([cookieOf(admin)])
  await page.goto('/api-keys?search=old')
  await page.getByText('Times are in Asia/Tokyo.').waitFor()
  const time = page.getByRole('row').filter({ hasText: 'old' }).locator('time').first()
  const instant = new Date((await time.getAttribute('datetime')) ?? '')
  const inTokyo = new Date(instant.getTime() + 9 * 3_600_000).toISOString()
  expect(await time.textContent()).toBe(`${inTokyo.slice(0, 10)} ${inTokyo.slice(11, 16)}`)
  expect(await time.getAttribute('title')).toBe(`${instant.toISOString().slice(0, 19).replace('T', ' ')} UTC`)

  const tenantId =
    (await server.database.db.select({ id: users.tenantId }).from(users).where(eq(users.id, admin.id)))[0]?.id ?? ''
  const { id } = await seedKey(server, tenantId, 'Viewer', { name: 'to-be-revoked' })
  await page.goto(`/api-keys/${id}/revoke`)
  const status = page.locator('div[role=status]')
  await page.route('**/*.data*', async (route) => {
    await page.getByRole('button', { name: 'Revoking…' }).waitFor()
    await route.continue()
  })
  await page.getByRole('button', { name: 'Revoke key' }).click()
  await status.filter({ hasText: 'to-be-revoked' }).waitFor()
  expect(await status.textContent()).toContain('is revoked')
})

test('the theme that a user chooses stays, with JavaScript off too', async () => {
  const { page } = await openPage(browser, server.url, { javaScriptEnabled: false, colorScheme: 'light' })
  await page.context().addCookies([cookieOf(admin)])
  await page.goto('/api-keys')
  const background = () => page.locator('body').evaluate((body) => getComputedStyle(body).backgroundColor)
  const light = await background()
  await page.locator('header summary').click()
  await page.getByRole('button', { name: 'Dark' }).click()
  await page.goto('/audit-log')
  expect(await background()).not.toBe(light)
})

/** Chromium does not always tell of the download that a new context's first click makes: it is clicked again then. */
async function downloadedName(page: Page, link: Locator): Promise<string | undefined> {
  for (let tries = 0; tries < 4; tries++) {
    const event = page.waitForEvent('download', { timeout: 4_000 }).catch(() => undefined)
    await link.click()
    const download = await event
    if (download) return download.suggestedFilename()
  }
}
