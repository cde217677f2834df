// MATE_MAX_KEY_DAYS: on a deployment that sets it, no key lives longer, by any door.
import { eq } from 'drizzle-orm'
import { expect, test } from 'vitest'
import { apiKeys } from '#db/schema.ts'
import { callRest, callTrpc, operations, unique } from './doors.ts'
import { countAudit, postForm, seedKey, seedTenant, seedUser, useServer } from './harness.ts'

const server = useServer({ MATE_MAX_KEY_DAYS: '30' })
const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString()

const create = operations.filter(({ name }) => name === 'apiKeys.create')[0] ?? expect.unreachable('no apiKeys.create')

test.each([
  ['REST', callRest],
  ['tRPC', callTrpc],
])('by %s, a key needs an expiry within the limit, whoever asks', async (_, call) => {
  const { id } = await seedTenant(server)
  for (const role of ['TenantAdmin', 'SuperAdmin'] as const) {
    const admin = await seedKey(server, id, role)
    const state = async () => [await server.database.db.$count(apiKeys, eq(apiKeys.tenantId, id)), await countAudit(server, id)]
    const before = await state()
    for (const expiresAt of [undefined, inDays(30.1), inDays(31), '2999-01-01T00:00:00Z', inDays(-1)]) {
      const answer = await call(server, create, { name: unique('Key'), role: 'Viewer', expiresAt }, admin)
      expect([expiresAt, answer.status]).toEqual([expiresAt, 400])
      expect(answer.problem.errors?.map(({ path }) => path)).toEqual(['expiresAt'])
    }
    expect(await state()).toEqual(before)
    for (const expiresAt of [inDays(30), inDays(1)]) {
      const answer = await call(server, create, { name: unique('Key'), role: 'Viewer', expiresAt }, admin)
      expect(answer.problem).toEqual({})
      expect(answer.output.expiresAt).toBe(expiresAt)
    }
  }
})

test('a refusal names the limit', async () => {
  const { id } = await seedTenant(server)
  const admin = await seedKey(server, id, 'TenantAdmin')
  const none = await callRest(server, create, { name: 'x', role: 'Viewer' }, admin)
  const late = await callRest(server, create, { name: 'x', role: 'Viewer', expiresAt: inDays(365) }, admin)
  expect(none.problem.errors?.[0]?.message).toContain('at most 30 days')
  expect(late.problem.errors?.[0]?.message).toContain('within 30 days')
})

test('by the page’s form, neither never nor a longer choice makes a key', async () => {
  const { id } = await seedTenant(server)
  const { cookie } = await seedUser(server, id, 'TenantAdmin')
  const count = () => server.database.db.$count(apiKeys, eq(apiKeys.tenantId, id))
  for (const expiry of ['never', '365']) {
    const fields = { name: unique('Key'), role: 'Viewer', expiry, formId: crypto.randomUUID() }
    const response = await postForm(server, '/api-keys/new', cookie, fields)
    expect([expiry, response.status]).toEqual([expiry, 400])
    expect(await count()).toBe(0)
  }
  const fields = { name: unique('Key'), role: 'Viewer', expiry: '30', formId: crypto.randomUUID() }
  expect((await postForm(server, '/api-keys/new', cookie, fields)).status).toBeLessThan(400)
  expect(await count()).toBe(1)
})
