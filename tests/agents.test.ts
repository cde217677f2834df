// Agents: made, replaced, listed, deleted; a connector's secret goes in and never comes out.
import { eq } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { agents } from '#db/schema.ts'
import { readEnv } from '#server/env.ts'
import { loadSecret } from '#server/secret.ts'
import { seal, unseal } from '#server/secret-box.ts'
import { anAgent, forbiddenUrls, type Input, privateUrls, rowsOf, unique } from './doors.ts'
import {
  auditOf,
  countAudit,
  type RequestOptions,
  type SeededKey,
  seedAgent,
  seedJudgeSetting,
  seedKey,
  seedTenant,
  useServer,
} from './harness.ts'

const server = useServer()
const house = { id: '', admin: {} as SeededKey }
beforeAll(async () => {
  house.id = (await seedTenant(server)).id
  house.admin = await seedKey(server, house.id, 'TenantAdmin')
})

async function ask(method: string, path = '', json?: unknown, options: RequestOptions = {}) {
  const response = await server.request(`/api/agents${path}`, { method, key: house.admin.key, json, ...options })
  const text = await response.text()
  const body: Input & { items: Input[]; connector: Input; errors?: Input[] } = text === '' ? {} : JSON.parse(text)
  return { status: response.status, headers: response.headers, text, body }
}
const defaults = {
  method: 'POST',
  secretHeader: 'Authorization',
  headers: {},
  body: '{"message":"{{message}}","conversationId":"{{conversationId}}","history":"{{history}}"}',
  replyPointer: '/reply',
  timeoutSeconds: 30,
}
const anId = expect.stringMatching(/^[0-9a-f-]{36}$/)
const create = (fields: Input = {}) => ask('POST', '', { ...anAgent(), ...fields })
const rowOf = async (id: unknown) =>
  (
    await server.database.db
      .select()
      .from(agents)
      .where(eq(agents.id, String(id)))
  ).at(0)

