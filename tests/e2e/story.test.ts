// The whole story of the API keys page, as its reader lives it: with JavaScript and without.
import type { Browser, Page } from '@playwright/test'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { startTestServer, type TestServer } from '../harness.ts'
import { launchBrowser, openPage } from './browser.ts'

let browser: Browser

beforeAll(async () => {
  browser = await launchBrowser(inject('browser'))
})

afterAll(() => browser.close())

const keyForm = /^mate_[0-9A-Za-z]{49}$/

async function withServer(work: (server: TestServer) => Promise<void>): Promise<void> {
  const server = await startTestServer()
  try {
    await work(server)
  } finally {
    await server.stop()
  }
}

async function setUp(page: Page, server: TestServer): Promise<void> {
  await page.goto(server.app.setupUrl ?? '')
  await page.getByLabel('Tenant').fill('Example Ltd')
  await page.getByLabel('Your name').fill('Ada')
  await page.getByLabel('Your e-mail').fill('ada@example.com')
  await page.getByLabel('Password').fill('correct horse battery')
  await page.getByRole('button', { name: 'Set up and sign in' }).click()
  await arriveAt(page, 'API Keys')
}

/** The address changes before the page does. */
async function arriveAt(page: Page, heading: string): Promise<void> {
  await page.getByRole('heading', { level: 1, name: heading, exact: true }).waitFor()
}

async function generate(page: Page, name: string, role: string): Promise<string> {
  await page.getByRole('link', { name: 'Generate Key' }).first().click()
  await page.getByLabel('Name').fill(name)
  await page.getByRole('radio', { name: new RegExp(`^${role} `) }).check({ force: true })
  await page.getByRole('button', { name: 'Generate' }).click()
  await page.getByLabel('API key', { exact: true }).waitFor()
  return page.getByLabel('API key', { exact: true }).inputValue()
}

