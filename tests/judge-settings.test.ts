// Judge settings: made, replaced, deleted; what makes no sense is refused; one default; a model's secret never comes out.
import { eq } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { agents, judgeSettings, testSuites } from '#db/schema.ts'
import { readEnv } from '#server/env.ts'
import { loadSecret } from '#server/secret.ts'
import { unseal } from '#server/secret-box.ts'
import { aJudgeSetting, anAgent, forbiddenUrls, type Input, privateUrls, rowsOf, unique } from './doors.ts'
import {
  auditOf,
  countAudit,
  type SeededKey,
  seedAgent,
  seedJudgeSetting,
  seedKey,
  seedSuite,
  seedTenant,
  useServer,
} from './harness.ts'

const server = useServer({ MATE_ALLOW_PRIVATE_AGENTS: 'true' })
const house = { id: '', admin: {} as SeededKey }
beforeAll(async () => {
  house.id = (await seedTenant(server)).id
  house.admin = await seedKey(server, house.id, 'TenantAdmin')
})

async function ask(method: string, path = '', json?: unknown, { key } = house.admin) {
  const response = await server.request(`/api/judgesettings${path}`, { method, key, json })
  const text = await response.text()
  const body: Input & { items: Input[]; model: Input | null; errors?: Input[] } = text === '' ? {} : JSON.parse(text)
  return { status: response.status, headers: response.headers, text, body }
}
const create = (fields: Input = {}) => ask('POST', '', { ...aJudgeSetting(), ...fields })
const state = async () => [await rowsOf(server, house.id), await countAudit(server, house.id)]
const newest = async () => (await auditOf(server, house.id)).at(-1)
const pathsOf = ({ body }: Awaited<ReturnType<typeof ask>>) => body.errors?.map(({ path }) => path)

const weights = { taskSuccess: 0.2, intentMatch: 0.2, factuality: 0.2, helpfulness: 0.2, safety: 0.2 }
const url = 'https://models.example.com/v1'
const model = { url, name: 'judge-large' }
const modelDefaults = { temperature: 0, maxTokens: 1000, timeoutSeconds: 30, hasSecret: false }
const rule = { name: 'Greets', type: 'contains', pattern: 'hello' }

