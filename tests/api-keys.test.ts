// API keys: their form, the one time they are shown, names, expiry, lists, revocation, deletion, last use.
import { createHash } from 'node:crypto'
import { and, eq, sql } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { apiKeys } from '#db/schema.ts'
import { generateApiKey, isWellFormedApiKey } from '#server/api-key.ts'
import { type Role, roles } from '#server/roles.ts'
import { eventually, type Input, unique } from './doors.ts'
import { auditOf, countAudit, type RequestOptions, type SeededKey, seedKey, seedTenant, useServer } from './harness.ts'

const server = useServer()
const house = { id: '', admin: {} as SeededKey }
beforeAll(async () => Object.assign(house, await openHouse()))

/** A tenant of one's own with an admin's key, for tests that count. */
async function openHouse() {
  const { id } = await seedTenant(server)
  return { id, admin: await seedKey(server, id, 'TenantAdmin') }
}

interface Reply {
  status: number
  headers: Headers
  text: string
  body: Input & { items: Input[] }
}

const base = '/api/admin/api-keys'
async function ask(method: string, path = '', json?: unknown, options: RequestOptions = {}): Promise<Reply> {
  const response = await server.request(base + path, { method, key: house.admin.key, json, ...options })
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, body: text === '' ? {} : JSON.parse(text) }
}
const create = (fields: Input, options?: RequestOptions) =>
  ask('POST', '', { name: unique('Key'), role: 'Viewer', ...fields }, options)
const rowOf = async (id: unknown) =>
  (
    await server.database.db
      .select()
      .from(apiKeys)
      .where(eq(apiKeys.id, String(id)))
  ).at(0)
const countNamed = (name: string) =>
  server.database.db.$count(apiKeys, and(eq(apiKeys.tenantId, house.id), sql`lower(name) = lower(${name})`))
const countKeys = (tenantId = house.id) => server.database.db.$count(apiKeys, eq(apiKeys.tenantId, tenantId))
const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString()

describe('the form of a key', () => {
  const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

  test('is mate_ and 49 base62 characters, 54 in all, each time another', () => {
    const made = Array.from({ length: 500 }, generateApiKey)
    for (const { key, prefix, hash } of made) {
      expect(key).toMatch(/^mate_[0-9A-Za-z]{49}$/)
      expect(key).toHaveLength(54)
      expect(isWellFormedApiKey(key)).toBe(true)
      expect(prefix).toBe(key.slice(0, 12))
      expect(Buffer.from(hash).toString('hex')).toBe(createHash('sha256').update(key).digest('hex'))
    }
    expect(new Set(made.map(({ key }) => key)).size).toBe(500)
    // Every character of the alphabet is used, and none much more often than another: 43 × 500 / 62 ≈ 347 each,
    // but for the first place, which 256 bits fill only up to a quarter.
    const counts = new Map<string, number>()
    for (const { key } of made) for (const letter of key.slice(6, 48)) counts.set(letter, (counts.get(letter) ?? 0) + 1)
    expect([...counts.keys()].sort().join('')).toBe([...alphabet].sort().join(''))
    for (const count of counts.values()) expect(count).toBeGreaterThan(220)
  })

  test('every change of one character is found without a database, and so is every swap of two neighbours', () => {
    for (let sample = 0; sample < 4; sample++) {
      const { key } = generateApiKey()
      for (let at = 0; at < key.length; at++) {
        for (const letter of alphabet) {
          const changed = key.slice(0, at) + letter + key.slice(at + 1)
          if (changed !== key && isWellFormedApiKey(changed)) expect.unreachable(`position ${at} may change unnoticed`)
        }
        const [a = '', b = ''] = key.slice(at, at + 2)
        const swapped = key.slice(0, at) + b + a + key.slice(at + 2)
        if (swapped !== key && isWellFormedApiKey(swapped)) expect.unreachable(`positions ${at} and ${at + 1} may swap unnoticed`)
      }
      expect(isWellFormedApiKey(key)).toBe(true)
    }
  })

  test('nothing around a key makes it another text for the same key', () => {
    const { key } = generateApiKey()
    for (const text of [
      `${key}\n`,
      ` ${key}`,
      `${key} `,
      key.toLowerCase(),
      `${key}\0`,
      `${key}=`,
      key.replace('mate_', ''),
      '',
    ]) {
      expect([text, isWellFormedApiKey(text)]).toEqual([text, false])
    }
  })
})

