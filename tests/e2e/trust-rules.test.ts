// A trust rule by mouse, with and without JavaScript: from the keys to what a pipeline needs, and what is told on the way.
import type { Browser } from '@playwright/test'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { seedKey, seedTenant, seedUser, useServer } from '../harness.ts'
import { launchBrowser, openPage } from './browser.ts'

const server = useServer()
let browser: Browser
beforeAll(async () => {
  browser = await launchBrowser(inject('browser'))
})
afterAll(() => browser.close())

test.each([
  ['with JavaScript', true],
  ['without JavaScript', false],
])('a rule is added, corrected, changed and deleted %s', async (_, javaScriptEnabled) => {
  const tenant = await seedTenant(server)
  await seedKey(server, tenant.id, 'Viewer')
  const { cookie } = await seedUser(server, tenant.id, 'TenantAdmin')
  const { page, faults } = await openPage(browser, server.url, { javaScriptEnabled })
  const [name = '', value = ''] = cookie.split(/=(.*)/s)
  await page.context().addCookies([{ name, value, url: server.url }])

  await page.goto('/api-keys')
  await page.getByRole('link', { name: 'Trust rules for CI…' }).click()
  await page.getByRole('link', { name: 'Add Rule' }).click()
  await page.getByRole('link', { name: 'GitLab' }).click()
  await page.locator('input[name=issuer][value="https://gitlab.com"]').waitFor()
  expect(await page.getByLabel('Audience').inputValue()).toBe(server.url)
  await page.getByLabel('Name', { exact: true }).fill('Nightly')
  await page.getByLabel('Value of claim 1, project_path').fill('acme*')
  await page.getByRole('button', { name: 'Add' }).click()
  await page.getByRole('alert').getByText('takes pipelines of strangers').waitFor()
  expect(await page.getByLabel('Value of claim 1, project_path').inputValue()).toBe('acme*')
  await page.getByLabel('Value of claim 1, project_path').fill('acme/app')
  await page.getByRole('button', { name: 'Add' }).click()

  await page.getByRole('heading', { level: 1, name: 'Nightly' }).waitFor()
  const id = new URL(page.url()).pathname.split('/').at(-1)
  await page.getByText(`MATE_TRUST_RULE: ${id}`).waitFor()
  await page.getByRole('checkbox', { name: /^Active/ }).uncheck()
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByText('The trust rule is saved.').waitFor()
  expect(await page.getByRole('checkbox', { name: /^Active/ }).isChecked()).toBe(false)

  await page.getByRole('link', { name: 'Delete' }).click()
  await page.getByRole('button', { name: 'Delete trust rule' }).click()
  await page.getByText('No trust rules yet').waitFor()
  expect(faults).toEqual([])
})
