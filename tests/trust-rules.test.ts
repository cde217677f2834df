// Trust rules: what is refused because it would trust strangers, who may grant what, and what ends with a rule.
import { eq, sql } from 'drizzle-orm'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Tx } from '#db/client.ts'
import { apiKeys, trustRules } from '#db/schema.ts'
import { actIn } from '#server/principal.ts'
import type { Role } from '#server/roles.ts'
import { endRulesOf } from '#server/routers/trust-rule-records.ts'
import { isKnownPipeline, mismatchesOf } from '#server/trust-conditions.ts'
import { aTrustRule, type Input, rowsOf, unique } from './doors.ts'
import {
  auditOf,
  countAudit,
  postForm,
  type SeededKey,
  type SeededUser,
  seedKey,
  seedTenant,
  seedTrustRule,
  seedUser,
  useServer,
} from './harness.ts'
import { seedRun } from './run-seeds.ts'

const server = useServer()
const house = { id: '', admin: {} as SeededKey, user: {} as SeededUser }

beforeAll(async () => {
  house.id = (await seedTenant(server)).id
  house.admin = await seedKey(server, house.id, 'TenantAdmin')
  house.user = await seedUser(server, house.id, 'TenantAdmin')
})

async function ask(method: string, path = '', json?: unknown, key = house.admin.key) {
  const response = await server.request(`/api/admin/trust-rules${path}`, { method, key, json })
  const text = await response.text()
  const body: Input & { detail?: string; errors?: { path: string; message: string }[] } = text === '' ? {} : JSON.parse(text)
  return { status: response.status, headers: response.headers, body }
}

