// The story of tenants, as a SuperAdmin lives it, with JavaScript and without: made, full, entered, left, deactivated, back.
import type { Browser, Page } from '@playwright/test'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { unique } from '../doors.ts'
import { type SeededKey, type SeededUser, seedKey, seedTenant, seedUser, useServer } from '../harness.ts'
import { expectAccessible } from './accessible.ts'
import { launchBrowser, openPage } from './browser.ts'

const server = useServer()
let browser: Browser
let root: SeededUser
let home: { id: string; name: string }

beforeAll(async () => {
  browser = await launchBrowser(inject('browser'))
  home = await seedTenant(server)
  root = await seedUser(server, home.id, 'SuperAdmin')
})
afterAll(() => browser.close())

async function openAs(user: SeededUser, options: Parameters<typeof openPage>[2]) {
  const opened = await openPage(browser, server.url, options)
  const [name = '', value = ''] = user.cookie.split(/=(.*)/s)
  await opened.page.context().addCookies([{ name, value, url: server.url }])
  return opened
}

const barOf = (page: Page) => page.getByRole('region', { name: 'Acting in another tenant' })

async function makeTenant(page: Page, name: string): Promise<void> {
  await page.getByRole('link', { name: 'Tenants' }).click()
  await page.getByRole('link', { name: 'New Tenant' }).click()
  await page.getByLabel('Name').fill(home.name.toUpperCase())
  await page.getByLabel('Test suites').fill('1')
  await page.getByRole('button', { name: 'Create' }).click()
  await page.getByText('Another one with this name exists already').waitFor()
  expect(await page.getByLabel('Test suites').inputValue()).toBe('1')
  await page.getByLabel('Name').fill(name)
  await page.getByRole('button', { name: 'Create' }).click()
  await page.getByRole('heading', { level: 1, name }).waitFor()
  await page.getByText('0 of 1 used.').waitFor()
}

async function fillSuites(page: Page, name: string): Promise<void> {
  await page.getByRole('button', { name: 'Act in this tenant' }).click()
  await barOf(page).waitFor()
  expect(await barOf(page).textContent()).toContain(`Acting in ${name} as SuperAdmin`)
  for (const suite of ['First', 'Second']) {
    await page.goto('/test-suites/new')
    await page.getByLabel('Name').fill(suite)
    await page.getByRole('button', { name: 'Create' }).click()
    if (suite === 'First') await page.getByRole('heading', { level: 1, name: suite }).waitFor()
  }
  await page.getByText('The tenant has 1 of 1 test suites (quota maxTestSuites). Delete one, or ask').waitFor()
  expect(await page.getByLabel('Name').inputValue()).toBe('Second')
}

async function leave(page: Page): Promise<void> {
  await page.goto('/audit-log')
  const log = (await page.locator('main').textContent()) ?? ''
  for (const word of [root.name, 'tenant.created', 'user.entered_tenant', 'test_suite.created']) expect(log).toContain(word)
  await barOf(page).getByRole('button', { name: 'Leave' }).click()
  await page.getByRole('heading', { level: 1, name: 'Tenants' }).waitFor()
  expect(await barOf(page).count()).toBe(0)
  await page.goto('/test-suites')
  expect(await page.getByText('First').count()).toBe(0)
}

async function deactivate(page: Page, name: string, { key }: SeededKey): Promise<void> {
  await page.goto('/tenants')
  await page.getByRole('link', { name }).click()
  await page.getByRole('link', { name: 'Deactivate' }).click()
  await page.getByText('1 active API key is refused').waitFor()
  await page.getByLabel('Reason').fill('the end of a trial')
  await page.getByRole('button', { name: 'Deactivate tenant' }).click()
  await page.getByText('This tenant is deactivated').waitFor()
  expect((await server.request('/api/me', { key })).status).toBe(401)
  await page.getByRole('button', { name: 'Act in this tenant' }).click()
  await barOf(page).getByText('It is deactivated').waitFor()
  await barOf(page).getByRole('button', { name: 'Leave' }).click()
  await page.getByRole('link', { name }).click()
  await page.getByRole('button', { name: 'Reactivate' }).click()
  await page.getByRole('link', { name: 'Deactivate' }).waitFor()
  expect((await server.request('/api/me', { key })).status).toBe(200)
}

test.each([true, false])(
  'a SuperAdmin makes a tenant, fills its quota, leaves it, deactivates it and has it back (JavaScript: %s)',
  async (javaScriptEnabled) => {
    const { page, faults } = await openAs(root, { javaScriptEnabled })
    const name = unique('Acme')
    await page.goto('/')
    await makeTenant(page, name)
    await fillSuites(page, name)
    await leave(page)
    await page.goto('/tenants')
    const id = (await page.getByRole('link', { name }).getAttribute('href'))?.split('/').at(-1) ?? ''
    await deactivate(page, name, await seedKey(server, id, 'Viewer'))
    expect(faults).toEqual([])
  },
)

test('the pages and the bar are accessible in both themes, fit 360 px, and the bar is on every page and can’t be dismissed', async () => {
  const name = 'a-tenant-whose-name-has-no-space-and-goes-on-for-long-'.repeat(2).slice(0, 100)
  const tenant = await seedTenant(server, { name, maxUsers: 3, maxAgents: 0 })
  const off = await seedTenant(server, { isActive: false })
  const paths = ['/tenants', '/tenants/new', ...[tenant.id, off.id, home.id].map((id) => `/tenants/${id}`)]
  paths.push(`/tenants/${tenant.id}/deactivate`)
  const { page, faults } = await openAs(root, { viewport: { width: 360, height: 740 } })
  await page.goto(`/tenants/${tenant.id}`)
  await page.getByRole('button', { name: 'Act in this tenant' }).click()
  await barOf(page).waitFor()
  for (const path of [...paths, '/', '/api-keys', '/agents', '/nowhere']) {
    await page.goto(path)
    await page.mouse.wheel(0, 5_000)
    expect([path, await barOf(page).isVisible()]).toEqual([path, true])
    expect(await barOf(page).getByRole('button').allTextContents()).toEqual(['Leave'])
    const box = await page.locator('html').evaluate((html) => ({ wide: html.scrollWidth, seen: html.clientWidth }))
    expect({ path, ...box }).toEqual({ path, wide: 360, seen: 360 })
    await expectAccessible(page)
  }
  expect(faults).toEqual([])
})