describe('an agent', () => {
  test('is made with all its fields: 201, its place, and the same when it is read', async () => {
    const name = unique('Agent')
    const connector = { type: 'http', url: 'https://agent.example.com/v1?x=1#y', secretHeader: 'X-Token' }
    const { id: judgeSettingId } = await seedJudgeSetting(server, house.id)
    const fields = {
      name,
      description: 'Two lines\nand “quotes”',
      environment: 'staging',
      tags: ['a', 'b c'],
      isActive: false,
      judgeSettingId,
    }
    const made = await create({ ...fields, connector })
    expect(made.status).toBe(201)
    expect(made.headers.get('location')).toBe(`/api/agents/${made.body.id}`)
    expect(made.body).toEqual({
      id: anId,
      ...fields,
      connector: { ...defaults, ...connector, id: anId, hasSecret: false },
      createdAt: expect.stringMatching(/Z$/),
      updatedAt: expect.stringMatching(/Z$/),
    })
    expect((await ask('GET', `/${made.body.id}`)).body).toEqual(made.body)
    expect((await ask('GET', `/${String(made.body.id).toUpperCase()}`)).body).toEqual(made.body)
    expect((await ask('GET', '?limit=1')).body.items).toEqual([made.body])
  })

  test('is made of name, environment and connector alone; the rest takes its defaults', async () => {
    const { body } = await create()
    expect(body).toMatchObject({ description: '', tags: [], isActive: true, judgeSettingId: null, connector: defaults })
  })

  test('is refused when a field is missing or not what it must be, and nothing is made', async () => {
    const before = [await rowsOf(server, house.id), await countAudit(server, house.id)]
    const connector = { type: 'http', url: 'https://a.example/' }
    const bad: [Input, string][] = [
      [{ name: undefined }, 'name'],
      [{ name: '' }, 'name'],
      [{ name: 'x'.repeat(101) }, 'name'],
      [{ name: 'a\nb' }, 'name'],
      [{ description: 'x'.repeat(2001) }, 'description'],
      [{ description: null }, 'description'],
      [{ environment: undefined }, 'environment'],
      [{ environment: 'Production' }, 'environment'],
      [{ tags: 'a' }, 'tags'],
      [{ tags: Array(21).fill('a') }, 'tags'],
      [{ tags: ['a', ''] }, 'tags.1'],
      [{ tags: [7] }, 'tags.0'],
      [{ isActive: 'true' }, 'isActive'],
      [{ isActive: 1 }, 'isActive'],
      [{ connector: undefined }, 'connector'],
      [{ connector: 'https://a.example/' }, 'connector'],
      [{ connector: { ...connector, type: 'ftp' } }, 'connector.type'],
      ...[
        '',
        'a.example',
        'ftp://a.example/',
        'javascript:alert(1)',
        'file:///etc/passwd',
        'https://user:pass@a.example/',
        'https://user@a.example',
      ].map((url): [Input, string] => [{ connector: { ...connector, url } }, 'connector.url']),
      [{ connector: { ...connector, url: `https://a.example/${'x'.repeat(2000)}` } }, 'connector.url'],
      [{ connector: { ...connector, secretHeader: 'X Y' } }, 'connector.secretHeader'],
      [{ connector: { ...connector, secretHeader: 'X\r\nY: z' } }, 'connector.secretHeader'],
      [{ connector: { ...connector, secret: '' } }, 'connector.secret'],
      [{ connector: { ...connector, secret: 'a\r\nb' } }, 'connector.secret'],
      [{ connector: { ...connector, secret: 'x'.repeat(4001) } }, 'connector.secret'],
      [{ connector: { ...connector, secret: 'Bearer 🔑' } }, 'connector.secret'],
      [{ connector: { ...connector, hasSecret: true } }, 'connector.hasSecret'],
      [{ judgeSettingId: '' }, 'judgeSettingId'],
      [{ owner: 'me' }, 'owner'],
      [{ createdAt: '2020-01-01T00:00:00Z' }, 'createdAt'],
    ]
    for (const [fields, path] of bad) {
      const { status, body } = await create(fields)
      expect([fields, status, body.errors?.map((error) => error.path)]).toEqual([fields, 400, expect.arrayContaining([path])])
    }
    expect([await rowsOf(server, house.id), await countAudit(server, house.id)]).toEqual(before)
  })

  test('has a name of its own in its tenant, whatever its case; another tenant may use it', async () => {
    const { body } = await create()
    const name = String(body.name)
    const other = await create()
    const before = [await rowsOf(server, house.id), await countAudit(server, house.id)]
    for (const same of [name, name.toUpperCase(), ` ${name.toLowerCase()} `]) {
      const made = await create({ name: same })
      expect([made.status, made.body.code]).toEqual([409, 'conflict'])
      expect((await ask('PUT', `/${other.body.id}`, { ...anAgent(), name: same })).status).toBe(409)
    }
    expect([await rowsOf(server, house.id), await countAudit(server, house.id)]).toEqual(before)
    const tenant = await seedTenant(server)
    const elsewhere = await seedKey(server, tenant.id, 'TenantAdmin')
    expect((await ask('POST', '', { ...anAgent(), name }, { key: elsewhere.key })).status).toBe(201)
  })

  test('of eight at once with one name, exactly one is made', async () => {
    const name = unique('Race')
    const audit = await countAudit(server, house.id)
    const tries = await Promise.all(Array.from({ length: 8 }, () => create({ name })))
    expect(tries.map(({ status }) => status).sort()).toEqual([201, ...Array(7).fill(409)])
    expect(await countAudit(server, house.id)).toBe(audit + 1)
  })

  test('is replaced whole: what is left out takes its default, id and creation stay, the update is later', async () => {
    const made = await create({ description: 'old', tags: ['old'], isActive: false })
    const fields = anAgent()
    const put = await ask('PUT', `/${made.body.id}`, { ...fields, environment: 'production' })
    expect(put.status).toBe(200)
    expect(put.headers.get('location')).toBeNull()
    expect(put.body).toMatchObject({
      id: made.body.id,
      name: fields.name,
      description: '',
      environment: 'production',
      tags: [],
      isActive: true,
      createdAt: made.body.createdAt,
    })
    expect(Date.parse(String(put.body.updatedAt))).toBeGreaterThanOrEqual(Date.parse(String(made.body.updatedAt)))
    expect((await rowOf(made.body.id))?.updatedAt.getTime()).toBeGreaterThan(
      (await rowOf(made.body.id))?.createdAt.getTime() ?? 0,
    )
    expect((await ask('GET', `/${made.body.id}`)).body).toEqual(put.body)
    // Its own name is no obstacle; a part of an agent is no agent.
    expect((await ask('PUT', `/${made.body.id}`, { ...fields, name: String(fields.name).toUpperCase() })).status).toBe(200)
    expect((await ask('PUT', `/${made.body.id}`, { name: 'x' })).status).toBe(400)
    expect((await ask('PUT', `/${made.body.id}`, { ...fields, id: made.body.id })).status).toBe(400)
    expect((await ask('PATCH', `/${made.body.id}`, fields)).status).toBe(405)
    expect((await ask('PUT', `/${crypto.randomUUID()}`, fields)).status).toBe(404)
  })

  test('that was deleted is gone, its trail is not, and its name is free', async () => {
    const made = await create()
    const gone = await ask('DELETE', `/${made.body.id}`)
    expect([gone.status, gone.text]).toEqual([204, ''])
    for (const method of ['GET', 'DELETE']) expect((await ask(method, `/${made.body.id}`)).status).toBe(404)
    expect(await rowOf(made.body.id)).toBeUndefined()
    const trail = (await auditOf(server, house.id)).filter(({ entityId }) => entityId === made.body.id)
    expect(trail.map(({ action }) => action)).toEqual(['agent.created', 'agent.deleted'])
    expect((await create({ name: made.body.name })).status).toBe(201)
  })
})