describe('a rule', () => {
  test('is made, changed and deleted; each change is audited with what changed', async () => {
    const conditions = { repository: ['acme/app'], ref: ['refs/heads/main'] }
    const input = {
      ...aTrustRule(),
      conditions,
      requestsPerMinute: 60,
      allowedIps: ['203.0.113.7'],
      scopes: ['runs:read', 'agents:read'],
    }
    const made = await ask('POST', '', input)
    expect(made.status).toBe(201)
    expect(made.headers.get('location')).toBe(`/api/admin/trust-rules/${made.body.id}`)
    expect(made.body).toMatchObject({
      ...{ ...input, allowedIps: ['203.0.113.7/32'], scopes: ['agents:read', 'runs:read'] },
      ...{ lifetimeMinutes: 15, isActive: true, ownerId: null, lastUsedAt: null },
      createdBy: { kind: 'key', id: house.admin.id, name: house.admin.name },
    })
    const path = `/${made.body.id}`
    expect((await ask('GET', path)).body).toEqual(made.body)
    const audit = await countAudit(server, house.id)
    const changed = { ...input, conditions: { repository: ['acme/app'] }, lifetimeMinutes: 10 }
    expect((await ask('PUT', path, changed)).body).toMatchObject({ conditions: changed.conditions })
    expect((await ask('PUT', path, changed)).status).toBe(200)
    expect(await auditOf(server, house.id, audit)).toMatchObject([
      {
        action: 'trust_rule.updated',
        details: {
          before: { conditions: input.conditions, lifetimeMinutes: 15 },
          after: { conditions: changed.conditions, lifetimeMinutes: 10 },
        },
      },
    ])
    expect((await ask('DELETE', path)).status).toBe(204)
    expect((await ask('GET', path)).status).toBe(404)
    expect((await auditOf(server, house.id)).at(-1)).toMatchObject({ action: 'trust_rule.deleted', entityId: made.body.id })
  })

  const github = 'https://token.actions.githubusercontent.com'
  const wrong: [string, Input, string, string?][] = [
    ['an issuer that is no URL', { issuer: 'github' }, 'issuer'],
    ['an issuer without TLS', { issuer: 'http://gitlab.example.com' }, 'issuer', 'https://'],
    ['an issuer on loopback', { issuer: 'http://127.0.0.1:8080' }, 'issuer', 'https://'],
    ['an issuer with a password', { issuer: 'https://a:b@gitlab.example.com' }, 'issuer'],
    ['an issuer with a query', { issuer: 'https://gitlab.example.com?x=1' }, 'issuer'],
    ['no audience', { audience: '' }, 'audience'],
    ['no conditions', { conditions: {} }, 'conditions', 'shared by the whole world'],
    ['of GitHub a branch alone', { conditions: { ref: ['refs/heads/main'] } }, 'conditions', 'condition on repository'],
    ['of GitHub the subject alone', { conditions: { sub: ['repo:acme/app:*'] } }, 'conditions', 'condition on repository'],
    ['of GitHub Enterprise too', { issuer: `${github}/acme`, conditions: { ref: ['x'] } }, 'conditions', 'repository'],
    [
      'of GitLab a repository',
      { issuer: 'https://gitlab.com', conditions: { repository: ['a/b'] } },
      'conditions',
      'project_path',
    ],
    [
      'of another issuer a branch alone',
      { issuer: 'https://ci.example', conditions: { ref: ['x'] } },
      'conditions',
      'project_path',
    ],
    ['any repository', { conditions: { repository: ['*'] } }, 'conditions.repository.0', 'strangers'],
    ['any owner', { conditions: { repository: ['*/app'] } }, 'conditions.repository.0', 'strangers'],
    ['owners that begin the same', { conditions: { repository: ['acme/app', 'acme*'] } }, 'conditions.repository.1', 'strangers'],
    [
      'any subject beside a repository',
      { conditions: { repository: ['acme/app'], sub: ['repo:*'] } },
      'conditions.sub.0',
      'strangers',
    ],
    ['an empty list', { conditions: { repository: [] } }, 'conditions.repository'],
    ['an empty value', { conditions: { repository: [''] } }, 'conditions.repository.0'],
    ['a value that is no text', { conditions: { repository: [1] } }, 'conditions.repository.0'],
    ['a value that is no list', { conditions: { repository: 'acme/app' } }, 'conditions.repository'],
    ['a life beyond 15 minutes', { lifetimeMinutes: 16 }, 'lifetimeMinutes'],
    ['no life', { lifetimeMinutes: 0 }, 'lifetimeMinutes'],
    ['no role', { role: 'Owner' }, 'role'],
    ['an empty list of scopes', { scopes: [] }, 'scopes'],
    ['a scope that there is not', { scopes: ['all:write'] }, 'scopes.0'],
    ['a tenant', { tenantId: crypto.randomUUID() }, 'tenantId'],
  ]
  test.each(wrong)('with %s is refused, and nothing is made or changed', async (_, fields, path, words = '') => {
    const { id } = await seedTrustRule(server, house.id)
    const before = [await rowsOf(server, house.id), await countAudit(server, house.id)]
    for (const { status, body } of [
      await ask('POST', '', { ...aTrustRule(), ...fields }),
      await ask('PUT', `/${id}`, { ...aTrustRule(), ...fields }),
    ]) {
      expect([status, body.errors?.map((error) => error.path)]).toEqual([400, [path]])
      expect(body.errors?.[0]?.message).toContain(words)
    }
    expect([await rowsOf(server, house.id), await countAudit(server, house.id)]).toEqual(before)
  })

  test.each([
    { conditions: { repository: ['acme/*'] } },
    { issuer: 'https://gitlab.com', conditions: { project_path: ['acme/apps/*'] } },
    { issuer: 'https://ci.example/', conditions: { sub: ['system:serviceaccount:ci:runner'] } },
  ])('may be of an owner, or of one subject: %j', async (fields) => {
    expect((await ask('POST', '', { ...aTrustRule(), ...fields })).status).toBe(201)
  })

  test('has a name of its own; there are at most 100', async () => {
    const { id } = await seedTenant(server)
    const { key } = await seedKey(server, id, 'TenantAdmin')
    const { name } = await seedTrustRule(server, id)
    expect((await ask('POST', '', { ...aTrustRule(), name: name.toUpperCase() }, key)).status).toBe(409)
    for (let i = 1; i < 100; i++) await seedTrustRule(server, id)
    const { status, body } = await ask('POST', '', aTrustRule(), key)
    expect([status, body.errors]).toEqual([400, [{ path: 'name', message: expect.stringContaining('100 trust rules') }]])
  })
})

