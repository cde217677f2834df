// A CI provider's token for a key: which tokens get one, which don't and what is said then, and what the key can do.
import { and, eq, sql } from 'drizzle-orm'
import { exportSPKI, importJWK, SignJWT, UnsecuredJWT } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { apiKeys, tenants, trustRules, usedTokens, users } from '#db/schema.ts'
import { cleanUp } from '#server/housekeeping.ts'
import { makePlace, startChildServer } from './child-server.ts'
import { type Input, thaw } from './doors.ts'
import { auditOf, countAudit, type SeededKey, seedKey, seedTenant, seedTrustRule, seedUser, useServer } from './harness.ts'
import { audience, type Claims, githubClaims, gitlabClaims, type Issuer, startIssuer } from './issuer.ts'
import { documentedOperations, errorsOf, successOf, zodOf } from './openapi-document.ts'
import { withoutMocks } from './receiver.ts'

withoutMocks()
const server = useServer({ MATE_ALLOW_PRIVATE_AGENTS: 'true', MATE_TOKEN_EXCHANGES: '100000' })
let github: Issuer
let gitlab: Issuer
const others: Issuer[] = []
const house = { id: '', name: '', admin: {} as SeededKey, rule: { id: '', name: '' } }

const mainOnly = { repository: ['acme/app'], ref: ['refs/heads/main', 'refs/heads/release/*'], environment: ['production'] }

beforeAll(async () => {
  github = await startIssuer('RS256')
  gitlab = await startIssuer()
  Object.assign(house, await seedTenant(server))
  house.admin = await seedKey(server, house.id, 'TenantAdmin')
  house.rule = await ruleOf(house.id, { conditions: mainOnly, role: 'Tester', requestsPerMinute: 600 })
})
afterAll(() => Promise.all([github, gitlab, ...others].map((issuer) => issuer.close())))
afterEach(() => vi.useRealTimers())

function ruleOf(tenantId: string, fields: Partial<typeof trustRules.$inferInsert> = {}) {
  return seedTrustRule(server, tenantId, { issuer: github.url, audience, ...fields })
}

async function newIssuer(): Promise<Issuer> {
  const issuer = await startIssuer()
  others.push(issuer)
  return issuer
}

async function exchange(token: unknown, more: Input = {}) {
  const response = await server.request('/api/token', { method: 'POST', json: { token, ...more } })
  const body = (await response.json()) as Input & { key: string; id: string; detail: string; requestId: string }
  return { status: response.status, headers: response.headers, body }
}
const fromGithub = async (claims: Claims = {}) => github.sign(githubClaims(claims))
const rowOf = async (id: string) => (await server.database.db.select().from(apiKeys).where(eq(apiKeys.id, id)))[0]
const countCiKeys = (tenantId = house.id) =>
  server.database.db.$count(apiKeys, and(eq(apiKeys.tenantId, tenantId), eq(apiKeys.createdByKind, 'trust_rule')))
const meOf = async (key: string) => {
  const response = await server.request('/api/me', { key })
  return { status: response.status, body: (await response.json()) as Input }
}