describe('a judge setting', () => {
  test('is made with all its fields: 201, its place, and the same when it is read', async () => {
    const fields = {
      ...{ name: unique('Judge'), provider: 'hybrid', passThreshold: 0.123456789, isDefault: false },
      weights: { taskSuccess: 0.5, intentMatch: 0.1, factuality: 0.1, helpfulness: 0.3, safety: 0 },
      criteria: [
        { name: 'a', type: 'regex', pattern: '(?i)order \\d{1,4}\\b', weight: 0.5, isMandatory: true },
        { name: 'a', type: 'notContains', pattern: ' [not a regex', weight: 100, isMandatory: false },
      ],
      model: { ...model, temperature: 1.5, maxTokens: 10, timeoutSeconds: 120 },
    }
    const made = await create(fields)
    expect(made.status).toBe(201)
    expect(made.headers.get('location')).toBe(`/api/judgesettings/${made.body.id}`)
    const at = expect.stringMatching(/Z$/)
    expect(made.body).toEqual({
      ...fields,
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      model: { ...fields.model, hasSecret: false },
      createdAt: at,
      updatedAt: at,
    })
    expect((await ask('GET', `/${made.body.id}`)).body).toEqual(made.body)
    expect((await ask('GET', '?limit=1')).body.items).toEqual([made.body])
    expect(await newest()).toMatchObject({
      ...{ action: 'judge_setting.created', entityType: 'judge_setting', entityId: made.body.id, entityName: fields.name },
      details: { after: { ...fields, model: { ...fields.model, hasSecret: false } } },
    })
  })

  test('is made of its name, its provider and what that needs; the rest takes its defaults', async () => {
    const common = { weights, passThreshold: 0.7, isDefault: false }
    const rubrics = { provider: 'rubrics', criteria: [rule] }
    const criteria = [{ ...rule, weight: 1, isMandatory: false }]
    expect((await create(rubrics)).body).toMatchObject({ ...common, criteria, model: null })
    const judged = { ...common, model: { ...model, ...modelDefaults } }
    expect((await create({ provider: 'model', criteria: [], model })).body).toMatchObject({ ...judged, criteria: [] })
    expect((await create({ provider: 'hybrid', criteria: [rule], model })).body).toMatchObject({ ...judged, criteria })
  })

  test('that makes no sense is refused at the field that is wrong, made or replaced, and nothing changes', async () => {
    const { id } = await seedJudgeSetting(server, house.id)
    const before = await state()
    const of = (fields: Input) => ({ criteria: [{ ...rule, ...fields }] })
    const bad: [Input, string][] = [
      [{ name: '' }, 'name'],
      [{ name: undefined }, 'name'],
      [{ provider: 'human' }, 'provider'],
      [{ criteria: [] }, 'criteria'],
      [{ model }, 'model'],
      [{ provider: 'model', criteria: [], model: null }, 'model'],
      [{ provider: 'hybrid', model: null }, 'model'],
      [{ provider: 'hybrid', criteria: [], model }, 'criteria'],
      [{ weights: { ...weights, safety: 0.3 } }, 'weights'],
      [{ weights: { ...weights, safety: 0.20001 } }, 'weights'],
      [{ weights: { ...weights, safety: -0.2, helpfulness: 0.6 } }, 'weights.safety'],
      [{ weights: { ...weights, safety: undefined } }, 'weights.safety'],
      [{ weights: { ...weights, style: 0 } }, 'weights.style'],
      [{ passThreshold: 1.01 }, 'passThreshold'],
      [{ passThreshold: '0.5' }, 'passThreshold'],
      [{ criteria: Array(51).fill(rule) }, 'criteria'],
      [of({ type: 'startsWith' }), 'criteria.0.type'],
      [of({ pattern: '' }), 'criteria.0.pattern'],
      [of({ pattern: 'x'.repeat(1001) }), 'criteria.0.pattern'],
      [of({ weight: 0 }), 'criteria.0.weight'],
      [of({ weight: 100.1 }), 'criteria.0.weight'],
      [of({ isMandatory: 1 }), 'criteria.0.isMandatory'],
      ...['(', '[a', 'a**', '(?=x)', '(?<!x)y', '(a)\\1', '\\', 'x{1001}', '(?P<n', '(a?){499}a{499}'].map(
        (pattern): [Input, string] => [of({ type: 'regex', pattern }), 'criteria.0.pattern'],
      ),
      [{ provider: 'hybrid', model: { ...model, url: 'ftp://a.example' } }, 'model.url'],
      [{ provider: 'hybrid', model: { ...model, url: `${url}/chat/completions/` } }, 'model.url'],
      [{ provider: 'hybrid', model: { ...model, name: '' } }, 'model.name'],
      [{ provider: 'hybrid', model: { ...model, temperature: 2.1 } }, 'model.temperature'],
      [{ provider: 'hybrid', model: { ...model, maxTokens: 1.5 } }, 'model.maxTokens'],
      [{ provider: 'hybrid', model: { ...model, timeoutSeconds: 121 } }, 'model.timeoutSeconds'],
      [{ provider: 'hybrid', model: { ...model, secret: 'a\nb' } }, 'model.secret'],
      [{ provider: 'hybrid', model: { ...model, hasSecret: true } }, 'model.hasSecret'],
      [{ isDefault: null }, 'isDefault'],
      [{ tenantId: house.id }, 'tenantId'],
    ]
    for (const [fields, path] of bad) {
      for (const answer of [await create(fields), await ask('PUT', `/${id}`, { ...aJudgeSetting(), ...fields })])
        expect([fields, answer.status, pathsOf(answer)]).toEqual([fields, 400, [path]])
    }
    expect(await state()).toEqual(before)
  })

  test('says of a pattern what is wrong with it', async () => {
    const { body } = await create({ criteria: [{ ...rule, type: 'regex', pattern: 'a(b' }] })
    const message = 'Is no regular expression of RE2: missing closing ): `a(b`.'
    expect(body.errors).toEqual([{ path: 'criteria.0.pattern', message }])
  })

  test('takes patterns that other engines hang on, and weights that sum to 1 but for rounding', async () => {
    const patterns = ['(a+)+$', '(a|a)*b', '(x+x+)+y', '\\pL{1,100}', '(?s).*']
    const criteria = patterns.map((pattern) => ({ ...rule, type: 'regex', pattern }))
    const rounded = { taskSuccess: 0.1, intentMatch: 0.2, factuality: 0.3, helpfulness: 0.1, safety: 0.3000000001 }
    const { status, body } = await create({ criteria, weights: rounded })
    expect([status, body.weights]).toEqual([201, rounded])
  })

  test('has a name of its own in its tenant, whatever its case', async () => {
    const { body } = await create()
    const other = await create()
    const before = await state()
    const name = String(body.name).toUpperCase()
    expect((await create({ name })).status).toBe(409)
    expect((await ask('PUT', `/${other.body.id}`, { ...aJudgeSetting(), name })).status).toBe(409)
    expect(await state()).toEqual(before)
  })

  test('is replaced whole, and the log has what changed', async () => {
    const made = await create({ passThreshold: 0.9 })
    const put = await ask('PUT', `/${made.body.id}`, { ...aJudgeSetting(), name: made.body.name, criteria: [rule, rule] })
    expect(put.body).toMatchObject({ id: made.body.id, passThreshold: 0.7, createdAt: made.body.createdAt })
    expect(put.body.updatedAt).not.toBe(made.body.updatedAt)
    expect((await ask('GET', `/${made.body.id}`)).body).toEqual(put.body)
    expect((await newest())?.details).toEqual({
      before: { passThreshold: 0.9, criteria: made.body.criteria },
      after: { passThreshold: 0.7, criteria: put.body.criteria },
    })
    expect((await ask('PUT', `/${crypto.randomUUID()}`, aJudgeSetting())).status).toBe(404)
  })

  test('that is deleted leaves the suites and agents that named it, which name none then', async () => {
    const { id, name } = await seedJudgeSetting(server, house.id)
    const suite = await seedSuite(server, house.id, { judgeSettingId: id })
    const agent = await seedAgent(server, house.id)
    const { db } = server.database
    await db.update(agents).set({ judgeSettingId: id }).where(eq(agents.id, agent.id))
    expect((await ask('DELETE', `/${id}`)).status).toBe(204)
    expect((await ask('GET', `/${id}`)).status).toBe(404)
    const { key } = house.admin
    for (const path of [`/api/testsuites/${suite.id}`, `/api/agents/${agent.id}`])
      expect(await (await server.request(path, { key })).json()).toMatchObject({ judgeSettingId: null })
    const entry = await newest()
    expect(entry).toMatchObject({ action: 'judge_setting.deleted', entityId: id, entityName: name })
    expect(entry?.details.before).toMatchObject({ name, namedBy: { suites: 1, agents: 1 } })
    expect(await db.$count(testSuites, eq(testSuites.judgeSettingId, id))).toBe(0)
  })
})

