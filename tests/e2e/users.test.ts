// A person's way through a tenant: invited, joined, given a lower role, deactivated; with JavaScript and without.
import type { Browser, Page } from '@playwright/test'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { seedTenant, seedUser, useServer } from '../harness.ts'
import { launchBrowser, openPage } from './browser.ts'

const server = useServer()
let browser: Browser
beforeAll(async () => {
  browser = await launchBrowser(inject('browser'))
})
afterAll(() => browser.close())

const arriveAt = (page: Page, heading: string) => page.getByRole('heading', { level: 1, name: heading, exact: true }).waitFor()

describe.each([true, false])('with JavaScript on: %s', (javaScriptEnabled) => {
  test('invited, joined, lowered, deactivated: their session and key end with it', async () => {
    const tenant = await seedTenant(server)
    const admin = await seedUser(server, tenant.id, 'TenantAdmin')
    const { page, faults } = await openPage(browser, server.url, { javaScriptEnabled })
    const [name = '', value = ''] = admin.cookie.split(/=(.*)/s)
    await page.context().addCookies([{ name, value, url: server.url }])
    await page.goto('/users')
    await page.getByRole('link', { name: 'Invite User' }).click()
    await page.getByLabel('E-mail', { exact: true }).fill(`grace-${javaScriptEnabled}@example.com`)
    await page.getByRole('radio', { name: /^TenantAdmin / }).check({ force: true })
    await page.getByRole('button', { name: 'Invite' }).click()
    await arriveAt(page, 'Copy the link now')
    const link = await page.getByLabel('Invitation link', { exact: true }).inputValue()

    const hers = await openPage(browser, server.url, { javaScriptEnabled })
    await hers.page.goto(link)
    await hers.page.getByLabel('Your name').fill('Grace')
    await hers.page.getByLabel('Password').fill('correct horse battery')
    await hers.page.getByRole('button', { name: 'Join and sign in' }).click()
    await arriveAt(hers.page, 'Overview')
    await hers.page.goto('/api-keys/new')
    await hers.page.getByLabel('Name', { exact: true }).fill('grace’s pipeline')
    await hers.page.getByRole('radio', { name: /^TenantAdmin / }).check({ force: true })
    await hers.page.getByRole('button', { name: 'Generate' }).click()
    await hers.page.getByLabel('API key', { exact: true }).waitFor()
    const key = await hers.page.getByLabel('API key', { exact: true }).inputValue()
    const roleOfKey = async () => (await (await server.request('/api/me', { key })).json()).role
    expect(await roleOfKey()).toBe('TenantAdmin')

    await page.getByRole('link', { name: 'Done' }).click()
    await arriveAt(page, 'Users')
    await page.getByRole('link', { name: 'Grace', exact: true }).click()
    await arriveAt(page, 'Grace')
    await page.getByRole('link', { name: 'Change role' }).click()
    await page.getByRole('radio', { name: /^Tester / }).check({ force: true })
    await page.getByRole('button', { name: 'Continue' }).click()
    await arriveAt(page, 'Make Grace Tester?')
    expect(await page.getByText('grace’s pipeline').count()).toBe(1)
    await page.getByRole('button', { name: 'Make Tester' }).click()
    await arriveAt(page, 'Grace')
    expect(await roleOfKey()).toBe('Tester')
    await hers.page.goto('/runs')
    await arriveAt(hers.page, 'Sign in')

    await page.getByRole('link', { name: 'Deactivate' }).click()
    await arriveAt(page, 'Deactivate Grace?')
    expect(await page.getByLabel('What becomes of grace’s pipeline').inputValue()).toBe('revoke')
    await page.getByLabel('Reason').fill('Left the company.')
    await page.getByRole('button', { name: 'Deactivate' }).click()
    await arriveAt(page, 'Grace')
    expect(await page.getByText('Deactivated', { exact: true }).count()).toBe(1)
    expect((await server.request('/api/me', { key })).status).toBe(401)
    await page.getByRole('button', { name: 'Reactivate' }).click()
    await page.getByText('Grace may sign in again.').waitFor()
    expect((await server.request('/api/me', { key })).status).toBe(401)
    expect([...faults, ...hers.faults]).toEqual([])
  })
})