describe('a condition', () => {
  const fits = (pattern: string, value: unknown) => mismatchesOf({ claim: [pattern] }, { claim: value }).length === 0

  test('takes a claim by its whole text, and `*` for any text in it', () => {
    expect([fits('main', 'main'), fits('main', 'main2'), fits('main', 'Main'), fits('a.c', 'abc')]).toEqual([
      true,
      false,
      false,
      false,
    ])
    expect([fits('refs/heads/*', 'refs/heads/a/b'), fits('a*a', 'a'), fits('a*a', 'aa'), fits('*', '')]).toEqual([
      true,
      false,
      true,
      true,
    ])
    expect([fits('true', true), fits('74', 74), fits('a', ['a']), fits('*', undefined), fits('*', null)]).toEqual([
      ...[true, true, false, false, false],
    ])
    expect(mismatchesOf({ constructor: ['*'] }, {})).toEqual(['constructor'])
  })

  test('takes what the pattern says as a regular expression would, and takes no longer for a nasty one', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '*', '/'), maxLength: 12 })
    fc.assert(
      fc.property(text, text, (pattern, value) => {
        const source = pattern.split('*').map((piece) => piece.replaceAll('/', '\\/'))
        expect(fits(pattern, value)).toBe(new RegExp(`^${source.join('[^]*')}$`).test(value))
      }),
      { numRuns: 5_000 },
    )
    const from = performance.now()
    expect(fits(`${'*a'.repeat(200)}*c*`, 'a'.repeat(10_000))).toBe(false)
    expect(performance.now() - from).toBeLessThan(50)
  })

  test('on who the pipeline is, when it holds, makes it known, whatever it runs', () => {
    const conditions = { repository: ['acme/app'], ref: ['main'] }
    expect(isKnownPipeline(conditions, { repository: 'acme/app', ref: 'x' })).toBe(true)
    expect(isKnownPipeline(conditions, { repository: 'acme/b', ref: 'main' })).toBe(false)
  })
})

describe('nobody grants more than they have:', () => {
  test('not a role, in a new rule, a changed one or one of somebody above', async () => {
    const above = await seedTrustRule(server, house.id, { role: 'SuperAdmin' })
    const { id } = await seedTrustRule(server, house.id)
    const before = await rowsOf(server, house.id)
    for (const { status, body } of [
      await ask('POST', '', { ...aTrustRule(), role: 'SuperAdmin' }),
      await ask('PUT', `/${id}`, { ...aTrustRule(), role: 'SuperAdmin' }),
      await ask('PUT', `/${above.id}`, aTrustRule()),
      await ask('DELETE', `/${above.id}`),
    ]) {
      expect([status, body.detail]).toEqual([403, expect.stringContaining('SuperAdmin')])
    }
    expect(await rowsOf(server, house.id)).toBe(before)
  })

  test('not limits: a limited key hands its own on, and can’t point a wider rule at its own pipeline', async () => {
    const limits = { allowedIps: ['127.0.0.0/8'], requestsPerMinute: 60, scopes: ['trust-rules:write'] }
    const { key } = await seedKey(server, house.id, 'TenantAdmin', limits)
    expect((await ask('POST', '', aTrustRule(), key)).body).toMatchObject(limits)
    expect((await ask('POST', '', { ...aTrustRule(), scopes: null }, key)).status).toBe(403)
    const { id } = await seedTrustRule(server, house.id, { role: 'TenantAdmin' })
    const pointed = await ask('PUT', `/${id}`, { ...aTrustRule(), role: 'TenantAdmin', requestsPerMinute: null }, key)
    expect([pointed.status, pointed.body.detail]).toEqual([403, expect.stringContaining('requestsPerMinute')])
    expect((await ask('PUT', `/${id}`, aTrustRule(), key)).body).toMatchObject(limits)
  })
})

async function seedCiKey(ruleId: string, fields: Partial<typeof apiKeys.$inferInsert> = {}, tenantId = house.id) {
  const expiresAt = new Date(Date.now() + 600_000)
  return seedKey(server, tenantId, 'Tester', { createdByKind: 'trust_rule', trustRuleId: ruleId, expiresAt, ...fields })
}
const revokedReasonOf = async (id: string) => {
  const [row] = await server.database.db.select({ reason: apiKeys.revokedReason }).from(apiKeys).where(eq(apiKeys.id, id))
  return row?.reason
}