describe('a token that a rule takes', () => {
  test('of GitHub gets a key with the rule’s role and limits, for 15 minutes, audited with what asked for it', async () => {
    const audit = await countAudit(server, house.id)
    const { status, headers, body } = await exchange(await fromGithub())
    expect([status, headers.get('cache-control')]).toEqual([201, 'no-store'])
    const { key, id, expiresAt, ...rest } = body
    expect(rest).toEqual({ role: 'Tester', ruleId: house.rule.id, tenant: { id: house.id, name: house.name } })
    expect(headers.get('location')).toBe(`/api/admin/api-keys/${id}`)
    expect(Math.abs(Date.parse(String(expiresAt)) - Date.now() - 15 * 60_000)).toBeLessThan(10_000)
    const operation = documentedOperations.find(({ name }) => name === 'tokens.exchange')
    expect(errorsOf(zodOf((operation && successOf(operation)?.schema) ?? {}), body)).toEqual([])

    expect(await meOf(key)).toMatchObject({
      status: 200,
      body: { id, role: 'Tester', requestsPerMinute: 600, tenant: { id: house.id } },
    })
    const shown = await (await server.request(`/api/admin/api-keys/${id}`, { key: house.admin.key })).json()
    const name = expect.stringMatching(/^ci: acme\/app@main #4711 \([0-9a-f]{6}\)$/)
    const createdBy = { kind: 'trust_rule', id: house.rule.id, name: house.rule.name }
    expect(shown).toMatchObject({
      name,
      createdBy,
      trustRuleId: house.rule.id,
      expiresAt,
      requestsPerMinute: 600,
      status: 'active',
    })
    expect(await auditOf(server, house.id, audit)).toMatchObject([
      {
        ...{ actorKind: 'trust_rule', actorId: house.rule.id, actorName: house.rule.name, actorRole: 'Tester' },
        ...{ action: 'api_key.created', entityType: 'api_key', entityId: id, entityName: name, outcome: 'success' },
        ...{ ip: '127.0.0.1', requestId: headers.get('x-request-id') },
        details: {
          after: {
            role: 'Tester',
            expiresAt,
            requestsPerMinute: 600,
            claims: { repository: 'acme/app', ref: 'refs/heads/main', environment: 'production', run_id: '4711', actor: 'ada' },
          },
        },
      },
    ])
    const [rule] = await server.database.db.select().from(trustRules).where(eq(trustRules.id, house.rule.id))
    expect(rule?.lastUsedAt?.getTime()).toBeGreaterThan(Date.now() - 60_000)
  })

  test('of GitLab gets one too, by project path; `*` stands for any text', async () => {
    const { id: tenantId } = await seedTenant(server)
    const conditions = { project_path: ['acme/*'], ref_protected: ['true'] }
    const { id: ruleId } = await ruleOf(tenantId, { issuer: gitlab.url, conditions, lifetimeMinutes: 5 })
    const { status, body } = await exchange(await gitlab.sign(gitlabClaims()))
    expect([status, body.ruleId, body.role]).toEqual([201, ruleId, 'Viewer'])
    expect(Math.abs(Date.parse(String(body.expiresAt)) - Date.now() - 5 * 60_000)).toBeLessThan(10_000)
    expect((await rowOf(body.id))?.name).toMatch(/^ci: acme\/apps\/web@main #1212 \(/)
    // Several audiences: one of them is enough. A claim that is a boolean is compared as text.
    const token = await gitlab.sign(gitlabClaims({ aud: ['https://other.example', audience], ref_protected: true }))
    expect((await exchange(` ${token}\n`)).status).toBe(201)
  })

  test('is refused at the end of its minutes, and at once when it is revoked', async () => {
    const first = (await exchange(await fromGithub())).body
    await server.database.db.update(apiKeys).set({ expiresAt: sql`clock_timestamp()` }).where(eq(apiKeys.id, first.id))
    expect((await meOf(first.key)).status).toBe(401)
    const second = (await exchange(await fromGithub())).body
    const revoke = `/api/admin/api-keys/${second.id}/revoke`
    expect((await server.request(revoke, { method: 'POST', key: house.admin.key, json: {} })).status).toBe(200)
    expect((await meOf(second.key)).status).toBe(401)
    const list = async (query: string) => {
      const response = await server.request(`/api/admin/api-keys?limit=200&${query}`, { key: house.admin.key })
      return ((await response.json()) as { items: { id: string }[] }).items.map(({ id }) => id)
    }
    expect(await list('')).toContain(first.id)
    expect(await list('withExpiredCi=false')).not.toContain(first.id)
    expect(await list(`createdBy=${house.rule.id}`)).toEqual(expect.arrayContaining([first.id, second.id]))
  })

  test('writes nothing that could be taken for something else: names are cut and cleaned', async () => {
    const { id: tenantId } = await seedTenant(server)
    const issuer = await newIssuer()
    await ruleOf(tenantId, { issuer: issuer.url, conditions: { sub: ['a/*'] } })
    const { status, body } = await exchange(await issuer.sign({ aud: audience, sub: `a/\u202e\u0000\n${'😀'.repeat(200)}` }))
    expect(status).toBe(201)
    const { name = '' } = (await rowOf(body.id)) ?? {}
    expect(name.length).toBeLessThanOrEqual(100)
    expect(name).toMatch(/^ci: a\/😀/u)
    expect(name.isWellFormed()).toBe(true)
  })
})

describe('a token is told what is wrong with it, and its issuer is not asked, when', () => {
  const now = () => Math.floor(Date.now() / 1_000)
  const publicPem = async () => exportSPKI((await importJWK(github.keys[0] ?? {}, 'RS256', { extractable: true })) as CryptoKey)
  const cases: [string, () => Promise<string> | string, string][] = [
    ['it is no token', () => 'abc', 'no JSON Web Token'],
    ['it is empty', () => '', 'no JSON Web Token'],
    ['its parts are no JSON', () => 'a.b.c', 'no JSON Web Token'],
    [
      'it is not signed (alg none)',
      () => new UnsecuredJWT({ ...githubClaims(), iss: github.url }).encode(),
      'not signed with a private key',
    ],
    [
      'it is signed with the public key as a secret (HS256)',
      async () =>
        new SignJWT({ ...githubClaims(), iss: github.url, iat: now(), exp: now() + 300 })
          .setProtectedHeader({ alg: 'HS256', kid: 'key-1' })
          .sign(new TextEncoder().encode(await publicPem())),
      'not signed with a private key',
    ],
    ['it has expired', () => fromGithub({ iat: now() - 600, exp: now() - 61 }), 'has expired'],
    ['it is of the future', () => fromGithub({ iat: now() + 120, nbf: undefined }), 'not valid yet'],
    ['it is not valid yet', () => fromGithub({ nbf: now() + 120 }), 'not valid yet'],
    ['it is older than an hour', () => fromGithub({ iat: now() - 3_700 }), 'more than an hour ago'],
    ['it does not expire', () => fromGithub({ exp: undefined }), 'when it was issued'],
    ['it does not say when it was issued', () => fromGithub({ iat: undefined }), 'when it was issued'],
    ['it has no audience', () => fromGithub({ aud: undefined }), 'no audience'],
    ['it has no issuer', () => fromGithub({ iss: undefined }), 'no issuer'],
  ]
  test.each(cases)('%s', async (_, make, words) => {
    const before = [await countCiKeys(), await countAudit(server, house.id), github.asked.length]
    const { status, body } = await exchange(await make())
    expect(status).toBe(400)
    expect(body.detail).toContain(words)
    expect(body.errors).toEqual([{ path: 'token', message: body.detail }])
    expect([await countCiKeys(), await countAudit(server, house.id), github.asked.length]).toEqual(before)
  })

  test('a minute is granted for clocks', async () => {
    for (const claims of [
      { exp: now() - 50, iat: now() - 350 },
      { iat: now() + 50, nbf: now() + 50 },
    ])
      expect((await exchange(await fromGithub(claims))).status).toBe(201)
  })
})

describe('a token that no rule takes', () => {
  const intruder = async () => {
    // Another's key under the same name.
    const { key } = { key: await newIssuer() }
    return key.sign(githubClaims({ iss: github.url }))
  }
  const cases: [string, () => Promise<string>, (() => Promise<Input>)?][] = [
    ['of an issuer that nobody trusts', async () => (await newIssuer()).sign(githubClaims())],
    ['of another audience', () => fromGithub({ aud: 'https://elsewhere.example' })],
    ['with a signature of somebody else', intruder],
    ['of another repository', () => fromGithub({ repository: 'acme/other' })],
    ['of a repository with the same name in other case', () => fromGithub({ repository: 'Acme/app' })],
    ['of a repository whose name begins the same', () => fromGithub({ repository: 'acme/app2' })],
    ['of another branch', () => fromGithub({ ref: 'refs/heads/attack' })],
    ['of another environment', () => fromGithub({ environment: 'staging' })],
    ['without the environment', () => fromGithub({ environment: undefined })],
    ['with a list where a text is wanted', () => fromGithub({ environment: ['production'] })],
    ['for a rule that there is not', () => fromGithub(), async () => ({ ruleId: crypto.randomUUID() })],
    [
      'for a rule that is not active',
      () => fromGithub(),
      async () => ({ ruleId: (await ruleOf(house.id, { isActive: false })).id }),
    ],
    [
      'for a rule of a tenant that is not active',
      () => fromGithub(),
      async () => {
        const { id } = await seedTenant(server)
        await server.database.db.update(tenants).set({ isActive: false }).where(eq(tenants.id, id))
        return { ruleId: (await ruleOf(id)).id }
      },
    ],
  ]
  test.each(cases)('%s: 400 with the same words, after the same time, and there is no key', async (_, make, more) => {
    const before = await server.database.db.$count(apiKeys, eq(apiKeys.createdByKind, 'trust_rule'))
    const token = await make()
    const from = performance.now()
    const { status, body } = await exchange(token, await more?.())
    expect(performance.now() - from).toBeGreaterThan(190)
    expect(status).toBe(400)
    expect(body.detail).toMatch(
      /^No trust rule takes this token, or its issuer did not sign it\. It says iss “http.+”, aud “.+\.$/,
    )
    expect(body.detail).not.toContain(house.rule.name)
    expect(await server.database.db.$count(apiKeys, eq(apiKeys.createdByKind, 'trust_rule'))).toBe(before)
  })

  test('learns nothing of which rules there are: named or not, there or not, trusted or not', async () => {
    const strangers = await ruleOf((await seedTenant(server)).id, { conditions: { repository: ['secret/thing'] } })
    const token = await fromGithub({ repository: 'stranger/own' })
    const answers = []
    for (const more of [{}, { ruleId: strangers.id }, { ruleId: house.rule.id }, { ruleId: crypto.randomUUID() }]) {
      const { status, body } = await exchange(token, more)
      answers.push({ status, ...body, requestId: '' })
    }
    for (const answer of answers) expect(answer).toEqual(answers[0])
  })

  test('is in the audit log of a tenant that knows the pipeline or is named, with what did not fit, and in no other', async () => {
    const { id } = await seedTenant(server)
    const { id: ruleId, name } = await ruleOf(id, { conditions: { repository: ['known/app'], ref: ['refs/heads/main'] } })
    expect((await exchange(await fromGithub({ repository: 'stranger/own' }))).status).toBe(400)
    expect(await countAudit(server, id)).toBe(0)
    const ask = async () => exchange(await fromGithub({ repository: 'known/app', ref: 'refs/heads/attack' }))
    expect((await ask()).status).toBe(400)
    expect((await ask()).status).toBe(400)
    const entries = await auditOf(server, id)
    expect(entries.length).toBeLessThanOrEqual(2) // two only over the end of a minute
    expect(entries[0]).toMatchObject({
      ...{ action: 'token.refused', outcome: 'refused', actorKind: 'trust_rule', actorId: ruleId, entityName: name },
      details: {
        operation: 'tokens.exchange',
        reason: 'ref is “refs/heads/attack”, and has to be “refs/heads/main”.',
      },
    })
    const other = await ruleOf(id, { conditions: { repository: ['third/app'] } })
    await exchange(await fromGithub({ repository: 'stranger/own' }), { ruleId: other.id })
    expect((await auditOf(server, id)).at(-1)).toMatchObject({ action: 'token.refused', entityId: other.id })
  })
})

describe('a token is good once:', () => {
  test('of ten at once, one gets a key', async () => {
    const token = await fromGithub()
    const before = await countCiKeys()
    const answers = await Promise.all(Array.from({ length: 10 }, () => exchange(token)))
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(9).fill(400)])
    expect(answers.find(({ status }) => status === 400)?.body.detail).toContain('used before')
    expect(await countCiKeys()).toBe(before + 1)
    const reasons = (await auditOf(server, house.id)).map(({ details }) => details.reason)
    expect(reasons).toContain('The token was used before.')
  })

  test('another spelling of its signature is the same token', async () => {
    const { id: tenantId } = await seedTenant(server)
    await ruleOf(tenantId, { issuer: gitlab.url, audience: 'twice', conditions: { project_path: ['acme/apps/web'] } })
    const token = await gitlab.sign(gitlabClaims({ aud: 'twice' }))
    const [head, body, signature = ''] = token.split('.')
    // ECDSA: (r, n - s) is as good a signature as (r, s).
    const bytes = Buffer.from(signature, 'base64url')
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
    const s = order - BigInt(`0x${bytes.toString('hex', 32)}`)
    const twin = Buffer.concat([bytes.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')])
    expect((await exchange(token)).status).toBe(201)
    const again = await exchange(`${head}.${body}.${twin.toString('base64url')}`)
    expect([again.status, again.body.detail]).toEqual([400, expect.stringContaining('used before')])
  })

  test('for any rule; and one that got no key is not used up', async () => {
    const { id: tenantId } = await seedTenant(server)
    const conditions = { repository: ['twice/app'] }
    const [one, two] = [await ruleOf(tenantId, { conditions }), await ruleOf(tenantId, { conditions })]
    const token = await fromGithub({ repository: 'twice/app' })
    await server.database.db.update(tenants).set({ keysFrozenAt: new Date() }).where(eq(tenants.id, tenantId))
    const frozen = await exchange(token, { ruleId: one.id })
    expect([frozen.status, frozen.body.detail]).toEqual([400, expect.stringContaining('are frozen')])
    await thaw(server)
    expect((await exchange(token, { ruleId: one.id })).status).toBe(201)
    expect((await exchange(token, { ruleId: two.id })).status).toBe(400)
  })
})

describe('of several tenants that trust one issuer', () => {
  test('the one whose rule takes the token gives the key; where two do, neither does unless it is named', async () => {
    const [a, b] = [await seedTenant(server), await seedTenant(server)]
    const ruleA = await ruleOf(a.id, { conditions: { repository: ['shared/app'], ref: ['refs/heads/a'] } })
    const ruleB = await ruleOf(b.id, { conditions: { repository: ['shared/app'], ref: ['refs/heads/b', 'refs/heads/both'] } })
    const both = await ruleOf(a.id, { conditions: { repository: ['shared/app'], ref: ['refs/heads/both'] } })
    const token = (ref: string) => fromGithub({ repository: 'shared/app', ref: `refs/heads/${ref}` })
    expect((await exchange(await token('a'))).body).toMatchObject({ ruleId: ruleA.id, tenant: { id: a.id } })
    expect((await exchange(await token('b'))).body).toMatchObject({ ruleId: ruleB.id, tenant: { id: b.id } })
    const shared = await token('both')
    const { status, body } = await exchange(shared)
    expect(status).toBe(409)
    expect(body).toMatchObject({ code: 'conflict', errors: [{ path: 'ruleId' }] })
    for (const word of [a.id, a.name, b.id, b.name, ruleB.id, both.id, ruleB.name])
      expect(JSON.stringify(body)).not.toContain(word)
    expect((await exchange(shared, { ruleId: both.id })).body).toMatchObject({ tenant: { id: a.id } })
  })
})

describe('a rule gives no more than its owner has', () => {
  const owned = async (role: 'TenantAdmin' | 'SuperAdmin', granted: 'Viewer' | 'SuperAdmin', isElsewhere = false) => {
    const { id: tenantId } = await seedTenant(server)
    const user = await seedUser(server, isElsewhere ? (await seedTenant(server)).id : tenantId, role)
    const repository = `owned/${crypto.randomUUID()}`
    const rule = await ruleOf(tenantId, { conditions: { repository: [repository] }, role: granted, ownerId: user.id })
    const set = (fields: Partial<typeof users.$inferInsert>) =>
      server.database.db.update(users).set(fields).where(eq(users.id, user.id))
    return { tenantId, rule, user, set, ask: async () => exchange(await fromGithub({ repository })) }
  }

  test('a key is its owner’s; of an owner who is deactivated or no admin any more there is none, and the log says so', async () => {
    const { tenantId, user, set, ask } = await owned('TenantAdmin', 'Viewer')
    const made = await ask()
    expect((await rowOf(made.body.id))?.ownerId).toBe(user.id)
    for (const fields of [{ isActive: false }, { isActive: true, role: 'Tester' as const }]) {
      await set(fields)
      expect((await ask()).status).toBe(400)
    }
    expect((await auditOf(server, tenantId)).at(-1)).toMatchObject({
      action: 'token.refused',
      details: { reason: expect.stringContaining('owner of the rule') },
    })
    await set({ role: 'TenantAdmin' })
    expect((await ask()).status).toBe(201)
  })

  test('of a SuperAdmin who is lowered, keys are lower too, and there are none of other tenants’ rules', async () => {
    const home = await owned('SuperAdmin', 'SuperAdmin')
    expect((await home.ask()).body.role).toBe('SuperAdmin')
    await home.set({ role: 'TenantAdmin' })
    expect((await home.ask()).body.role).toBe('TenantAdmin')
    const away = await owned('SuperAdmin', 'Viewer', true)
    expect((await away.ask()).status).toBe(201)
    await away.set({ role: 'TenantAdmin' })
    expect((await away.ask()).status).toBe(400)
  })
})

describe('an issuer', () => {
  test('is asked once for many tokens; for a key that is new at most once a minute', async () => {
    const issuer = await newIssuer()
    const { id: tenantId } = await seedTenant(server)
    await ruleOf(tenantId, { issuer: issuer.url })
    const ask = async () => (await exchange(await issuer.sign(githubClaims()))).status
    expect(await Promise.all([ask(), ask(), ask()])).toEqual([201, 201, 201])
    expect(issuer.asked).toEqual(['/.well-known/openid-configuration', '/keys'])
    await issuer.rotate()
    expect([await ask(), await ask()]).toEqual([400, 400])
    expect(issuer.asked).toHaveLength(2)
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 })
    expect([await ask(), await ask()]).toEqual([201, 201])
    expect(issuer.asked).toHaveLength(4)
    // One that does not answer then costs nobody the keys that are known.
    vi.setSystemTime(Date.now() + 61_000)
    issuer.answer = (_, response) => Boolean(response.writeHead(500).end())
    const known = await issuer.sign(githubClaims())
    await issuer.rotate()
    expect(await ask()).toBe(400)
    expect((await exchange(known)).status).toBe(201)
  })

  const json = (value: unknown) => (path: string, response: import('node:http').ServerResponse) =>
    path.startsWith('/.well-known') ? Boolean(response.end(JSON.stringify(value))) : false
  const faults: [string, (issuer: Issuer) => Issuer['answer']][] = [
    ['does not answer 200', () => (_, response) => Boolean(response.writeHead(404).end('{}'))],
    ['answers no JSON', () => (_, response) => Boolean(response.end('<html>'))],
    ['answers without end', () => (_, response) => Boolean(response.end(`"${'x'.repeat(300_000)}"`))],
    ['redirects', () => (_, response) => Boolean(response.writeHead(302, { Location: '/keys' }).end())],
    ['is another one by its own document', ({ url }) => json({ issuer: `${url}/other`, jwks_uri: `${url}/keys` })],
    ['has its keys where nothing may be asked', ({ url }) => json({ issuer: url, jwks_uri: 'http://169.254.169.254/keys' })],
    ['has its keys without TLS elsewhere', ({ url }) => json({ issuer: url, jwks_uri: 'http://keys.example.com/keys' })],
    ['has no keys', ({ url }) => json({ issuer: url })],
  ]
  test.each(faults)('that %s: 503, nothing internal, and it works once that is mended', async (_, answerOf) => {
    const issuer = await newIssuer()
    await ruleOf((await seedTenant(server)).id, { issuer: issuer.url })
    issuer.answer = answerOf(issuer)
    const token = await issuer.sign(githubClaims())
    const { status, body, headers } = await exchange(token)
    expect([status, body.detail]).toEqual([503, expect.stringMatching(/^The public keys of the token’s issuer can’t be fetched/)])
    expect(headers.get('retry-after')).not.toBeNull()
    expect(JSON.stringify(body)).not.toContain(issuer.url)
    issuer.answer = undefined
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 6_000 })
    expect((await exchange(token)).status).toBe(201)
  })

  test('that nobody trusts is never asked, whatever a token says', async () => {
    const issuer = await newIssuer()
    await exchange(await issuer.sign(githubClaims()))
    await exchange(await issuer.sign(githubClaims()), { ruleId: house.rule.id })
    expect(issuer.asked).toEqual([])
  })

  test('with a key that is too weak, or none at all, is no error of ours', async () => {
    const issuer = await newIssuer()
    await ruleOf((await seedTenant(server)).id, { issuer: issuer.url })
    issuer.keys.splice(0, 1, { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', alg: 'ES256', kid: 'key-1' })
    expect((await exchange(await issuer.sign(githubClaims()))).status).toBe(400)
  })
})