describe('creating', () => {
  test('answers 201 with the key, its place, and no-store; the key works, and the database has only its hash', async () => {
    const name = unique('Key')
    const { status, headers, body } = await create({ name, role: 'Tester', expiresAt: '2099-01-31T12:00:00+02:00' })
    expect(status).toBe(201)
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('location')).toBe(`${base}/${body.id}`)
    const key = String(body.key)
    expect(isWellFormedApiKey(key)).toBe(true)
    expect(body).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      name,
      prefix: key.slice(0, 12),
      role: 'Tester',
      status: 'active',
      createdAt: expect.stringMatching(/Z$/),
      createdBy: { kind: 'key', id: house.admin.id, name: house.admin.name },
      ...{ owner: null, trustRuleId: null },
      expiresAt: '2099-01-31T10:00:00.000Z',
      lastUsedAt: null,
      lastUsedIp: null,
      lastUsedUserAgent: null,
      revokedAt: null,
      revokedBy: null,
      revokedReason: null,
      ...{ allowedIps: null, requestsPerMinute: null, scopes: null },
      ...{ rotatesOutAt: null, replacedById: null, replacesId: null },
      ...{ trippedAt: null, trippedIp: null, trippedUserAgent: null },
      key,
    })
    const me = await server.request('/api/me', { key })
    expect(await me.json()).toMatchObject({ id: body.id, name, role: 'Tester', tenant: { id: house.id } })
    const row = await rowOf(body.id)
    expect(Buffer.from(row?.keyHash ?? []).toString('hex')).toBe(createHash('sha256').update(key).digest('hex'))
    expect(JSON.stringify(row)).not.toContain(key)
  })

  test('shows the key this once: not in get, list, search, rename, revoke, nor in the audit log', async () => {
    const { body } = await create({})
    const key = String(body.key)
    const texts = [
      await ask('GET', `/${body.id}`),
      await ask('GET', '?limit=200'),
      await ask('GET', `?search=${key.slice(0, 12)}`),
      await ask('GET', `?search=${key}`),
      await ask('PATCH', `/${body.id}`, { name: unique('Renamed') }),
      await ask('POST', `/${body.id}/revoke`),
    ]
    for (const { text, status } of texts) {
      expect(status).toBe(200)
      expect(text).toContain(key.slice(0, 12))
      expect(text).not.toContain(key.slice(12, 30))
      expect(text).not.toContain('"key":')
    }
    const { key: admin } = house.admin
    const log = await (await server.request('/api/admin/audit-log?limit=200', { key: admin })).text()
    expect(log).toContain(String(body.id))
    expect(log).not.toContain(key.slice(12, 30))
    const hash = createHash('sha256').update(key).digest()
    for (const form of [hash.toString('hex'), hash.toString('base64'), hash.toString('base64url')])
      expect(log).not.toContain(form)
  })

  test('takes a name of 1 to 100 characters, trimmed, without control characters', async () => {
    const long = unique('n').padEnd(100, 'x')
    const given = unique('Ключ 鍵 🔑')
    for (const [name, stored] of [
      [long, long],
      [`  ${given}\t\n`, given],
      [unique("'); drop table api_keys; --"), undefined],
      [unique('<b>&amp;'), undefined],
      [unique('%_\\'), undefined],
    ] as const) {
      const { status, body } = await create({ name })
      expect([name, status, body.name]).toEqual([name, 201, stored ?? name])
      expect((await rowOf(body.id))?.name).toBe(stored ?? name)
    }
    const before = await countKeys()
    const audit = await countAudit(server, house.id)
    const bad = [
      '',
      ' ',
      '\t',
      `${long}x`,
      'a\u0007b',
      'a\nb',
      'a\rb',
      'a\u007fb',
      'a\u0085b',
      'a\u2028b',
      null,
      7,
      true,
      ['a'],
      { a: 1 },
    ]
    for (const name of bad) {
      const { status, body } = await create({ name })
      expect([name, status, body.errors]).toEqual([name, 400, [{ path: 'name', message: expect.any(String) }]])
    }
    expect((await ask('POST', '', { role: 'Viewer' })).status).toBe(400)
    expect(await countKeys()).toBe(before)
    expect(await countAudit(server, house.id)).toBe(audit)
  })

  test('keeps names unique among active keys whatever their case; revoked, expired and deleted ones free theirs', async () => {
    const name = unique('Straße')
    const first = await create({ name })
    expect(first.status).toBe(201)
    for (const same of [name, name.toUpperCase().replace('STRASSE', 'STRAßE'), ` ${name.toLowerCase()} `]) {
      const { status, body } = await create({ name: same })
      expect([same, status, body.code]).toEqual([same, 409, 'conflict'])
      expect(body.errors).toMatchObject([{ path: 'name' }])
    }
    expect(await countNamed(name)).toBe(1)
    expect((await ask('POST', `/${first.body.id}/revoke`)).status).toBe(200)
    const second = await create({ name })
    expect(second.status).toBe(201)
    expect((await create({ name })).status).toBe(409)
    await server.database.db
      .update(apiKeys)
      .set({ expiresAt: new Date(Date.now() - 1) })
      .where(eq(apiKeys.id, String(second.body.id)))
    const third = await create({ name })
    expect(third.status).toBe(201)
    expect((await ask('DELETE', `/${third.body.id}`)).status).toBe(204)
    expect((await create({ name })).status).toBe(201)
    expect(await countNamed(name)).toBe(3)
  })

  test('another tenant’s key of the same name is no obstacle', async () => {
    const name = unique('Key')
    const other = await openHouse()
    expect((await create({ name })).status).toBe(201)
    expect((await create({ name }, { key: other.admin.key })).status).toBe(201)
  })

  test('of eight at once with one name, exactly one wins', async () => {
    const name = unique('Race')
    const audit = await countAudit(server, house.id)
    const tries = await Promise.all(Array.from({ length: 8 }, (_, i) => create({ name: i % 2 ? name : name.toUpperCase() })))
    expect(tries.map(({ status }) => status).sort()).toEqual([201, ...Array(7).fill(409)])
    expect(await countNamed(name)).toBe(1)
    expect(await countAudit(server, house.id)).toBe(audit + 1)
  })

  test('of eight renames at once to one name, exactly one wins', async () => {
    const name = unique('Race')
    const keys = await Promise.all(Array.from({ length: 8 }, () => seedKey(server, house.id, 'Viewer')))
    const tries = await Promise.all(keys.map(({ id }) => ask('PATCH', `/${id}`, { name })))
    expect(tries.map(({ status }) => status).sort()).toEqual([200, ...Array(7).fill(409)])
    expect(await countNamed(name)).toBe(1)
  })

  test('one form sent many times, one after another or at once, makes one key', async () => {
    for (const isAtOnce of [false, true]) {
      const formId = crypto.randomUUID()
      const audit = await countAudit(server, house.id)
      const before = await countKeys()
      const name = unique('Form')
      const send = (i: number) => create({ name: `${name} ${i}`, formId: i % 2 ? formId : formId.toUpperCase() })
      const tries: Reply[] = []
      if (isAtOnce) tries.push(...(await Promise.all([1, 2, 3, 4, 5, 6].map(send))))
      else for (const i of [1, 2, 3, 4, 5, 6]) tries.push(await send(i))
      expect(tries.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409, 409, 409])
      const made = tries.find(({ status }) => status === 201)
      for (const { status, text } of tries) {
        if (status !== 409) continue
        expect(text).not.toContain(String(made?.body.key).slice(12))
        expect(JSON.parse(text).errors).toMatchObject([{ path: 'formId' }])
      }
      expect(await countKeys()).toBe(before + 1)
      expect(await countAudit(server, house.id)).toBe(audit + 1)
    }
  })

  test('takes an expiry in the future with any offset, and none', async () => {
    for (const expiresAt of [
      inDays(0.001),
      inDays(7),
      inDays(365),
      '2099-12-31T23:59:59Z',
      '2099-12-31T23:59:59.123456+05:30',
      undefined,
    ]) {
      const { status, body } = await create({ expiresAt })
      expect([expiresAt, status]).toEqual([expiresAt, 201])
      const shown = expiresAt === undefined ? null : new Date(expiresAt).toISOString()
      expect(body.expiresAt).toBe(shown)
      expect((await rowOf(body.id))?.expiresAt?.toISOString() ?? null).toBe(shown)
    }
    const before = await countKeys()
    const bad: unknown[] = [
      inDays(0),
      inDays(-1),
      '1970-01-01T00:00:00Z',
      '2099-02-30T00:00:00Z',
      '2099-01-01',
      '2099-01-01T00:00:00',
      '2099-13-01T00:00:00Z',
    ]
    bad.push(
      'tomorrow',
      '',
      4_102_444_800,
      null,
      {},
      '+275760-09-13T00:00:00Z',
      '9999-12-31T23:59:59-14:00',
      '0000-01-01T00:00:00Z',
    )
    for (const expiresAt of bad) {
      const { status, body } = await create({ expiresAt })
      expect([expiresAt, status]).toEqual([expiresAt, 400])
      expect((body.errors as Input[]).map(({ path }) => path)).toContain('expiresAt')
    }
    expect(await countKeys()).toBe(before)
  })

  test('a key ends at its expiry: refused from then on, and shown as expired', async () => {
    const { body } = await create({ expiresAt: new Date(Date.now() + 1500).toISOString() })
    const key = String(body.key)
    const use = async () => (await server.request('/api/me', { key })).status
    expect(await use()).toBe(200)
    expect(await eventually(use, (status) => status !== 200)).toBe(401)
    expect(Date.now()).toBeGreaterThanOrEqual(new Date(String(body.expiresAt)).getTime())
    expect((await ask('GET', `/${body.id}`)).body.status).toBe('expired')
  })
})