describe('the keys that a rule gave out', () => {
  const base = () => ({ ...aTrustRule(), role: 'Tester', requestsPerMinute: 60 })
  const narrower: [string, Input][] = [
    ['deactivated', { isActive: false }],
    ['given other conditions', { conditions: { repository: ['acme/*'] } }],
    ['given another audience', { audience: 'other' }],
    ['given another issuer', { issuer: 'https://token.actions.githubusercontent.com/acme' }],
    ['given a lower role', { role: 'Viewer' }],
    ['limited', { requestsPerMinute: 59 }],
    ['narrowed to scopes', { scopes: ['runs:read'] }],
    ['shortened', { lifetimeMinutes: 14 }],
  ]
  test.each(narrower)('end when it is %s, each with an entry in the log', async (_, fields) => {
    const input = base()
    const id = String((await ask('POST', '', input)).body.id)
    const [key, other] = [await seedCiKey(id), await seedCiKey((await seedTrustRule(server, house.id)).id)]
    const audit = await countAudit(server, house.id)
    expect((await ask('PUT', `/${id}`, { ...input, ...fields })).status).toBe(200)
    expect(await revokedReasonOf(key.id)).toMatch(/^The trust rule “Rule .+” was (changed|deactivated)\.$/)
    expect(await revokedReasonOf(other.id)).toBeNull()
    expect(await auditOf(server, house.id, audit)).toMatchObject([
      { action: 'trust_rule.updated', entityType: 'trust_rule', entityId: id },
      {
        ...{ action: 'api_key.revoked', entityType: 'api_key', entityId: key.id },
        details: { before: { status: 'active' }, after: { status: 'revoked' } },
      },
    ])
  })

  test('live on when it is renamed, or grants more', async () => {
    const input = base()
    const id = String((await ask('POST', '', input)).body.id)
    const { id: keyId, key } = await seedCiKey(id)
    const more = { name: unique('Rule'), role: 'TenantAdmin', requestsPerMinute: 61 }
    expect((await ask('PUT', `/${id}`, { ...input, ...more })).status).toBe(200)
    expect(await revokedReasonOf(keyId)).toBeNull()
    expect((await server.request('/api/me', { key })).status).toBe(200)
  })

  test('end when it is deleted; so do expired ones whose run goes on, and a successor by rotation', async () => {
    const { id } = await seedTrustRule(server, house.id, { name: unique('Rule') })
    const live = await seedCiKey(id)
    const expired = { expiresAt: new Date(Date.now() - 600_000) }
    const [over, running] = [await seedCiKey(id, expired), await seedCiKey(id, expired)]
    const requested = { requestedByKind: 'key', requestedById: running.id, completedAt: null } as const
    await seedRun(server, house.id, { status: 'running', passed: 0, ...requested })
    const rotate = `/api/admin/api-keys/${live.id}/rotate`
    const rotated = await server.request(rotate, { method: 'POST', key: house.admin.key, json: { overlapHours: 0.1 } })
    const successor = (await rotated.json()) as { id: string }
    expect((await ask('DELETE', `/${id}`)).status).toBe(204)
    for (const key of [live, running, successor]) expect(await revokedReasonOf(key.id)).toContain('was deleted')
    expect(await revokedReasonOf(over.id)).toBeNull()
    expect((await server.request('/api/me', { key: live.key })).status).toBe(401)
    const [row] = await server.database.db.select().from(apiKeys).where(eq(apiKeys.id, live.id))
    expect([row?.trustRuleId, row?.createdByKind]).toEqual([null, 'trust_rule'])
  })

  test('may end the rule that they came from, and themselves with it', async () => {
    const { id } = await seedTrustRule(server, house.id, { role: 'TenantAdmin' })
    const own = await seedCiKey(id, { role: 'TenantAdmin' })
    expect((await ask('DELETE', `/${id}`, undefined, own.key)).status).toBe(204)
    expect((await server.request('/api/me', { key: own.key })).status).toBe(401)
  })
})

describe('the rules of a person', () => {
  const by = { id: 'admin', name: 'Ada' }
  const inTenant = <T>(tenantId: string, work: (tx: Tx) => Promise<T>) =>
    server.database.transaction(async (tx) => {
      await actIn(tx, 'transaction', tenantId)
      return work(tx)
    })
  const activeOf = async (ownerId: string) =>
    (await server.database.db.select().from(trustRules).where(eq(trustRules.ownerId, ownerId)))
      .filter(({ isActive }) => isActive)
      .map(({ role }) => role)

  const cases: [Role | null, { home: Role[]; away: Role[] }][] = [
    [null, { home: [], away: [] }],
    ['Viewer', { home: [], away: [] }],
    ['Tester', { home: [], away: [] }],
    ['TenantAdmin', { home: ['Viewer', 'TenantAdmin'], away: [] }],
    ['SuperAdmin', { home: ['Viewer', 'TenantAdmin', 'SuperAdmin'], away: ['Viewer'] }],
  ]
  test.each(cases)('who becomes %s: those that they could not make end, and their keys', async (role, left) => {
    const { id: awayId } = await seedTenant(server)
    const { id: homeId } = await seedTenant(server)
    const owner = await seedUser(server, homeId, 'SuperAdmin')
    const own = { ownerId: owner.id }
    const rules = []
    for (const granted of ['Viewer', 'TenantAdmin', 'SuperAdmin'] as const)
      rules.push(await seedTrustRule(server, homeId, { ...own, role: granted }))
    const others = await seedTrustRule(server, homeId)
    const [key, othersKey] = [await seedCiKey(rules[2]?.id ?? '', {}, homeId), await seedCiKey(others.id, {}, homeId)]
    const changes = await inTenant(homeId, (tx) => endRulesOf(tx, owner.id, role, by))
    expect((await activeOf(owner.id)).sort()).toEqual(left.home.toSorted())
    await seedTrustRule(server, awayId, own)
    await inTenant(awayId, (tx) => endRulesOf(tx, owner.id, role, by))
    expect((await activeOf(owner.id)).sort()).toEqual([...left.home, ...left.away].sort())
    expect((await revokedReasonOf(key.id)) !== null).toBe(!left.home.includes('SuperAdmin'))
    expect(await revokedReasonOf(othersKey.id)).toBeNull()
    const ended = 3 - left.home.length
    expect(changes.map(({ entity }) => entity.type)).toEqual([
      ...Array(ended).fill('trust_rule'),
      ...(ended > 0 ? ['api_key'] : []),
    ])
    const tenants = await server.database.db
      .select({ id: sql<string>`id` })
      .from(sql`mate_tenants_of_owner(${owner.id}::uuid) as id`)
    expect(tenants.map(({ id }) => id).sort()).toEqual([homeId, awayId].sort())
  })

  test('are theirs who saved them last', async () => {
    const { id } = await seedTrustRule(server, house.id)
    const form = {
      ...{ name: unique('Rule'), issuer: 'https://ci.example', audience: 'mate', role: 'Viewer', lifetimeMinutes: '15' },
      ...{ claim: 'sub', value: 'a', isActive: 'yes' },
    }
    expect((await postForm(server, `/trust-rules/${id}`, house.user.cookie, form)).status).toBe(302)
    expect((await ask('GET', `/${id}`)).body.ownerId).toBe(house.user.id)
  })
})