test('by tRPC it is the same', async () => {
  const response = await server.request('/trpc/tokens.exchange', { method: 'POST', json: { token: await fromGithub() } })
  expect(response.status).toBe(200)
  expect((await response.json()).result.data).toMatchObject({ ruleId: house.rule.id, role: 'Tester' })
})

test('keys of pipelines are removed a week after their end, used tokens an hour after theirs, and nothing else', async () => {
  const { db } = server.database
  const { id: tenantId } = await seedTenant(server)
  const past = (days: number) => new Date(Date.now() - days * 86_400_000)
  const ofRule = { createdByKind: 'trust_rule' as const }
  const gone = await seedKey(server, tenantId, 'Viewer', { ...ofRule, expiresAt: past(7.1) })
  const kept = [
    await seedKey(server, tenantId, 'Viewer', { ...ofRule, expiresAt: past(6.9) }),
    await seedKey(server, tenantId, 'Viewer', { expiresAt: past(400) }),
  ]
  await db.insert(usedTokens).values([
    { hash: Buffer.from('old'), expiresAt: past(1) },
    { hash: Buffer.from('new'), expiresAt: new Date() },
  ])
  await cleanUp(server.database)
  const left = await db.select({ id: apiKeys.id }).from(apiKeys).where(eq(apiKeys.tenantId, tenantId))
  expect(left.map(({ id }) => id).sort()).toEqual(kept.map(({ id }) => id).sort())
  expect(left.map(({ id }) => id)).not.toContain(gone.id)
  const tokens = (await db.select().from(usedTokens)).map(({ hash }) => Buffer.from(hash).toString())
  expect([tokens.includes('old'), tokens.includes('new')]).toEqual([false, true])
})

test('one address may exchange so many a minute, apart from reports of leaks: 429', async () => {
  const place = await makePlace()
  const limited = await startChildServer({ ...place.settings, MATE_TOKEN_EXCHANGES: '2', MATE_LEAK_REPORTS: '1' })
  const ask = () => limited.request('/api/token', { method: 'POST', json: { token: 'x' } })
  expect([(await ask()).status, (await ask()).status]).toEqual([400, 400])
  const refused = await ask()
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '60'])
  const report = await limited.request('/api/keys/report-leak', { method: 'POST', json: { key: 'x' } })
  expect(report.status).toBe(202)
  await limited.kill('SIGTERM')
})