describe('a connector’s secret', () => {
  test('is never read back: not in an answer, not in the log, and in the database only sealed', async () => {
    const secret = `s3cret-${crypto.randomUUID()}`
    const connector = { type: 'http', url: 'https://a.example/', secret }
    const made = await create({ connector })
    const id = String(made.body.id)
    expect(made.body.connector).toEqual({
      type: 'http',
      url: 'https://a.example/',
      ...defaults,
      id: anId,
      hasSecret: true,
    })
    const { key } = house.admin
    const texts = [
      made.text,
      (await ask('GET', `/${id}`)).text,
      (await ask('GET', '?limit=200')).text,
      (await ask('PUT', `/${id}`, { ...anAgent(), connector })).text,
      (await ask('PUT', `/${id}`, { ...anAgent(), connector: { ...connector, nonsense: 1 } })).text,
      await (await server.request(`/trpc/agents.get?input=${encodeURIComponent(JSON.stringify({ id }))}`, { key })).text(),
      await (await server.request('/api/admin/audit-log?limit=200', { key })).text(),
      JSON.stringify(await auditOf(server, house.id)),
      JSON.stringify({ ...(await rowOf(id)), connectorSecret: null }),
      Buffer.from((await rowOf(id))?.connectorSecret ?? []).toString('latin1'),
      (await ask('DELETE', `/${id}`)).text,
      JSON.stringify((await auditOf(server, house.id)).at(-1)),
    ]
    for (const text of texts) expect(text).not.toContain(secret)
  })

  test('is what unseal gives back with the server’s secret and the agent’s id, and with nothing else', async () => {
    const secret = 'Bearer äöü §'
    const { body } = await create({ connector: { type: 'http', url: 'https://a.example/', secret } })
    const other = await create({ connector: { type: 'http', url: 'https://a.example/', secret } })
    const key = await loadSecret(server.database, readEnv({}))
    const sealed = (await rowOf(body.id))?.connectorSecret ?? new Uint8Array()
    expect(unseal(key, String(body.id), sealed)).toBe(secret)
    expect(() => unseal(key, String(other.body.id), sealed)).toThrow()
    expect(() => unseal(`${key}x`, String(body.id), sealed)).toThrow()
    for (const at of [0, 12, sealed.length - 1]) {
      const changed = Uint8Array.from(sealed)
      changed[at] = (changed[at] ?? 0) ^ 1
      expect(() => unseal(key, String(body.id), changed)).toThrow()
    }
    // The same text is sealed differently each time.
    expect(Buffer.from(seal(key, 'x', secret)).equals(Buffer.from(seal(key, 'x', secret)))).toBe(false)
    expect(Buffer.from((await rowOf(other.body.id))?.connectorSecret ?? []).equals(Buffer.from(sealed))).toBe(false)
  })

  test('stays when a replacement leaves it out, is replaced by another, removed by null, and the log says which', async () => {
    const connector = { type: 'http', url: 'https://a.example/' }
    const { body } = await create({ connector: { ...connector, secret: 'first' } })
    const key = await loadSecret(server.database, readEnv({}))
    const stored = async () => {
      const sealed = (await rowOf(body.id))?.connectorSecret
      return sealed ? unseal(key, String(body.id), sealed) : null
    }
    const fields = { ...anAgent(), name: body.name }
    const put = async (secret: { secret?: string | null }) => {
      const answer = await ask('PUT', `/${body.id}`, { ...fields, connector: { ...connector, ...secret } })
      expect(answer.status).toBe(200)
      const entry = (await auditOf(server, house.id)).at(-1)
      return [answer.body.connector.hasSecret, await stored(), entry?.details.after?.isSecretReplaced]
    }
    expect(await put({})).toEqual([true, 'first', undefined])
    expect(await put({ secret: 'second' })).toEqual([true, 'second', true])
    expect(await put({})).toEqual([true, 'second', undefined])
    expect(await put({ secret: null })).toEqual([false, null, true])
    expect(await put({})).toEqual([false, null, undefined])
  })
})