describe('the list', () => {
  const shelf = { id: '', admin: {} as SeededKey }
  const list = async (query: string) => {
    const reply = await ask('GET', query, undefined, { key: shelf.admin.key })
    return reply
  }
  const idsOf = ({ body }: Reply) => body.items.map(({ id }) => String(id))

  beforeAll(async () => {
    Object.assign(shelf, await openHouse())
    const at = new Date(Date.now() + 86_400_000)
    const past = new Date(Date.now() - 86_400_000)
    // Many ties and nulls in every column that a list is sorted by.
    for (let i = 0; i < 23; i++) {
      await seedKey(server, shelf.id, roles[i % 4] as Role, {
        name: `key ${i % 5 === 0 ? 'same' : i}`,
        createdAt: new Date(Math.floor(i / 3) * 1000),
        expiresAt: [null, at, past, new Date(at.getTime() + i)][i % 4] ?? null,
        lastUsedAt: [null, past, null, new Date(past.getTime() + i)][i % 4] ?? null,
        ...(i % 7 === 0 ? { revokedAt: past, revokedById: 'x', revokedByName: 'x' } : {}),
      })
    }
    for (const name of ['100% sure', '100 sure', 'snake_case', 'snakeXcase', 'back\\slash', "quote's"]) {
      await seedKey(server, shelf.id, 'Viewer', { name })
    }
  })

  const sorted = ['createdAt', 'name', 'role', 'expiresAt', 'lastUsedAt'].flatMap((sort) => [
    [sort, 'asc'],
    [sort, 'desc'],
  ])
  test.each(sorted)('sorted by %s %s, in pages of any size, has every key exactly once and in order', async (sort, order) => {
    const all = await list(`?limit=200&sort=${sort}&order=${order}`)
    expect(all.body.nextCursor).toBeNull()
    const ids = idsOf(all)
    const rows = await server.database.db.select({ id: apiKeys.id }).from(apiKeys).where(eq(apiKeys.tenantId, shelf.id))
    expect(ids.toSorted()).toEqual(rows.map(({ id }) => id).toSorted())

    // A key that was never used is the longest unused; one that never expires, the last to expire.
    const rank = ({ [sort ?? '']: value }: Input): string | number => {
      if (sort === 'role') return roles.indexOf(value as Role)
      if (sort === 'expiresAt' || sort === 'lastUsedAt') {
        // The admin's own last use may be written meanwhile; it is then the latest, and stays so.
        return value === null
          ? sort === 'expiresAt'
            ? Number.POSITIVE_INFINITY
            : Number.NEGATIVE_INFINITY
          : Date.parse(String(value))
      }
      return sort === 'createdAt' ? Date.parse(String(value)) : 0
    }
    const ranks = all.body.items.map(rank)
    const inOrder = ranks.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0))
    expect(ranks).toEqual(order === 'asc' ? inOrder : inOrder.toReversed())

    for (const limit of [1, 7]) {
      const walked: string[] = []
      let cursor: unknown = ''
      for (let pages = 0; cursor !== null && pages < 50; pages++) {
        const page = await list(
          `?limit=${limit}&sort=${sort}&order=${order}${cursor ? `&cursor=${encodeURIComponent(String(cursor))}` : ''}`,
        )
        expect(page.status).toBe(200)
        expect(page.body.items.length).toBeLessThanOrEqual(limit)
        walked.push(...idsOf(page))
        cursor = page.body.nextCursor
      }
      // The admin reads with a key whose last use moves while it is being read; that one is left out where it matters.
      const others = (list: string[]) => (sort === 'lastUsedAt' ? list.filter((id) => id !== shelf.admin.id) : list)
      expect(others(walked)).toEqual(others(ids))
    }
  })

  test('names are sorted without regard to case', async () => {
    const { body } = await list('?limit=200&sort=name&order=asc')
    const names = body.items.map(({ name }) => String(name).toLowerCase())
    const rows = await server.database.db
      .select({ name: sql<string>`lower(name)` })
      .from(apiKeys)
      .where(eq(apiKeys.tenantId, shelf.id))
      .orderBy(sql`lower(name)`)
    expect(names).toEqual(rows.map(({ name }) => name))
  })

  test('has 1 to 200 items a page, 50 unless told', async () => {
    const full = await openHouse()
    for (let i = 0; i < 51; i++) await seedKey(server, full.id, 'Viewer')
    const options = { key: full.admin.key }
    expect((await ask('GET', '', undefined, options)).body.items).toHaveLength(50)
    expect((await ask('GET', '?limit=1', undefined, options)).body.items).toHaveLength(1)
    const all = await ask('GET', '?limit=200', undefined, options)
    expect([all.body.items.length, all.body.nextCursor]).toEqual([52, null])
    const exact = await ask('GET', '?limit=52', undefined, options)
    expect([exact.body.items.length, exact.body.nextCursor]).toEqual([52, null])
    for (const limit of [
      '0',
      '201',
      '-1',
      '1.5',
      '1e2',
      '0x10',
      '',
      ' 5',
      '５',
      'NaN',
      'Infinity',
      '1e400',
      '99999999999999999999',
    ]) {
      const { status, body } = await ask('GET', `?limit=${encodeURIComponent(limit)}`, undefined, options)
      expect([limit, status, body.errors]).toEqual([limit, 400, [{ path: 'limit', message: expect.any(String) }]])
    }
  })

  test('a cursor belongs to its sort and order; any other, a changed one, and what is none is 400', async () => {
    const { body } = await list('?limit=2&sort=name&order=asc')
    const cursor = String(body.nextCursor)
    expect((await list(`?sort=name&order=asc&cursor=${cursor}`)).status).toBe(200)
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const id = crypto.randomUUID()
    const bad = [
      `sort=name&order=desc&cursor=${cursor}`,
      `sort=createdAt&order=asc&cursor=${cursor}`,
      `cursor=${cursor}`,
      `sort=name&order=asc&cursor=${cursor}x${cursor}`,
      `sort=name&order=asc&cursor=${cursor.slice(0, 20)}`,
      ...['', 'x', '%00', 'null', '..', id, encode(null), encode([]), encode({}), encode('x'), encode([1, 2, 3, 4])].map(
        (text) => `sort=name&order=asc&cursor=${text}`,
      ),
      `sort=name&order=asc&cursor=${encode(['name', 'asc', 'a\0b', id])}`,
      `sort=name&order=asc&cursor=${encode(['name', 'asc', 'a', 'b'])}`,
      `sort=name&order=asc&cursor=${encode(['name', 'asc', 'a', id, 'more'])}`,
      `sort=createdAt&order=asc&cursor=${encode(['createdAt', 'asc', 'yesterday or so', id])}`,
      `sort=createdAt&order=asc&cursor=${encode(['createdAt', 'asc', '', id])}`,
      `sort=createdAt&order=asc&cursor=${encode(['createdAt', 'asc', '999999-99-99', id])}`,
      `sort=expiresAt&order=asc&cursor=${encode(['expiresAt', 'asc', "'", id])}`,
      `sort=lastUsedAt&order=asc&cursor=${encode(['lastUsedAt', 'asc', '\ud800', id])}`,
      `sort=role&order=asc&cursor=${encode(['role', 'asc', 'SuperAdmin', id])}`,
      `sort=role&order=asc&cursor=${encode(['role', 'asc', '99999999999', id])}`,
    ]
    for (const query of bad) expect([query, (await list(`?${query}`)).status]).toEqual([query, 400])
  })

  test('a search is a part of the name in any case, in which % and _ are themselves, or the beginning of the key', async () => {
    const search = async (text: string) => (await list(`?search=${encodeURIComponent(text)}`)).body.items.map(({ name }) => name)
    expect(await search('100% s')).toEqual(['100% sure'])
    expect(await search('%')).toEqual(['100% sure'])
    expect(await search('_')).toEqual(['snake_case'])
    expect(await search('SNAKE_')).toEqual(['snake_case'])
    expect(await search('\\')).toEqual(['back\\slash'])
    expect(await search("'")).toEqual(["quote's"])
    expect((await search('sure')).toSorted()).toEqual(['100 sure', '100% sure'])
    expect(await search('nothing of that name')).toEqual([])
    expect(await search(shelf.admin.key)).toEqual([shelf.admin.name])
    expect(await search(shelf.admin.key.slice(0, 9))).toEqual([shelf.admin.name])
    expect(await search('')).toHaveLength(30)
  })

  test('filters by role and by status, alone and together', async () => {
    const { body } = await list('?limit=200')
    const all = body.items.map(({ id, role, status }) => ({ id, role, status }))
    expect(new Set(all.map(({ status }) => status))).toEqual(new Set(['active', 'expired', 'revoked']))
    for (const role of [undefined, ...roles]) {
      for (const status of [undefined, 'active', 'expired', 'revoked']) {
        const query = new URLSearchParams({ limit: '200', ...(role && { role }), ...(status && { status }) })
        const wanted = all.filter((key) => (!role || key.role === role) && (!status || key.status === status))
        expect(idsOf(await list(`?${query}`))).toEqual(wanted.map(({ id }) => id))
      }
    }
    for (const query of ['role=viewer', 'role=', 'status=gone', 'status=', 'sort=keyHash', 'sort=id', 'order=up', 'page=2']) {
      expect([query, (await list(`?${query}`)).status]).toEqual([query, 400])
    }
  })
})

