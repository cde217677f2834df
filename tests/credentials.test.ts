// One key, in one header, that is alive: everything else is refused, and all that is not alive is refused alike.
import { eq } from 'drizzle-orm'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { apiKeys, auditLog, tenants } from '#db/schema.ts'
import { generateApiKey, isWellFormedApiKey } from '#server/api-key.ts'
import { callRest, callTrpc, eventually, mutations, rowsOf, sendRaw, settleInMinute, validInput } from './doors.ts'
import { auditOf, countAudit, type SeededKey, seedKey, seedTenant, seedUser, useServer } from './harness.ts'

const server = useServer()
const house = { id: '', admin: {} as SeededKey, viewer: {} as SeededKey }
beforeAll(async () => {
  house.id = (await seedTenant(server)).id
  house.admin = await seedKey(server, house.id, 'TenantAdmin')
  house.viewer = await seedKey(server, house.id, 'Viewer')
})

const raw = (path: string, headers: string[]) => sendRaw(server, { path, headers })

const doors = [
  ['REST', '/api/agents'],
  ['tRPC', '/trpc/agents.list?input=%7B%7D'],
] as const

describe.each(doors)('by %s', (door, path) => {
  test('a key is taken from X-API-Key, and from Authorization under both schemes in any case', async () => {
    const { key } = house.viewer
    const good = [
      ['X-API-Key', key],
      ['x-api-key', key],
      ['X-API-KEY', ` ${key} `],
      ...['ApiKey', 'apikey', 'APIKEY', 'aPiKeY', 'Bearer', 'bearer', 'BEARER'].map((scheme) => [
        'Authorization',
        `${scheme} ${key}`,
      ]),
      ['authorization', `ApiKey    ${key}`],
    ]
    for (const headers of good) expect([headers, (await raw(path, headers)).status]).toEqual([headers, 200])
  })

  test('the same key twice is one credential', async () => {
    const { key } = house.viewer
    const good = [
      ['X-API-Key', key, 'Authorization', `ApiKey ${key}`],
      ['Authorization', `Bearer ${key}`, 'X-API-Key', key],
      ['X-API-Key', key, 'X-API-Key', key],
      ['Authorization', `ApiKey ${key}`, 'Authorization', `Bearer ${key}`],
    ]
    for (const headers of good) expect([headers, (await raw(path, headers)).status]).toEqual([headers, 200])
  })

  test('two different credentials are 400, in one header or in two, good or bad, in any order', async () => {
    const { key } = house.viewer
    const other = house.admin.key
    const unknown = generateApiKey().key
    const bad = [other, unknown, 'x', ''].flatMap((second) => [
      ['X-API-Key', key, 'X-API-Key', second],
      ['X-API-Key', second, 'X-API-Key', key],
      ['X-API-Key', key, 'Authorization', `ApiKey ${second}`],
      ['X-API-Key', second, 'Authorization', `Bearer ${key}`],
      ['Authorization', `ApiKey ${key}`, 'Authorization', `ApiKey ${second}`],
      ['Authorization', `ApiKey ${second}`, 'Authorization', `ApiKey ${key}`],
    ])
    bad.push(['X-API-Key', key, 'Authorization', 'Basic dXNlcjpwYXNz'])
    for (const headers of bad) {
      const answer = await raw(path, headers)
      expect([headers, answer.status]).toEqual([headers, 400])
      expect(answer.text).toContain('two different credentials')
    }
  })

  test('two keys joined in one header are no key', async () => {
    const { key } = house.viewer
    for (const value of [`${key},${key}`, `${key}, ${key}`, `good,${key}`, `${key} ${key}`, `${key};`, `"${key}"`]) {
      expect([value, (await raw(path, ['X-API-Key', value])).status]).toEqual([value, 401])
      expect([value, (await raw(path, ['Authorization', `ApiKey ${value}`])).status]).toEqual([value, 401])
    }
  })

  test('no credential is 401 that says how to send one', async () => {
    const none = [
      [],
      ['Cookie', 'a=b'],
      ['Authorization', ''],
      ['Authorization', 'Basic dXNlcjpwYXNz'],
      ['X-Key', house.viewer.key],
    ]
    for (const headers of none) {
      const answer = await raw(path, headers)
      expect([headers, answer.status, answer.headers['www-authenticate']]).toEqual([headers, 401, 'ApiKey'])
    }
    expect((await raw(path, [])).text).toContain('X-API-Key: <key>')
  })

  test('malformed, unknown, revoked, expired and deleted keys, and those of a closed tenant, are told apart by nothing', async () => {
    const closed = await seedTenant(server)
    const shut = await seedKey(server, closed.id, 'Viewer')
    await server.database.db.update(tenants).set({ isActive: false }).where(eq(tenants.id, closed.id))
    const deleted = await seedKey(server, house.id, 'Viewer')
    const removed = await server.request(`/api/admin/api-keys/${deleted.id}`, { method: 'DELETE', key: house.admin.key })
    expect(removed.status).toBe(204)
    const revoked = await seedKey(server, house.id, 'Viewer')
    await server.request(`/api/admin/api-keys/${revoked.id}/revoke`, { method: 'POST', key: house.admin.key })
    const expired = await seedKey(server, house.id, 'Viewer', { expiresAt: new Date(Date.now() - 1000) })
    const { key } = house.viewer
    const refused = {
      unknown: generateApiKey().key,
      revoked: revoked.key,
      expired: expired.key,
      deleted: deleted.key,
      'of a closed tenant': shut.key,
      'with a wrong checksum': key.slice(0, -1) + (key.endsWith('0') ? '1' : '0'),
      'too short': key.slice(0, -1),
      'too long': `${key}0`,
      'another prefix': key.replace('mate_', 'MATE_'),
      'not a key': 'secret',
      'very long': 'x'.repeat(8000),
    }
    const answers = []
    for (const [what, each] of Object.entries(refused)) {
      for (const headers of [
        ['X-API-Key', each],
        ['Authorization', `ApiKey ${each}`],
      ]) {
        const answer = await raw(path, headers)
        const requestId = answer.headers['x-request-id'] ?? ''
        expect(requestId).toMatch(/^[0-9a-f-]{36}$/)
        expect(answer.text).toContain(requestId)
        expect(answer.text).not.toContain(each)
        const { date: _, 'x-request-id': __, ...same } = answer.headers
        answers.push({ what, status: answer.status, headers: same, text: answer.text.replaceAll(requestId, 'REQUEST') })
      }
    }
    const [first] = answers
    expect(first).toMatchObject({ status: 401, headers: { 'www-authenticate': 'ApiKey', 'cache-control': 'no-store' } })
    for (const answer of answers) expect(answer).toEqual({ ...first, what: answer.what })
  })

  test('a malformed key costs no query, and a well-formed one that nobody has costs one transaction', async () => {
    // What earlier calls left for the next flush of last uses is written first, so that nothing else asks meanwhile.
    const { id, key } = await seedKey(server, house.id, 'Viewer')
    expect((await server.request(path, { key })).status).toBe(200)
    const { db } = server.database
    const lastUse = () => db.select({ at: apiKeys.lastUsedAt }).from(apiKeys).where(eq(apiKeys.id, id))
    expect(await eventually(lastUse, ([row]) => row?.at != null)).toMatchObject([{ at: expect.any(Date) }])

    const spies = [
      vi.spyOn(server.database, 'transaction'),
      vi.spyOn(server.database, 'read'),
      ...(['execute', 'select', 'insert', 'update', 'transaction'] as const).map((name) => vi.spyOn(db, name)),
    ]
    const count = () => spies.reduce((sum, spy) => sum + spy.mock.calls.length, 0)
    try {
      const { key: unknown } = generateApiKey()
      // Again when the server's own work, such as a checkpoint, fell into it: each query of a key would be in every try.
      for (let tries = 0; tries === 0 || (count() > 0 && tries < 5); tries++) {
        for (const spy of spies) spy.mockClear()
        for (const bad of [
          `${unknown}0`,
          unknown.slice(0, -1),
          unknown.toUpperCase(),
          'x',
          "' or 1=1 --",
          `${unknown},${unknown}`,
        ]) {
          expect(isWellFormedApiKey(bad)).toBe(false)
          expect((await server.request(path, { key: bad })).status).toBe(401)
          const response = await server.request('/api/agents', { method: 'POST', key: bad, json: { name: 'x' } })
          expect(response.status).toBe(401)
        }
        expect((await server.request(path)).status).toBe(401)
        expect((await server.request(path, { key: unknown, headers: { authorization: 'ApiKey x' } })).status).toBe(400)
      }
      expect(count()).toBe(0)
      for (const spy of spies) spy.mockClear()
      expect((await server.request(path, { key: unknown })).status).toBe(401)
      expect(count()).toBeGreaterThan(0)
    } finally {
      for (const spy of spies) spy.mockRestore()
    }
  })

  test('a session cookie opens nothing here, beside a bad key no more than alone', async () => {
    const { cookie } = await seedUser(server, house.id, 'SuperAdmin')
    expect((await server.request('/api-keys', { headers: { cookie } })).status).toBe(200)
    const before = [await rowsOf(server, house.id), await countAudit(server, house.id)]
    expect((await server.request(path, { headers: { cookie } })).status).toBe(401)
    expect((await server.request(path, { headers: { cookie }, key: generateApiKey().key })).status).toBe(401)
    const call = door === 'REST' ? callRest : callTrpc
    for (const operation of mutations) {
      const input = await validInput(server, operation, house.id)
      before[0] = await rowsOf(server, house.id)
      expect((await call(server, operation, input, { headers: { cookie, origin: server.url } })).status).toBe(401)
      expect([await rowsOf(server, house.id), await countAudit(server, house.id)]).toEqual(before)
    }
  })

  test('a cookie beside a good key changes nothing: the key alone counts', async () => {
    const { cookie } = await seedUser(server, house.id, 'SuperAdmin')
    const { key } = house.viewer
    const [create] = mutations.filter(({ name }) => name === 'agents.create')
    if (!create) throw new Error('there is no agents.create')
    const input = await validInput(server, create, house.id)
    const answer = await (door === 'REST' ? callRest : callTrpc)(server, create, input, { key, headers: { cookie } })
    expect(answer.status).toBe(403)
    expect(answer.problem.detail).toContain('has Viewer')
  })

  test('a key in the URL is not looked at', async () => {
    const { key } = house.admin
    const and = path.includes('?') ? '&' : '?'
    for (const name of ['key', 'api_key', 'apiKey', 'x-api-key', 'X-API-Key', 'access_token', 'authorization']) {
      expect([name, (await raw(`${path}${and}${name}=${key}`, [])).status]).toEqual([name, 401])
    }
    const { hostname, port } = new URL(server.url)
    expect((await fetch(`http://${hostname}:${port}/api/${key}/agents`)).status).toBe(404)
  })

  test('refusals of a known key are one entry a minute and operation, and its count comes to what they were', async () => {
    await settleInMinute()
    const known = await seedKey(server, house.id, 'Viewer', { revokedAt: new Date(), revokedById: 'x', revokedByName: 'x' })
    const audit = await countAudit(server, house.id)
    const ask = () => server.request(path, { key: known.key, headers: { 'user-agent': `prober of ${door}` } })
    const answers = await Promise.all([ask(), ask()])
    for (let each = 0; each < 3; each++) answers.push(await ask())
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 401, 401])
    const log = async () => {
      const response = await server.request(`/api/admin/audit-log?actor=${known.id}`, { key: house.admin.key })
      return ((await response.json()) as { items: Record<string, unknown>[] }).items
    }
    const entries = await eventually(log, ([entry]) => entry?.occurrences === 5)
    expect(entries).toEqual([
      {
        id: expect.any(Number),
        tenantId: house.id,
        seq: audit + 1,
        prevHash: expect.any(String),
        hash: expect.any(String),
        at: expect.any(String),
        actor: { kind: 'key', id: known.id, name: known.name, role: 'Viewer' },
        action: 'api_key.tripwire',
        entity: { type: 'api_key', id: known.id, name: known.name },
        outcome: 'refused',
        occurrences: 5,
        ip: '127.0.0.1',
        userAgent: `prober of ${door}`,
        requestId: expect.toBeOneOf(answers.map(({ headers }) => headers.get('x-request-id'))),
        details: { operation: 'agents.list', reason: 'The key is revoked.' },
      },
    ])
    expect(await countAudit(server, house.id)).toBe(audit + 1)
  })

  test('a refusal says in the log why, for each way of being refused', async () => {
    const closed = await seedTenant(server)
    const shut = await seedKey(server, closed.id, 'Viewer')
    await server.database.db.update(tenants).set({ isActive: false }).where(eq(tenants.id, closed.id))
    const expired = await seedKey(server, house.id, 'Viewer', { expiresAt: new Date(Date.now() - 1000) })
    await server.request(path, { key: shut.key })
    await server.request(path, { key: expired.key })
    expect(await auditOf(server, closed.id)).toMatchObject([
      { actorId: shut.id, details: { reason: 'The key is tenant deactivated.' } },
    ])
    const entries = (await auditOf(server, house.id)).filter(({ actorId }) => actorId === expired.id)
    expect(entries).toMatchObject([{ outcome: 'refused', details: { reason: 'The key is expired.' } }])
  })

  test('an unknown key leaves no entry anywhere', async () => {
    const count = () => server.database.db.$count(auditLog)
    const before = await count()
    for (const key of [generateApiKey().key, generateApiKey().key, 'x']) {
      expect((await server.request(path, { key })).status).toBe(401)
    }
    expect(await count()).toBe(before)
  })
})

describe('the pages', () => {
  test('a key opens no page, whatever its role and header', async () => {
    const { key } = await seedKey(server, house.id, 'SuperAdmin')
    for (const path of ['/api-keys', '/api-keys/new', '/audit-log', '/api-keys.data']) {
      const nobody = await server.request(path)
      const headers: Record<string, string>[] = [
        { 'x-api-key': key },
        { authorization: `ApiKey ${key}` },
        { authorization: `Bearer ${key}` },
      ]
      for (const each of headers) {
        const response = await server.request(path, { headers: each })
        expect([path, response.status, response.headers.get('location')]).toEqual([
          path,
          nobody.status,
          nobody.headers.get('location'),
        ])
        expect(response.status).not.toBe(200)
        expect(await response.text()).not.toContain(house.admin.name)
      }
    }
  })

  test('a key beside a session does not raise it', async () => {
    const { cookie } = await seedUser(server, house.id, 'Viewer')
    const { key } = await seedKey(server, house.id, 'SuperAdmin')
    expect((await server.request('/api-keys', { headers: { cookie }, key })).status).toBe(403)
  })
})