describe('the pages, without JavaScript', () => {
  const page = async (path: string, cookie = house.user.cookie) => {
    const response = await server.request(path, { headers: { cookie } })
    return { status: response.status, text: await response.text() }
  }
  const form = () => ({
    ...{ name: unique('Rule'), issuer: 'https://token.actions.githubusercontent.com', audience: 'https://a.example' },
    ...{ role: 'Tester', lifetimeMinutes: '15', claim: 'repository', value: 'acme/app' },
  })

  test('make a rule, show what to paste, change it and delete it', async () => {
    for (const [provider, words] of [
      ['github', ['token.actions.githubusercontent.com', 'value="repository"']],
      ['gitlab', ['https://gitlab.com', 'value="project_path"']],
      ['other', ['value="sub"']],
    ] as const) {
      const { text } = await page(`/trust-rules/new?provider=${provider}`)
      for (const word of words) expect(text).toContain(word)
      expect(text).toContain(`value="${server.url}"`)
    }
    const sent = form()
    const made = await postForm(server, '/trust-rules/new', house.user.cookie, sent)
    expect(made.status).toBe(302)
    const path = made.headers.get('location') ?? ''
    const shown = await page(path)
    for (const word of ['id-token: write', `MATE_TRUST_RULE: ${path.split('/').at(-1)}`, 'MATE_AUDIENCE: https://a.example'])
      expect(shown.text).toContain(word)
    expect((await page('/trust-rules')).text).toContain(sent.name)

    const gitlab = { ...sent, issuer: 'https://gitlab.com', claim: 'project_path', isActive: 'yes' }
    expect((await postForm(server, path, house.user.cookie, gitlab)).status).toBe(302)
    expect((await page(path)).text).toContain('id_tokens:')
    expect((await page(`${path}/delete`)).text).toContain(sent.name)
    expect((await postForm(server, `${path}/delete`, house.user.cookie, {})).status).toBe(302)
    expect((await page(path)).status).toBe(404)
  })

  test('say what is wrong at its field, and keep what was filled in', async () => {
    const refused = await postForm(server, '/trust-rules/new', house.user.cookie, { ...form(), value: '*', allowedIps: 'here' })
    expect(refused.status).toBe(400)
    const first = await refused.text()
    expect(first).toContain('here: Must be an address or a network')
    const next = await postForm(server, '/trust-rules/new', house.user.cookie, { ...form(), value: 'ac*' })
    const text = await next.text()
    expect([next.status, text.includes('takes pipelines of strangers'), text.includes('value="ac*"')]).toEqual([400, true, true])
    const role = await postForm(server, '/trust-rules/new', house.user.cookie, { ...form(), role: 'Owner' })
    expect(role.status).toBe(400)
  })

  test('are for admins', async () => {
    const { cookie } = await seedUser(server, house.id, 'Tester')
    const { id } = await seedTrustRule(server, house.id)
    for (const path of ['/trust-rules', '/trust-rules/new', `/trust-rules/${id}`, `/trust-rules/${id}/delete`])
      expect([path, (await page(path, cookie)).status]).toEqual([path, 403])
  })
})