describe('the default', () => {
  const defaultsOf = async (tenantId: string) =>
    (await server.database.db.select().from(judgeSettings).where(eq(judgeSettings.tenantId, tenantId))).filter(
      ({ isDefault }) => isDefault,
    )

  test('is one: the former is none any more, in the same entry of the log; another tenant’s stays', async () => {
    const tenant = await seedTenant(server)
    const admin = await seedKey(server, tenant.id, 'TenantAdmin')
    const foreign = await seedJudgeSetting(server, house.id, { isDefault: true })
    const first = await ask('POST', '', { ...aJudgeSetting(), isDefault: true }, admin)
    const second = await ask('POST', '', { ...aJudgeSetting(), isDefault: true }, admin)
    expect([first.status, second.status]).toEqual([201, 201])
    expect((await defaultsOf(tenant.id)).map(({ id }) => id)).toEqual([second.body.id])
    const entry = async () => (await auditOf(server, tenant.id)).at(-1)
    const { id, name } = first.body
    expect((await entry())?.details.after).toMatchObject({ isDefault: true, formerDefault: { id, name } })
    const put = await ask('PUT', `/${id}`, { ...aJudgeSetting(), isDefault: true }, admin)
    expect(put.body.isDefault).toBe(true)
    expect((await entry())?.details.after).toMatchObject({ formerDefault: { id: second.body.id } })
    expect((await ask('GET', `/${second.body.id}`, undefined, admin)).body.isDefault).toBe(false)
    // Once more changes nothing of it; and none may be the default.
    await ask('PUT', `/${id}`, { ...aJudgeSetting(), isDefault: true }, admin)
    expect((await entry())?.details.after).not.toHaveProperty('formerDefault')
    await ask('PUT', `/${id}`, aJudgeSetting(), admin)
    expect(await defaultsOf(tenant.id)).toEqual([])
    expect((await defaultsOf(house.id)).map((row) => row.id)).toEqual([foreign.id])
  })

  test('of eight that become it at once is one, and none of them is refused', async () => {
    const tenant = await seedTenant(server)
    const admin = await seedKey(server, tenant.id, 'TenantAdmin')
    const seeded = await Promise.all(Array.from({ length: 4 }, () => seedJudgeSetting(server, tenant.id)))
    const answers = await Promise.all(
      seeded.flatMap(({ id }) => [
        ask('POST', '', { ...aJudgeSetting(), isDefault: true }, admin),
        ask('PUT', `/${id}`, { ...aJudgeSetting(), isDefault: true }, admin),
      ]),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array(4).fill(200), ...Array(4).fill(201)])
    expect(await defaultsOf(tenant.id)).toHaveLength(1)
  })
})

