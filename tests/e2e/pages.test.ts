// Every page, in every dress: light, dark, narrow, by keyboard, for screen readers, for those who may not.
import type { Browser, Locator, Page, Response } from '@playwright/test'
import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { users } from '#db/schema.ts'
import { aShadow } from '../doors.ts'
import {
  type SeededUser,
  seedDelivery,
  seedInvitation,
  seedKey,
  seedNotice,
  seedPerson,
  seedTenant,
  seedTrustRule,
  seedUsage,
  seedUser,
  seedWebhook,
  useServer,
} from '../harness.ts'
import { seedAgentAt, seedJudge, seedRun, seedSuite } from '../run-seeds.ts'
import { expectAccessible } from './accessible.ts'
import { launchBrowser, openPage } from './browser.ts'

const server = useServer()
let browser: Browser
let admin: SeededUser
let viewer: SeededUser
let token: string
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
  const tripped = { trippedAt: new Date(), trippedIp: '2001:db8::66', trippedUserAgent: 'python-requests/2.32' }
  await seedKey(server, tenant.id, 'Viewer', { name: 'leaked', ...revoked, ...tripped })
  const limits = { allowedIps: ['203.0.113.0/24'], requestsPerMinute: 600, scopes: ['agents:read', 'me:read'] }
  const ending = { rotatesOutAt: new Date(Date.now() + 3_600_000), ...used, ...limits }
  const { id: outgoing } = await seedKey(server, tenant.id, 'Viewer', { name: 'outgoing', ...ending })
  expect((await server.request('/api/agents', { key, method: 'POST', json: {} })).status).toBe(403)
  const busy = await seedKey(server, tenant.id, 'TenantAdmin', { name: 'busy' })
  await seedUsage(server, tenant.id, busy.id, [
    ...Array.from({ length: 60 }, (_, daysAgo) => ({ operation: 'agents.list', calls: 40 + daysAgo, daysAgo })),
    { operation: 'agents.create', refusals: 3, daysAgo: 2, lastIp: '2001:db8:85a3::8a2e:370:7334' },
  ])
  const onTrial = await seedKey(server, tenant.id, 'TenantAdmin', { name: 'on-trial', ...aShadow() })
  const wouldRefuse = { neededRole: 'TenantAdmin', shadowRefusals: 2, shadowLastAt: new Date() } as const
  await seedUsage(server, tenant.id, onTrial.id, [{ operation: 'agents.create', calls: 2, ...wouldRefuse }])
  await seedNotice(server, tenant.id)
  const webhook = await seedWebhook(server, tenant.id, {
    description: 'ours',
    events: ['*', 'audit.entry'],
    failingSince: new Date(),
  })
  await seedDelivery(server, tenant.id, webhook.id)
  const person = await seedPerson(server, tenant.id, 'TenantAdmin', { name: 'Grace Brewster Murray Hopper' })
  await seedKey(server, tenant.id, 'TenantAdmin', { name: 'grace’s', ownerId: person.id })
  const gone = await seedPerson(server, tenant.id, 'Tester', { isActive: false })
  await seedInvitation(server, tenant.id)
  const invitation = await seedInvitation(server, tenant.id, { email: `${'a-long-address-'.repeat(4)}@example.com` })
  token = invitation.token
  const branches = Array.from({ length: 3 }, (_, i) => `refs/heads/${'a-branch-that-goes-on-'.repeat(5)}${i}`)
  const trusted = { conditions: { repository: ['acme/app'], ref: branches, environment: ['production'] } }
  const rule = await seedTrustRule(server, tenant.id, trusted)
  await seedTrustRule(server, tenant.id, { isActive: false, lastUsedAt: new Date() })
  const run = await seedRun(server, tenant.id)
  const waiting = { status: 'pending', passed: 0, startedAt: null, completedAt: null } as const
  const { id: pending } = await seedRun(server, tenant.id, waiting)
  const agent = await seedAgentAt(server, tenant.id, 'https://agent.example.com/a-path-that-goes-on-for-very-long-'.repeat(2))
  const judge = await seedJudge(server, tenant.id, 'a pattern')
  const suite = await seedSuite(server, tenant.id, [
    { name: 'first', userInput: ['one', 'two'], tags: ['a'] },
    { name: 'off', isActive: false },
  ])
  paths = [
    { path: '/', status: 200 },
    { path: '/runs', status: 200 },
    { path: '/runs?status=failed', status: 200 },
    { path: `/runs/new?suiteId=${suite.id}`, status: 200 },
    { path: `/runs/${run.id}`, status: 200 },
    { path: `/runs/${pending}`, status: 200 },
    { path: `/runs/${run.id}/results/${run.resultId}`, status: 200 },
    { path: `/runs/${pending}/results/${run.resultId}`, status: 404 },
    { path: '/test-suites', status: 200 },
    { path: `/test-suites/${suite.id}`, status: 200 },
    { path: `/test-suites/${suite.id}/edit`, status: 200 },
    { path: `/test-suites/${suite.id}/cases/new`, status: 200 },
    { path: `/test-suites/${suite.id}/cases/${suite.caseIds[0]}`, status: 200 },
    { path: '/judge-settings', status: 200 },
    { path: '/judge-settings/new', status: 200 },
    { path: `/judge-settings/${judge}`, status: 200 },
    { path: '/agents', status: 200 },
    { path: '/agents/new', status: 200 },
    { path: `/agents/${agent.id}`, status: 200 },
    { path: `/agents/${agent.id}/delete`, status: 200 },
    { path: '/notices', status: 200 },
    { path: '/notices?status=all', status: 200 },
    { path: '/webhooks', status: 200 },
    { path: '/webhooks/new', status: 200 },
    { path: `/webhooks/${webhook.id}`, status: 200 },
    { path: `/webhooks/${webhook.id}/rotate-secret`, status: 200 },
    { path: `/webhooks/${webhook.id}/delete`, status: 200 },
    { path: '/trust-rules', status: 200 },
    { path: '/trust-rules/new', status: 200 },
    { path: '/trust-rules/new?provider=other', status: 200 },
    { path: `/trust-rules/${rule.id}`, status: 200 },
    { path: `/trust-rules/${rule.id}/delete`, status: 200 },
    { path: '/api-keys', status: 200 },
    { path: '/api-keys?search=nothing-has-this-name', status: 200 },
    { path: '/api-keys/new', status: 200 },
    { path: `/api-keys/${id}`, status: 200 },
    { path: `/api-keys/${id}/revoke`, status: 200 },
    { path: `/api-keys/${id}/delete`, status: 200 },
    { path: `/api-keys/${id}/rotate`, status: 200 },
    { path: `/api-keys/${id}/limits`, status: 200 },
    { path: `/api-keys/${outgoing}`, status: 200 },
    { path: '/api-keys/freeze', status: 200 },
    { path: '/api-keys/bulk-revoke', status: 200 },
    { path: '/api-keys/bulk-revoke?search=o', status: 200 },
    { path: `/api-keys/${busy.id}`, status: 200 },
    { path: `/api-keys/${busy.id}/permissions`, status: 200 },
    { path: `/api-keys/${onTrial.id}`, status: 200 },
    { path: '/roles/Tester', status: 200 },
    { path: '/roles/Owner', status: 404 },
    { path: '/users', status: 200 },
    { path: '/users?search=nothing-has-this-name', status: 200 },
    { path: '/users/invite', status: 200 },
    { path: `/users/${admin.id}`, status: 200 },
    { path: `/users/${person.id}`, status: 200 },
    { path: `/users/${person.id}/role`, status: 200 },
    { path: `/users/${person.id}/role?role=Viewer`, status: 200 },
    { path: `/users/${person.id}/deactivate`, status: 200 },
    { path: `/users/${gone.id}`, status: 200 },
    { path: `/users/${gone.id}/delete`, status: 200 },
    { path: '/sign-in-policy', status: 200 },
    { path: '/identity-providers', status: 403 },
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

/** On a phone of 360 px it is not wider than that. */
async function expectNarrow(page: Page, path: string): Promise<void> {
  const box = await page.locator('html').evaluate((html) => ({ wide: html.scrollWidth, seen: html.clientWidth }))
  expect({ path, ...box }).toEqual({ path, wide: 360, seen: 360 })
}

const phone = { width: 360, height: 740 }

test('axe finds nothing on any page, light or dark; none is wider than a phone; nothing leaves the origin, no policy is violated', async () => {
  const { page, faults } = await openPage(browser, server.url)
  await expectWell('/sign-in', 200)
  await expectWell('/setup?token=none', 404)
  await expectWell('/invitation?token=none', 404)
  await expectWell(`/invitation?token=${token}`, 200)
  await page.context().addCookies([cookieOf(admin)])
  for (const { path, status } of paths) await expectWell(path, status)
  expect(faults).toEqual([])

  async function expectWell(path: string, status: number): Promise<void> {
    const response = await page.goto(path)
    expect([path, response?.status()]).toEqual([path, status])
    await expectAccessible(page)
    const wide = page.viewportSize()
    await page.setViewportSize(phone)
    await expectNarrow(page, path)
    if (wide) await page.setViewportSize(wide)
    expect(await page.getByRole('heading', { level: 1 }).count()).toBe(1)
    expect(await page.title()).toMatch(/\S · mate$/)
  }
}, 900_000)

test('what axe looks for, it sees: an image without a text, and a colour that is faint in the dark alone', async () => {
  const { page } = await openPage(browser, server.url)
  await page.goto('/sign-in')
  await page.locator('main').evaluate((main) => {
    const text = main.appendChild(document.createElement('p'))
    text.textContent = 'faint'
    text.style.color = '#333'
  })
  await expect(expectAccessible(page)).rejects.toMatchObject({
    actual: { colorScheme: 'dark', found: [expect.stringMatching(/^color-contrast: <p [^>]*>faint/)] },
  })
  await page.locator('main').evaluate((main) => {
    main.appendChild(new Image()).src = 'data:,'
  })
  await expect(expectAccessible(page)).rejects.toMatchObject({
    actual: { colorScheme: 'light', found: [expect.stringMatching(/^image-alt: <img/)] },
  })
})

test('no page is wider than a phone of 360 px with JavaScript off', async () => {
  const { page } = await openPage(browser, server.url, { viewport: phone, javaScriptEnabled: false })
  await page.context().addCookies([cookieOf(admin)])
  for (const { path } of paths) {
    await page.goto(path)
    await expectNarrow(page, path)
  }
}, 480_000)

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
  for (const path of ['/api-keys', '/api-keys/new', '/audit-log', '/agents/new', '/test-suites/new', '/judge-settings/new']) {
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

test('a key is rotated and limited by mouse: what is wrong is told beside its field, the new key is shown once', async () => {
  const { page, faults } = await openPage(browser, server.url)
  await page.context().addCookies([cookieOf(admin)])
  await page.goto('/api-keys/new')
  await page.getByLabel('Name').fill('limited')
  await page.getByText('Limits (optional)').click()
  await page.getByLabel('Allowed IPs').fill('127.0.0.0/8\nnowhere')
  await page.getByLabel('Only these').check()
  await page.getByRole('button', { name: 'Generate' }).click()
  await page.getByRole('link', { name: /nowhere: Must be an address/ }).waitFor()
  await page.getByLabel('Allowed IPs').fill('127.0.0.0/8')
  await page.getByRole('button', { name: 'Generate' }).click()
  await page.getByRole('link', { name: /never means everything/ }).waitFor()
  await page.getByLabel('agents:read').check()
  await page.getByRole('button', { name: 'Generate' }).click()
  const field = page.getByLabel('API key', { exact: true })
  const old = await field.inputValue()
  expect((await server.request('/api/agents', { key: old })).status).toBe(200)
  expect((await server.request('/api/me', { key: old })).status).toBe(403)

  await page.getByRole('link', { name: 'Details' }).click()
  await page.getByRole('link', { name: 'Rotate' }).click()
  await page.getByLabel('The old key works on').selectOption('End at once')
  await page.getByRole('button', { name: 'Rotate key' }).click()
  await page.getByRole('heading', { name: 'Copy your key now' }).waitFor()
  await page.getByText('The old key has ended.').waitFor()
  const next = await field.inputValue()
  expect((await server.request('/api/agents', { key: old })).status).toBe(401)
  expect((await server.request('/api/agents', { key: next })).status).toBe(200)
  await page.getByRole('link', { name: 'Details' }).click()
  await page.getByRole('link', { name: 'Limits' }).click()
  await page.getByLabel('All that its role allows').check()
  await page.getByRole('button', { name: 'Save limits' }).click()
  await page.getByText('hold from now on').waitFor()
  expect((await server.request('/api/me', { key: next })).status).toBe(200)
  expect(await page.content()).not.toContain(next)
  expect(faults).toEqual([])
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

test('a key’s usage is drawn and told without JavaScript; a lower role is tried, seen and applied by its forms', async () => {
  const [user] = await server.database.db.select({ tenantId: users.tenantId }).from(users).where(eq(users.id, admin.id))
  const tenantId = user?.tenantId ?? ''
  const { id } = await seedKey(server, tenantId, 'TenantAdmin', { name: 'to-be-lowered' })
  await seedUsage(server, tenantId, id, [
    { operation: 'agents.list', calls: 1_200, daysAgo: 10, lastIp: '192.0.2.7' },
    { operation: 'agents.get', calls: 30, refusals: 4 },
  ])
  const { page } = await openPage(browser, server.url, { javaScriptEnabled: false })
  await page.context().addCookies([cookieOf(admin)])
  await page.goto(`/api-keys/${id}`)
  const chart = page.getByRole('img', { name: 'Calls a day in the last 90 days: 1,230 calls, 4 refused' })
  expect(await chart.locator('title').count()).toBe(90)
  expect(await chart.locator('.fill-primary').count()).toBe(2)
  expect(await chart.locator('.fill-destructive').count()).toBe(1)
  await page.getByText('Days as a table').click()
  const days = page.getByRole('table', { name: /^Days with calls/ })
  expect(await days.getByRole('row').count()).toBe(3)
  expect(await days.getByRole('row').nth(1).textContent()).toMatch(/^20\d\d-\d\d-\d\d304$/)
  const operations = page.getByRole('table', { name: /^Operations used/ })
  expect(await operations.getByRole('row').nth(1).textContent()).toContain('192.0.2.7')
  await operations.getByRole('link', { name: 'agents.get' }).click()
  await page.getByRole('img', { name: 'Calls a day in the last 90 days: 30 calls, 4 refused' }).waitFor()
  await page.getByRole('link', { name: 'All operations' }).click()
  await chart.waitFor()

  await page.getByRole('button', { name: 'Try Viewer for 7 days' }).click()
  await page.getByRole('heading', { name: 'Viewer on trial' }).waitFor()
  await page.getByText('It asked for nothing that Viewer would refuse.').waitFor()
  await page.getByRole('button', { name: 'Drop the trial' }).click()
  await page.getByText('Try another role, or for longer').click()
  await page.getByLabel('Role').selectOption('Tester')
  await page.getByLabel('For').selectOption('30')
  await page.getByRole('button', { name: 'Start the trial' }).click()
  await page.getByRole('button', { name: 'Make it Tester' }).click()
  await page.locator('div[role=status]').filter({ hasText: 'has the role Tester from now on' }).waitFor()
  await page.getByRole('link', { name: 'What it may call' }).click()
  await page.getByText(/operations\. Its role is Tester\./).waitFor()
  const refused = page.getByRole('listitem').filter({ hasText: 'POST /api/agents' })
  expect(await refused.textContent()).toMatch(/^Not allowed: Register an agentNeeds the role TenantAdmin\./)
  await page.goto('/audit-log?entityType=api_key&search=to-be-lowered')
  const actions = await page.locator('tbody summary code').allTextContents()
  expect(actions).toEqual(['role_lowered', 'shadow_started', 'shadow_dropped', 'shadow_started'].map((each) => `api_key.${each}`))
})

test('/api-keys loads at most 150 kB of JavaScript, compressed, and what draws the chart is not in it', async () => {
  const { page } = await openPage(browser, server.url)
  await page.context().addCookies([cookieOf(admin)])
  const scriptsOf = async (path: string) => {
    const scripts = new Map<string, number>()
    const note = (response: Response) => {
      const { pathname } = new URL(response.url())
      if (pathname.endsWith('.js')) scripts.set(pathname, Number(response.headers()['content-length']))
    }
    page.on('response', note)
    await page.goto(path, { waitUntil: 'networkidle' })
    page.off('response', note)
    return scripts
  }
  const list = await scriptsOf('/api-keys')
  const bytes = [...list.values()].reduce((sum, each) => sum + each, 0)
  expect(bytes).toBeGreaterThan(50_000)
  expect(bytes).toBeLessThan(150_000)
  const key = await scriptsOf(paths.find(({ path }) => path.endsWith('/permissions'))?.path.replace('/permissions', '') ?? '')
  expect([...key.keys()].some((name) => /\/api-key-/.test(name))).toBe(true)
  expect([...key.keys()].some((name) => /\/bar-chart-/.test(name))).toBe(true)
  expect([...list.keys()].filter((name) => /\/(api-key|bar-chart)-/.test(name))).toEqual([])
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
