// Single sign-on as people meet it: a SuperAdmin adds a provider, somebody signs in through it, and is what it says they are.
import type { Browser, Page } from '@playwright/test'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { type SeededUser, seedTenant, seedUser, useServer } from '../harness.ts'
import { startProvider, type TestProvider } from '../oidc.ts'
import { expectAccessible } from './accessible.ts'
import { launchBrowser, openPage } from './browser.ts'

const server = useServer({ MATE_ALLOW_PRIVATE_PROVIDERS: 'true', MATE_SIGN_IN_ATTEMPTS: '1000' })
let browser: Browser
let idp: TestProvider
let root: SeededUser

beforeAll(async () => {
  browser = await launchBrowser(inject('browser'))
  idp = await startProvider({ redirectUri: `${server.url}/sso/callback` })
  root = await seedUser(server, (await seedTenant(server)).id, 'SuperAdmin')
})

afterAll(async () => {
  await browser.close()
  await idp.stop()
})

const enter = (page: Page, { cookie }: SeededUser) => {
  const [name = '', value = ''] = cookie.split(/=(.*)/s)
  return page.context().addCookies([{ name, value, url: server.url }])
}

const heading = (page: Page, name: string) => page.getByRole('heading', { level: 1, name, exact: true }).waitFor()

describe.each([true, false])('with JavaScript %s', (javaScriptEnabled) => {
  test('add a provider, test it, sign in through it, and land in the mapped role', async () => {
    const company = await seedTenant(server)
    const name = `Company ${javaScriptEnabled ? 'one' : 'two'}`
    const { page, faults } = await openPage(browser, server.url, { javaScriptEnabled })
    await enter(page, root)
    await page.goto('/sign-in-policy')
    await page.getByRole('link', { name: 'Identity providers' }).click()
    await page.getByRole('link', { name: 'Add Provider' }).click()
    await page.getByLabel('Name', { exact: true }).fill(name)
    await page.getByLabel('Issuer').fill(idp.issuer)
    await page.getByLabel('Client ID').fill(idp.clientId)
    await page.getByLabel('Client secret').fill(idp.clientSecret)
    const mapping = page.getByRole('group', { name: 'Mapping 1', exact: true })
    await mapping.getByLabel('Value of the tenant’s claim').fill(company.id)
    await mapping.getByLabel('Tenant', { exact: true }).selectOption({ label: company.name })
    await mapping.getByLabel('Roles').fill('staff = Nobody')
    await page.getByRole('button', { name: 'Add', exact: true }).click()
    await page.getByRole('alert').getByText('Mapping 1, roles').waitFor()
    // The secret is not sent back to the page.
    await page.getByLabel('Client secret').fill(idp.clientSecret)
    await mapping.getByLabel('Roles').fill('staff = Tester')
    await page.getByRole('button', { name: 'Add', exact: true }).click()
    await heading(page, name)
    await page.getByRole('button', { name: 'Test' }).click()
    await page.getByText('Its metadata is in order').waitFor()

    await page.context().clearCookies()
    idp.person = {
      sub: name,
      email: `${company.id}@example.com`,
      email_verified: true,
      name: 'Ada',
      tid: company.id,
      roles: ['staff'],
    }
    await page.goto('/sign-in?redirectTo=/runs')
    await page.getByRole('button', { name: `Sign in with ${name}` }).click()
    await heading(page, 'Runs')
    expect(new URL(page.url()).pathname).toBe('/runs')
    await page.locator('summary').filter({ hasText: company.name }).click()
    await page.getByText(`Tester in ${company.name}`).waitFor()

    await page.context().clearCookies()
    idp.person = { ...idp.person, roles: [] }
    await page.goto('/sign-in')
    await page.getByRole('button', { name: `Sign in with ${name}` }).click()
    await heading(page, 'You are not signed in')
    await page.getByText('None of your roles or groups').waitFor()
    expect(faults.filter((fault) => !fault.startsWith(`request to ${idp.issuer}`))).toEqual([])
  })

  test('its pages fit a phone of 360 px', async () => {
    const { page } = await openPage(browser, server.url, { viewport: { width: 360, height: 740 }, javaScriptEnabled })
    await enter(page, root)
    for (const path of ['/identity-providers', '/identity-providers/new', '/sign-in-policy', '/sign-in', '/sso/callback']) {
      await page.goto(path)
      const box = await page.locator('html').evaluate((html) => ({ wide: html.scrollWidth, seen: html.clientWidth }))
      expect([path, box.wide]).toEqual([path, box.seen])
    }
  })
})

test('axe finds nothing on its pages, light or dark', async () => {
  const { page } = await openPage(browser, server.url)
  await enter(page, root)
  for (const path of [
    '/identity-providers',
    '/identity-providers/new',
    '/sign-in-policy',
    '/sign-in?redirectTo=/',
    '/sso/callback',
  ]) {
    await page.goto(path)
    await expectAccessible(page)
  }
})