describe('renaming', () => {
  test('changes the name and nothing else; the same name again changes and records nothing', async () => {
    const { body: made } = await create({})
    const before = await rowOf(made.id)
    const name = unique('Renamed')
    const { status, body } = await ask('PATCH', `/${made.id}`, { name: ` ${name} ` })
    expect([status, body.name]).toEqual([200, name])
    expect(await rowOf(made.id)).toEqual({ ...before, name })
    const audit = await countAudit(server, house.id)
    expect((await ask('PATCH', `/${made.id}`, { name })).status).toBe(200)
    expect(await countAudit(server, house.id)).toBe(audit)
    expect((await ask('PATCH', `/${made.id}`, { name: name.toUpperCase() })).body.name).toBe(name.toUpperCase())
    expect(await countAudit(server, house.id)).toBe(audit + 1)
  })

  test('to the name of another active key is 409, to that of a revoked one fine, and an ended key may have any', async () => {
    const taken = await seedKey(server, house.id, 'Viewer')
    const free = await seedKey(server, house.id, 'Viewer', { revokedAt: new Date() })
    const key = await seedKey(server, house.id, 'Viewer')
    const before = await rowOf(key.id)
    const audit = await countAudit(server, house.id)
    const refused = await ask('PATCH', `/${key.id}`, { name: taken.name.toUpperCase() })
    expect([refused.status, refused.body.errors]).toEqual([409, [{ path: 'name', message: expect.any(String) }]])
    expect(await rowOf(key.id)).toEqual(before)
    expect(await countAudit(server, house.id)).toBe(audit)
    expect((await ask('PATCH', `/${free.id}`, { name: taken.name })).status).toBe(200)
    expect((await ask('PATCH', `/${key.id}`, { name: free.name })).status).toBe(200)
  })
})