describe('a connector', () => {
  const url = 'https://a.example/v1'
  const http = { type: 'http', url }
  const openai = { type: 'openai', url, model: 'gpt' }

  test('of every setting is stored and answered as it was given, http and openai', async () => {
    const whole = {
      ...{ type: 'http', method: 'PUT', url, secretHeader: 'X-Token', headers: { 'X-A': 'ä', accept: '*/*' } },
      ...{ body: '{"q":["{{message}}",{"h":"{{history}}"}]}', replyPointer: '/a~1b/0', timeoutSeconds: 120 },
    }
    expect((await create({ connector: whole })).body.connector).toEqual({ ...whole, id: anId, hasSecret: false })
    const model = { ...openai, systemPrompt: 'Be\nkind.', temperature: 0, maxTokens: 1, timeoutSeconds: 1 }
    const made = await create({ connector: { ...model, secret: 'sk' } })
    expect(made.body.connector).toEqual({ ...model, id: anId, hasSecret: true })
    expect((await ask('GET', `/${made.body.id}`)).body).toEqual(made.body)
    const { body } = await create({ connector: openai })
    const absent = { systemPrompt: '', temperature: null, maxTokens: null, timeoutSeconds: 30 }
    expect(body.connector).toEqual({ ...openai, ...absent, id: anId, hasSecret: false })
    expect((await rowOf(body.id))?.connector).toEqual({ ...openai, systemPrompt: '', timeoutSeconds: 30 })
  })

  test('of a row from before there were settings reads with their defaults', async () => {
    const { id, connectorId } = await seedAgent(server, house.id)
    const { body } = await ask('GET', `/${id}`)
    const row = { type: 'http', url: 'https://agent.example.com/', secretHeader: 'Authorization' }
    expect(body.connector).toEqual({ ...defaults, ...row, id: connectorId, hasSecret: false })
  })

  test('that makes no sense is refused at the field that is wrong, in each operation that takes one', async () => {
    const { id, connectorId } = await seedAgent(server, house.id)
    const before = [await rowsOf(server, house.id), await countAudit(server, house.id)]
    const many = Object.fromEntries(Array.from({ length: 21 }, (_, i) => [`X-${i}`, '']))
    const bad: [Input, string][] = [
      [{ ...http, method: 'GET' }, 'method'],
      [{ ...http, headers: many }, 'headers'],
      [{ ...http, headers: { 'X Y': '' } }, 'headers.X Y'],
      [{ ...http, headers: { 'X-Y': 'a\r\nHost: b' } }, 'headers.X-Y'],
      [{ ...http, headers: { 'X-Y': '€' } }, 'headers.X-Y'],
      [{ ...http, headers: { 'x-y': '', 'X-Y': '' } }, 'headers'],
      [{ ...http, headers: { host: 'b.example' } }, 'headers'],
      [{ ...http, headers: { 'Transfer-Encoding': 'chunked' } }, 'headers'],
      [{ ...http, headers: { authorization: 'Bearer readable' } }, 'headers'],
      [{ ...http, secretHeader: 'X-Key', headers: { 'x-key': 'readable' } }, 'headers'],
      [{ ...http, body: '{"message": {{message}}}' }, 'body'],
      [{ ...http, body: '' }, 'body'],
      [{ ...http, body: '['.repeat(40) + ']'.repeat(40) }, 'body'],
      [{ ...http, body: '{"__proto__":1}' }, 'body'],
      [{ ...http, body: `"${'x'.repeat(8000)}"` }, 'body'],
      [{ ...http, replyPointer: 'reply' }, 'replyPointer'],
      [{ ...http, replyPointer: '/a~2' }, 'replyPointer'],
      [{ ...http, timeoutSeconds: 0 }, 'timeoutSeconds'],
      [{ ...http, timeoutSeconds: 121 }, 'timeoutSeconds'],
      [{ ...http, model: 'gpt' }, 'model'],
      [{ ...openai, model: '' }, 'model'],
      [{ ...openai, model: undefined }, 'model'],
      [{ ...openai, url: `${url}/chat/completions` }, 'url'],
      [{ ...openai, url: `${url}?x=1` }, 'url'],
      [{ ...openai, temperature: 2.1 }, 'temperature'],
      [{ ...openai, maxTokens: 0 }, 'maxTokens'],
      [{ ...openai, secretHeader: 'X-Key' }, 'secretHeader'],
    ]
    for (const [connector, path] of bad) {
      for (const answer of [
        await create({ connector }),
        await ask('PUT', `/${id}`, { ...anAgent(), connector }),
        await ask('PUT', `/${id}/connectors/${connectorId}`, { connector }),
      ]) {
        const paths = answer.body.errors?.map((error) => error.path)
        expect([connector, answer.status, paths]).toEqual([connector, 400, [`connector.${path}`]])
      }
    }
    expect([await rowsOf(server, house.id), await countAudit(server, house.id)]).toEqual(before)
  })

  test('may not lead to an address that mate may not call, in each operation that takes one', async () => {
    const { id, connectorId } = await seedAgent(server, house.id)
    const before = [await rowsOf(server, house.id), await countAudit(server, house.id)]
    for (const address of [...privateUrls, ...forbiddenUrls]) {
      for (const connector of [
        { type: 'http', url: address },
        { type: 'openai', url: address, model: 'm' },
      ]) {
        for (const answer of [
          await create({ connector }),
          await ask('PUT', `/${id}`, { ...anAgent(), connector }),
          await ask('PUT', `/${id}/connectors/${connectorId}`, { connector }),
        ]) {
          const errors = [{ path: 'connector.url', message: 'The address is not one that mate may call.' }]
          expect([address, answer.status, answer.body.errors]).toEqual([address, 400, errors])
        }
      }
    }
    expect([await rowsOf(server, house.id), await countAudit(server, house.id)]).toEqual(before)
  })

  test('is replaced by itself: nothing else of the agent changes, its id stays, and the log has the connector alone', async () => {
    const made = await create({ tags: ['kept'], connector: { ...http, secret: 'first' } })
    const path = `/${made.body.id}/connectors/${made.body.connector.id}`
    const put = await ask('PUT', path, { connector: { ...openai, secret: 'second' } })
    const after = { ...openai, systemPrompt: '', temperature: null, maxTokens: null, timeoutSeconds: 30 }
    const connector = { ...after, id: made.body.connector.id, hasSecret: true }
    expect(put.status).toBe(200)
    expect(put.body).toEqual({ ...made.body, connector, updatedAt: expect.any(String) })
    expect(put.body.updatedAt).not.toBe(made.body.updatedAt)
    expect((await auditOf(server, house.id)).at(-1)).toMatchObject({
      ...{ action: 'agent.connector_replaced', entityType: 'agent', entityId: made.body.id },
      details: { before: { connector: made.body.connector }, after: { connector, isSecretReplaced: true } },
    })
    expect(JSON.stringify(await auditOf(server, house.id))).not.toMatch(/"(first|second)"/)
    const key = await loadSecret(server.database, readEnv({}))
    expect(unseal(key, String(made.body.id), (await rowOf(made.body.id))?.connectorSecret ?? new Uint8Array())).toBe('second')
    const upper = `/${made.body.id}/connectors/${String(made.body.connector.id).toUpperCase()}`
    expect((await ask('PUT', upper, { connector: openai })).body.connector).toEqual(connector)
  })

  test('of another agent, or of nobody, is 404, and nothing changes', async () => {
    const one = await seedAgent(server, house.id)
    const other = await seedAgent(server, house.id)
    const before = [await rowsOf(server, house.id), await countAudit(server, house.id)]
    for (const connectorId of [other.connectorId, crypto.randomUUID(), one.id]) {
      const { status, body } = await ask('PUT', `/${one.id}/connectors/${connectorId}`, { connector: http })
      expect([status, body.detail]).toEqual([404, 'This agent has no connector with this id.'])
    }
    expect([await rowsOf(server, house.id), await countAudit(server, house.id)]).toEqual(before)
  })

  test('keeps its secret only for the origin that it was given for: elsewhere it has to be given again, or removed', async () => {
    const made = await create({ connector: { ...http, secret: 'first' } })
    const path = `/${made.body.id}/connectors/${made.body.connector.id}`
    const before = [await rowsOf(server, house.id), await countAudit(server, house.id)]
    for (const elsewhere of ['https://evil.example/v1', 'http://a.example/v1', 'https://a.example:8443/v1']) {
      for (const answer of [
        await ask('PUT', path, { connector: { ...http, url: elsewhere } }),
        await ask('PUT', `/${made.body.id}`, { ...anAgent(), connector: { ...openai, url: elsewhere } }),
      ]) {
        expect([answer.status, answer.body.errors?.map((error) => error.path)]).toEqual([400, ['connector.secret']])
        expect(answer.text).not.toContain('first')
      }
    }
    expect([await rowsOf(server, house.id), await countAudit(server, house.id)]).toEqual(before)
    const moved = async (fields: Input) =>
      (await ask('PUT', path, { connector: { ...http, ...fields } })).body.connector?.hasSecret
    expect(await moved({ url: 'https://A.example:443/v2' })).toBe(true)
    expect(await moved({ url: 'https://b.example/', secret: 'second' })).toBe(true)
    expect(await moved({ url: 'https://c.example/', secret: null })).toBe(false)
    expect(await moved({ url: 'https://d.example/' })).toBe(false)
  })
})

