// The story of a run, as people live it: an admin without JavaScript from nothing to a verdict, a Tester watching with it.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Browser, Page } from '@playwright/test'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { type SeededUser, seedTenant, seedUser, useServer } from '../harness.ts'
import { seedAgentAt, seedJudge, seedSuite } from '../run-seeds.ts'
import { launchBrowser, openPage } from './browser.ts'

const server = useServer({ MATE_ALLOW_PRIVATE_AGENTS: 'true', MATE_WORKERS: '2' })
const agent = createServer(async (request, response) => {
  const { message, history } = JSON.parse(await text(request))
  const reply = `Turn ${history.length / 2 + 1}: ${message === 'I want my money back' ? 'here it is' : 'we open at nine'}`
  response.setHeader('content-type', 'application/json').end(JSON.stringify({ reply }))
})
let agentUrl: string
let browser: Browser

beforeAll(async () => {
  browser = await launchBrowser(inject('browser'))
  await new Promise<void>((resolve) => agent.listen(0, '127.0.0.1', resolve))
  agentUrl = `http://127.0.0.1:${(agent.address() as AddressInfo).port}/chat`
})

afterAll(async () => {
  await browser.close()
  agent.close()
})

async function openAs(user: SeededUser, javaScriptEnabled: boolean) {
  const opened = await openPage(browser, server.url, { javaScriptEnabled })
  const [name = '', value = ''] = user.cookie.split(/=(.*)/s)
  await opened.page.context().addCookies([{ name, value, url: server.url }])
  return opened
}

const rowsOf = (page: Page, table: string) => page.getByRole('table', { name: table }).locator('tbody tr')

async function registerAgent(page: Page): Promise<void> {
  await page.getByRole('link', { name: 'Start: Register an agent' }).click()
  await page.getByLabel('Name').fill('Shop')
  await page.getByLabel('Address', { exact: true }).fill('nowhere')
  await page.getByLabel('Tags').fill('shop, de')
  await page.locator('form').evaluateAll((forms) => {
    for (const form of forms) (form as HTMLFormElement).noValidate = true
  })
  await page.getByRole('button', { name: 'Register' }).click()
  await page.getByRole('link', { name: /^Address: / }).waitFor()
  await page.getByLabel('Address', { exact: true }).fill(agentUrl)
  await page.getByRole('button', { name: 'Register' }).click()
  await page.getByRole('heading', { level: 1, name: 'Shop' }).waitFor()
  await page.getByRole('button', { name: 'Test connection' }).click()
  await page.getByText(/^It answered in/).waitFor()
  expect(await page.getByText('Turn 1: we open at nine').count()).toBe(1)
}

/** Empty groups stand before and between: they count for nothing. */
async function makeJudge(page: Page): Promise<void> {
  await page.goto('/judge-settings/new')
  await page.getByLabel('Name').first().fill('Plain words')
  expect(await page.getByRole('checkbox', { name: /^The default/ }).isChecked()).toBe(true)
  const third = page.getByRole('group', { name: 'Criterion 3' })
  await third.getByLabel('Name').fill('Pays')
  await third.getByLabel('The reply').selectOption('matches the pattern (RE2)')
  await third.getByLabel('Text').fill('here (it is')
  await page.getByRole('button', { name: 'Create' }).click()
  await page.getByRole('link', { name: /^Criterion 3, text or pattern: / }).waitFor()
  await third.getByLabel('Text').fill('here it is')
  await page.getByRole('button', { name: 'Create' }).click()
  await page.getByRole('heading', { level: 1, name: 'Judge Settings' }).waitFor()
  expect(await page.getByRole('row').nth(1).textContent()).toMatch(/Plain words.*1 criterion.*70 %.*Default/)
}

async function writeSuite(page: Page): Promise<void> {
  await page.goto('/test-suites/new')
  await page.getByLabel('Name').fill('Refunds')
  await page.getByRole('button', { name: 'Create' }).click()
  for (const [name, turns, tag] of [
    ['Opening', ['When do you open?'], 'hours'],
    ['Refund', ['Hello', 'I want my money back'], 'money'],
  ] as const) {
    await page.getByRole('link', { name: 'Add Case' }).click()
    await page.getByLabel('Name').fill(name)
    for (const [i, turn] of turns.entries()) await page.getByLabel(`Turn ${i + 1}`).fill(turn)
    await page.getByLabel('Tags').fill(tag)
    await page.getByRole('button', { name: 'Add' }).click()
    await page.getByRole('heading', { level: 1, name: 'Refunds' }).waitFor()
  }
  await page.getByRole('button', { name: 'Move Refund up' }).click()
  const cases = rowsOf(page, 'Test cases, in the order in which they are run')
  expect(await cases.getByRole('link').allTextContents()).toEqual(['Refund', 'Opening'])
}