describe('revoking', () => {
  test('ends the key at once, says by whom, when and why, and the row stays', async () => {
    const { body: made } = await create({})
    const key = String(made.key)
    expect((await server.request('/api/me', { key })).status).toBe(200)
    // It is written in batches: not between two looks at the row.
    await eventually(
      () => rowOf(String(made.id)),
      (row) => row?.lastUsedAt !== null,
    )
    const { status, body } = await ask('POST', `/${made.id}/revoke`, { reason: '  left the company ' })
    expect(status).toBe(200)
    expect(body).toMatchObject({
      status: 'revoked',
      revokedAt: expect.any(String),
      revokedBy: { id: house.admin.id, name: house.admin.name },
      revokedReason: 'left the company',
    })
    expect((await ask('GET', `/${made.id}`)).body).toEqual(body)
    expect((await server.request('/api/me', { key })).status).toBe(401)
    const tripped = { trippedAt: expect.stringMatching(/Z$/), trippedIp: '127.0.0.1', trippedUserAgent: 'node' }
    expect((await ask('GET', `/${made.id}`)).body).toEqual({ ...body, ...tripped })
  })

  test('twice, or six times at once, is 200 each time with one entry and the first reason', async () => {
    for (const isAtOnce of [false, true]) {
      const key = await seedKey(server, house.id, 'Viewer')
      const audit = await countAudit(server, house.id)
      const revoke = (i: number) => ask('POST', `/${key.id}/revoke`, { reason: `reason ${i}` })
      const tries: Reply[] = []
      if (isAtOnce) tries.push(...(await Promise.all([1, 2, 3, 4, 5, 6].map(revoke))))
      else tries.push(await revoke(1), await revoke(2))
      expect(new Set(tries.map(({ status }) => status))).toEqual(new Set([200]))
      const [first] = tries
      for (const { body } of tries) expect(body).toEqual(first?.body)
      const entries = await auditOf(server, house.id, audit)
      expect(entries).toMatchObject([
        { action: 'api_key.revoked', entityId: key.id, details: { reason: first?.body.revokedReason } },
      ])
    }
  })

  test('needs no reason and no body; an empty reason is none; one beyond 500 characters or of several lines is 400', async () => {
    for (const json of [undefined, {}, { reason: '' }, { reason: '  ' }]) {
      const key = await seedKey(server, house.id, 'Viewer')
      const { status, body } = await ask('POST', `/${key.id}/revoke`, json)
      expect([json, status, body.revokedReason]).toEqual([json, 200, null])
    }
    const key = await seedKey(server, house.id, 'Viewer')
    for (const reason of ['x'.repeat(501), 'a\nb', null, 5]) {
      expect([reason, (await ask('POST', `/${key.id}/revoke`, { reason })).status]).toEqual([reason, 400])
    }
    expect((await rowOf(key.id))?.revokedAt).toBeNull()
  })

  test('a key may revoke itself, once', async () => {
    const key = await seedKey(server, house.id, 'TenantAdmin')
    expect((await ask('POST', `/${key.id}/revoke`, {}, { key: key.key })).status).toBe(200)
    expect((await ask('POST', `/${key.id}/revoke`, {}, { key: key.key })).status).toBe(401)
    expect(await rowOf(key.id)).toMatchObject({ revokedById: key.id })
  })
})