describe('an agent’s judge setting', () => {
  test('is one of its own tenant: an unknown or a foreign one is 400 at the field, and nothing is made', async () => {
    const foreign = await seedJudgeSetting(server, (await seedTenant(server)).id)
    const { id } = await seedAgent(server, house.id)
    const before = [await rowsOf(server, house.id), await countAudit(server, house.id)]
    for (const judgeSettingId of [foreign.id, crypto.randomUUID()]) {
      for (const answer of [await create({ judgeSettingId }), await ask('PUT', `/${id}`, { ...anAgent(), judgeSettingId })]) {
        const error = { path: 'judgeSettingId', message: 'There is no judge setting with this id.' }
        expect([answer.status, answer.body.errors]).toEqual([400, [error]])
      }
    }
    expect([await rowsOf(server, house.id), await countAudit(server, house.id)]).toEqual(before)
  })
})

describe('the list', () => {
  test('is newest first, in pages of any size that have every agent exactly once', async () => {
    const { id } = await seedTenant(server)
    const { key } = await seedKey(server, id, 'Viewer')
    for (let i = 0; i < 13; i++) {
      const agent = await seedAgent(server, id)
      // Three at a time of the same instant, to the microsecond.
      await server.database.db
        .update(agents)
        .set({ createdAt: new Date(Math.floor(i / 3) * 1000) })
        .where(eq(agents.id, agent.id))
    }
    const all = await ask('GET', '?limit=200', undefined, { key })
    expect([all.body.items.length, all.body.nextCursor]).toEqual([13, null])
    const instants = all.body.items.map(({ createdAt }) => Date.parse(String(createdAt)))
    expect(instants).toEqual(instants.toSorted((a, b) => b - a))
    for (const limit of [1, 3, 4, 12, 13]) {
      const walked: unknown[] = []
      let cursor: unknown = ''
      for (let pages = 0; cursor !== null && pages < 20; pages++) {
        const page = await ask('GET', `?limit=${limit}${cursor ? `&cursor=${cursor}` : ''}`, undefined, { key })
        expect(page.body.items.length).toBeLessThanOrEqual(limit)
        walked.push(...page.body.items)
        cursor = page.body.nextCursor
      }
      expect(walked).toEqual(all.body.items)
    }
  })

  test('an agent made or deleted meanwhile neither repeats nor hides another', async () => {
    const { id } = await seedTenant(server)
    const { key } = await seedKey(server, id, 'Viewer')
    for (let i = 0; i < 6; i++) await seedAgent(server, id)
    const all = (await ask('GET', '', undefined, { key })).body.items
    const first = await ask('GET', '?limit=3', undefined, { key })
    await seedAgent(server, id)
    await server.database.db.delete(agents).where(eq(agents.id, String(first.body.items.at(-1)?.id)))
    const second = await ask('GET', `?limit=3&cursor=${first.body.nextCursor}`, undefined, { key })
    expect([...first.body.items, ...second.body.items]).toEqual(all)
  })

  test('a cursor that was edited, or is none, is 400', async () => {
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const id = crypto.randomUUID()
    const bad = [
      '',
      'x',
      encode([]),
      encode(['2026-01-01 00:00:00+00']),
      encode(['yesterday', 'x']),
      encode(['yesterday-ish', id]),
    ]
    bad.push(
      encode(['', id]),
      encode(['2026-02-31 00:00:00+00', id]),
      encode(['a\0b', id]),
      encode(["' or true --", id]),
      'x'.repeat(1001),
    )
    for (const cursor of bad) {
      const { status, text } = await ask('GET', `?cursor=${cursor}`)
      expect([cursor, status]).toEqual([cursor, 400])
      expect(text).not.toMatch(/select|timestamp|syntax/i)
    }
  })
})