for (const javaScriptEnabled of [true, false]) {
  describe(`with JavaScript ${javaScriptEnabled ? 'on' : 'off'}`, () => {
    test('set up, generate a key, use it, revoke it, see it refused, read all of it in the audit log, delete it', () =>
      withServer(async (server) => {
        const { page, faults } = await openPage(browser, server.url, { javaScriptEnabled })
        await setUp(page, server)

        const key = await generate(page, 'ci-pipeline', 'Viewer')
        expect(key).toMatch(keyForm)
        expect((await server.request('/api/agents', { key })).status).toBe(200)
        expect((await server.request('/api/agents', { headers: { authorization: `ApiKey ${key}` } })).status).toBe(200)
        expect((await server.request('/api/agents', { key, method: 'POST', json: {} })).status).toBe(403)

        await page.getByRole('link', { name: 'Done' }).click()
        await arriveAt(page, 'API Keys')
        const row = page.getByRole('row').filter({ hasText: 'ci-pipeline' })
        expect(await row.textContent()).toContain('Active')
        await row.getByRole('link', { name: 'Revoke' }).click()
        await page.getByLabel('Reason').fill('leaked in a build log')
        await page.getByRole('button', { name: 'Revoke key' }).click()
        await arriveAt(page, 'API Keys')
        expect(await page.getByRole('status').allTextContents()).toContainEqual(expect.stringContaining('revoked'))
        expect(await row.textContent()).toContain('Revoked')

        const refused = await server.request('/api/agents', { key })
        expect(refused.status).toBe(401)

        await page.getByRole('link', { name: 'Audit Log' }).click()
        await arriveAt(page, 'Audit Log')
        const log = (await page.getByRole('table').textContent()) ?? ''
        for (const action of [
          'api_key.created',
          'api_key.refused',
          'api_key.revoked',
          'api_key.tripwire',
          'user.signed_in',
          'tenant.created',
        ]) {
          expect(log).toContain(action)
        }
        expect(log).toContain('leaked in a build log')

        await page.goto('/api-keys')
        await row.getByRole('link', { name: 'Delete' }).click()
        await page.getByRole('button', { name: 'Delete key' }).click()
        await arriveAt(page, 'API Keys')
        expect(await page.getByRole('row').filter({ hasText: 'ci-pipeline' }).count()).toBe(0)
        expect(await page.content()).not.toContain(key)

        await page.goto('/audit-log?action=api_key.deleted')
        expect(await page.getByRole('table').textContent()).toContain('ci-pipeline')
        expect(faults).toEqual([])
      }))

    test('a key is shown once: not by back, forward, refresh, a second tab, the cache, the list or its own page', () =>
      withServer(async (server) => {
        const { page } = await openPage(browser, server.url, { javaScriptEnabled })
        await setUp(page, server)
        const key = await generate(page, 'once', 'Tester')
        const secret = key.slice(12)
        const isShown = async () => (await page.content()).includes(secret) || (await visibleValues(page)).includes(secret)
        expect(await isShown()).toBe(true)

        const second = await page.context().newPage()
        await second.goto(page.url())
        expect(await second.content()).not.toContain(secret)
        await second.goto('/api-keys')
        expect(await second.content()).not.toContain(secret)

        await page.getByRole('link', { name: 'Done' }).click()
        await arriveAt(page, 'API Keys')
        expect(await isShown()).toBe(false)
        await goThroughHistory(page, 'back')
        expect(await isShown()).toBe(false)
        await goThroughHistory(page, 'forward')
        expect(await isShown()).toBe(false)
        await page.goto('/audit-log')
        await goThroughHistory(page, 'back')
        expect(await isShown()).toBe(false)
        await page.goto('/api-keys')
        await page.getByRole('link', { name: 'once' }).first().click()
        await page.waitForURL(/api-keys\/[0-9a-f-]{36}/)
        expect(await isShown()).toBe(false)
        expect(await storedTexts(page, javaScriptEnabled)).not.toContain(secret)
      }))

    test('a form that is refreshed makes no second key, and says that it was sent before', () =>
      withServer(async (server) => {
        const { page } = await openPage(browser, server.url, { javaScriptEnabled })
        await setUp(page, server)
        await page.getByRole('link', { name: 'Generate Key' }).first().click()
        const formId = await page.locator('input[name=formId]').inputValue()
        await page.getByLabel('Name').fill('twice')
        await page.getByRole('button', { name: 'Generate' }).click()
        const key = await page.getByLabel('API key', { exact: true }).inputValue()
        await page.reload()
        expect(await page.content()).not.toContain(key.slice(12))
        const cookies = await page.context().cookies()
        const cookie = cookies.map(({ name, value }) => `${name}=${value}`).join('; ')
        const again = await server.request('/api-keys/new', {
          method: 'POST',
          headers: { cookie, origin: server.url, 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams({ name: 'twice again', role: 'Viewer', expiry: 'never', formId }).toString(),
        })
        expect(again.status).toBe(409)
        expect(await again.text()).toContain('sent before')
        await page.goto('/api-keys')
        expect(await page.getByRole('link', { name: /^twice/ }).count()).toBe(1)
      }))
  })
}

/** A page that was made by a POST and may not be stored is an error page of the browser's, which is as good as none. */
async function goThroughHistory(page: Page, direction: 'back' | 'forward'): Promise<void> {
  await (direction === 'back' ? page.goBack() : page.goForward()).catch((error) => {
    if (!String(error).includes('ERR_CACHE_MISS')) throw error
  })
  await page.waitForTimeout(1_000)
}

function visibleValues(page: Page): Promise<string> {
  return page
    .locator('input, textarea')
    .evaluateAll((fields) => fields.map((field) => (field as HTMLInputElement).value).join('\n'))
}

/** What scripts of the page could still read: history, storage, and every script that came with it. */
async function storedTexts(page: Page, javaScriptEnabled: boolean): Promise<string> {
  if (!javaScriptEnabled) return ''
  return page.evaluate(() => JSON.stringify([window.history.state, { ...sessionStorage }, { ...localStorage }]))
}