describe('deleting', () => {
  test('answers 204 with nothing, ends the key, removes its record, and leaves its trail', async () => {
    const { body: made } = await create({})
    const { status, text, headers } = await ask('DELETE', `/${made.id}`)
    expect([status, text, headers.get('content-type')]).toEqual([204, '', null])
    expect(await rowOf(made.id)).toBeUndefined()
    expect((await server.request('/api/me', { key: String(made.key) })).status).toBe(401)
    for (const [method, path, json] of [
      ['GET', ''],
      ['PATCH', '', { name: 'x' }],
      ['POST', '/revoke'],
      ['DELETE', ''],
    ] as const) {
      expect([method, (await ask(method, `/${made.id}${path}`, json)).status]).toEqual([method, 404])
    }
    const trail = (await auditOf(server, house.id)).filter(({ entityId }) => entityId === made.id)
    expect(trail.map(({ action }) => action)).toEqual(['api_key.created', 'api_key.deleted'])
    expect(trail.at(1)?.details.before).toMatchObject({ name: made.name, prefix: made.prefix, role: 'Viewer', status: 'active' })
  })

  test('at once with a revoke or another delete: the record is gone, and each that was done is in the log once', async () => {
    for (let round = 0; round < 5; round++) {
      const key = await seedKey(server, house.id, 'Viewer')
      const tries = await Promise.all([
        ask('DELETE', `/${key.id}`),
        ask('POST', `/${key.id}/revoke`),
        ask('DELETE', `/${key.id}`),
        ask('PATCH', `/${key.id}`, { name: unique('Renamed') }),
      ])
      for (const { status } of tries) expect(status).toBeOneOf([200, 204, 404])
      const done = tries.filter(({ status }) => status < 300)
      expect(tries.filter(({ status }) => status === 204)).toHaveLength(1)
      const trail = (await auditOf(server, house.id)).filter(({ entityId }) => entityId === key.id)
      expect(trail).toHaveLength(done.length)
      expect(trail.at(-1)?.action).toBe('api_key.deleted')
      expect(await rowOf(key.id)).toBeUndefined()
    }
  })
})