test('without JavaScript an admin registers an agent, writes a judge and a suite, runs it, reads and judges a result', async () => {
  const tenant = await seedTenant(server)
  const { page, faults } = await openAs(await seedUser(server, tenant.id, 'TenantAdmin'), false)
  await page.goto('/')
  await registerAgent(page)
  await makeJudge(page)
  await writeSuite(page)

  await page.getByRole('link', { name: 'Run', exact: true }).click()
  await page.getByRole('button', { name: 'Run' }).click()
  await page.getByRole('heading', { level: 1, name: 'Refunds' }).waitFor()
  for (let tries = 0; tries < 40 && (await page.getByRole('link', { name: 'Refresh' }).count()) > 0; tries++) {
    await page.waitForTimeout(250)
    await page.getByRole('link', { name: 'Refresh' }).click()
  }
  await page.getByText('Not passed', { exact: true }).waitFor()
  expect(await page.locator('dl').first().textContent()).toContain('50 %needs 80 %')
  const tags = await rowsOf(page, 'Pass rate by tag, the worst first').allTextContents()
  expect(tags).toEqual(['hours0 of 10 %', 'money1 of 1100 %'])
  await page.getByRole('img', { name: /^How many of 2 cases took how long/ }).waitFor()
  await page.getByRole('link', { name: 'Failed 1' }).click()
  expect(await rowsOf(page, 'Results, in the order of the cases').count()).toBe(1)
  await page.getByRole('link', { name: 'All 2' }).click()

  await page.getByRole('link', { name: 'Refund', exact: true }).click()
  await page.getByRole('heading', { level: 1, name: 'Refund' }).waitFor()
  const said = await page.locator('ol > li').allTextContents()
  expect(said.map((each) => /(Turn \d: .*?|Hello|I want my money back)(?=The answer|$)/.exec(each)?.[1])).toEqual([
    'Hello',
    'Turn 1: we open at nine',
    'I want my money back',
    'Turn 2: here it is',
  ])
  await page.getByRole('radio', { name: 'Failed' }).check()
  await page.getByLabel('Note').fill('Too curt.')
  await page.getByRole('button', { name: 'Save verdict' }).click()
  await page.getByText('Too curt.').first().waitFor()
  await page.getByText('Change it').click()
  await page.getByRole('button', { name: 'Take it back' }).click()
  await page.getByRole('button', { name: 'Save verdict' }).waitFor()
  expect(await page.getByText('Too curt.').count()).toBe(0)
  expect(faults).toEqual([])
})

test('a Tester runs a suite, sees it go on without a reload, cancels it, and is offered no change of what is tested', async () => {
  const tenant = await seedTenant(server)
  const tester = await seedUser(server, tenant.id, 'Tester')
  await seedAgentAt(server, tenant.id, agentUrl)
  await seedJudge(server, tenant.id, 'Turn')
  const suite = await seedSuite(server, tenant.id, 6, { delayBetweenTestsMs: 1_500 })
  const { page, faults } = await openAs(tester, true)
  await page.goto(`/test-suites/${suite.id}`)
  for (const name of ['Edit', 'Delete', 'Add Case']) expect(await page.getByRole('link', { name }).count()).toBe(0)
  expect(await page.getByRole('button', { name: /^Move/ }).count()).toBe(0)
  expect((await page.request.get(`/test-suites/${suite.id}/edit`)).status()).toBe(403)

  await page.getByRole('link', { name: 'Run', exact: true }).click()
  await page.getByRole('button', { name: 'Run' }).click()
  await page.getByRole('heading', { level: 1, name: suite.name }).waitFor()
  await page.evaluate(() => document.body.setAttribute('data-not-reloaded', ''))
  const progress = page.getByText(/^[1-5] of 6 cases executed\.$/)
  const seen = await progress.textContent()
  await progress.filter({ hasNotText: seen ?? '' }).waitFor()
  expect(await page.getByRole('link', { name: 'Refresh' }).count()).toBe(0)
  await page.getByRole('button', { name: 'Cancel run' }).click()
  await page.getByText('Cancelled', { exact: true }).waitFor()
  expect(await page.locator('body[data-not-reloaded]').count()).toBe(1)
  expect(await page.getByRole('link', { name: 'Run again' }).count()).toBe(1)
  expect(await page.getByRole('link', { name: 'Delete' }).count()).toBe(0)
  expect(await rowsOf(page, 'Results, in the order of the cases').count()).toBe(6)
  expect(faults).toEqual([])
})