describe('a model’s secret', () => {
  const modelOf = (fields: Input) => ({ provider: 'model', criteria: [], model: { ...model, ...fields } })
  const stored = async (id: unknown) => {
    const [row] = await server.database.db
      .select()
      .from(judgeSettings)
      .where(eq(judgeSettings.id, String(id)))
    const key = await loadSecret(server.database, readEnv({}))
    return row?.modelSecret ? unseal(key, row.id, row.modelSecret) : null
  }

  test('is read back through no door, stands in no entry, and is sealed for its own row', async () => {
    const secret = `s3cret-${crypto.randomUUID()}`
    const made = await create(modelOf({ secret }))
    const { id } = made.body
    expect(made.body.model).toEqual({ ...model, ...modelDefaults, hasSecret: true })
    expect(await stored(id)).toBe(secret)
    const { key } = house.admin
    const input = encodeURIComponent(JSON.stringify({ id }))
    const texts = [
      made.text,
      (await ask('GET', `/${id}`)).text,
      (await ask('GET', '?limit=200')).text,
      (await ask('PUT', `/${id}`, { ...aJudgeSetting(), ...modelOf({ secret, nonsense: 1 }) })).text,
      (await ask('PUT', `/${id}`, { ...aJudgeSetting(), ...modelOf({ secret }) })).text,
      await (await server.request(`/trpc/judgeSettings.get?input=${input}`, { key })).text(),
      (await ask('DELETE', `/${id}`)).text,
      await (await server.request('/api/admin/audit-log?limit=200', { key })).text(),
      JSON.stringify(await auditOf(server, house.id)),
      await rowsOf(server, house.id),
    ]
    for (const text of texts) expect(text).not.toContain(secret)
  })

  test('stays when it is left out, is replaced, is removed by null or with its model; elsewhere it has to be given again', async () => {
    const { body } = await create(modelOf({ secret: 'first' }))
    const put = async (fields: Input) => {
      const answer = await ask('PUT', `/${body.id}`, { ...aJudgeSetting(), name: body.name, ...fields })
      const noted = answer.status === 200 ? (await newest())?.details.after?.isSecretReplaced : undefined
      return [answer.status, pathsOf(answer), await stored(body.id), noted]
    }
    expect(await put(modelOf({ temperature: 1 }))).toEqual([200, undefined, 'first', undefined])
    expect(await put(modelOf({ secret: 'second' }))).toEqual([200, undefined, 'second', true])
    expect(await put(modelOf({ url: 'https://evil.example/v1' }))).toEqual([400, ['model.secret'], 'second', undefined])
    expect(await put(modelOf({ url: 'https://b.example/v1', secret: 'third' }))).toEqual([200, undefined, 'third', true])
    expect(await put(modelOf({ url: 'https://b.example/v2', secret: null }))).toEqual([200, undefined, null, true])
    expect(await put(modelOf({ secret: 'fourth' }))).toEqual([200, undefined, 'fourth', true])
    expect((await put({}))[2]).toBeNull()
    expect(await put(modelOf({}))).toEqual([200, undefined, null, undefined])
  })
})

test('with MATE_ALLOW_PRIVATE_AGENTS a model and an agent may be on a private address, on a forbidden one never', async () => {
  const { key } = house.admin
  for (const address of [...privateUrls, ...forbiddenUrls]) {
    const expected = privateUrls.includes(address) ? [201, undefined] : [400, [expect.stringMatching(/^(model|connector)\.url$/)]]
    const setting = await create({ provider: 'model', criteria: [], model: { ...model, url: address } })
    expect([address, setting.status, pathsOf(setting)]).toEqual([address, ...expected])
    const json = { ...anAgent(), connector: { type: 'http', url: address } }
    const agent = await server.request('/api/agents', { method: 'POST', key, json })
    const errors: Input[] | undefined = (await agent.json()).errors
    expect([address, agent.status, errors?.map(({ path }) => path)]).toEqual([address, ...expected])
  }
})

test('another tenant’s is 404 in each operation on it, and stays as it is', async () => {
  const other = await seedTenant(server)
  const { id } = await seedJudgeSetting(server, other.id)
  const before = await rowsOf(server, other.id)
  for (const [method, json] of [['GET'], ['PUT', aJudgeSetting()], ['DELETE']] as const)
    expect((await ask(method, `/${id}`, json)).status).toBe(404)
  expect(await rowsOf(server, other.id)).toBe(before)
})