describe('last use', () => {
  const versionOf = async (id: string) => {
    const [row] = await server.database.db
      .select({ version: sql<string>`xmin::text || ' ' || ctid::text` })
      .from(apiKeys)
      .where(eq(apiKeys.id, id))
    return row?.version
  }

  test('a read writes nothing by itself; when, from where and with what a key was used appear within seconds', async () => {
    const key = await seedKey(server, house.id, 'Viewer')
    const audit = await countAudit(server, house.id)
    let before = 0
    let after = Number.POSITIVE_INFINITY
    // Between two batches, which are two seconds apart; a slow machine gets more than one try.
    for (let round = 0; round < 5 && after - before > 1_500; round++) {
      const clock = await seedKey(server, house.id, 'Viewer')
      await server.request('/api/me', { key: clock.key })
      await eventually(async () => (await rowOf(clock.id))?.lastUsedAt, Boolean)
      await server.database.db.update(apiKeys).set({ lastUsedAt: null }).where(eq(apiKeys.id, key.id))
      const version = await versionOf(key.id)
      before = Date.now()
      for (let read = 0; read < 5; read++) {
        const headers = { 'user-agent': `reader ${read}` }
        expect((await server.request('/api/agents', { key: key.key, headers })).status).toBe(200)
      }
      const versionThen = await versionOf(key.id)
      after = Date.now()
      if (after - before <= 1_500) expect(versionThen).toBe(version)
    }
    expect(after - before).toBeLessThanOrEqual(1_500)
    const row = await eventually(
      () => rowOf(key.id),
      (found) => found?.lastUsedUserAgent === 'reader 4',
    )
    expect(row).toMatchObject({ lastUsedIp: '127.0.0.1', lastUsedUserAgent: 'reader 4' })
    expect(row?.lastUsedAt?.getTime()).toBeGreaterThanOrEqual(before)
    expect(row?.lastUsedAt?.getTime()).toBeLessThanOrEqual(after)
    expect(await countAudit(server, house.id)).toBe(audit)
    const { body } = await ask('GET', `/${key.id}`)
    expect(body).toMatchObject({
      lastUsedAt: row?.lastUsedAt?.toISOString(),
      lastUsedIp: '127.0.0.1',
      lastUsedUserAgent: 'reader 4',
    })
  })

  test('a refused key was not used', async () => {
    const revoked = await seedKey(server, house.id, 'Viewer', { revokedAt: new Date() })
    const clock = await seedKey(server, house.id, 'Viewer')
    expect((await server.request('/api/me', { key: revoked.key })).status).toBe(401)
    await server.request('/api/me', { key: clock.key })
    expect(await eventually(async () => (await rowOf(clock.id))?.lastUsedAt, Boolean)).toBeInstanceOf(Date)
    expect((await rowOf(revoked.id))?.lastUsedAt).toBeNull()
  })
})
