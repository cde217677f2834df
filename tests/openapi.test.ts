// The OpenAPI document: complete, valid, what the server serves, and true of what it answers.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { eq } from 'drizzle-orm'
import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { apiKeys, testCases } from '#db/schema.ts'
import { examples } from '#server/openapi-examples.ts'
import { roles } from '#server/roles.ts'
import { appRouter } from '#server/routers/index.ts'
import { environment } from './child-server.ts'
import { pathIdOf, pathWith, unique, validInputs } from './doors.ts'
import {
  type RequestOptions,
  seedAgent,
  seedCase,
  seedJudgeSetting,
  seedKey,
  seedSuite,
  seedTenant,
  seedTrustRule,
  startTestServer,
  useServer,
} from './harness.ts'
import {
  bodyOf,
  type Document,
  document,
  errorsOf,
  documentedOperations as operations,
  successOf,
  type TestedOperation,
  zodOf,
} from './openapi-document.ts'

const named = operations.map((operation) => [operation.name, operation] as const)

describe('the document', () => {
  const server = useServer()

  test('that is committed is the one that the code makes', () => {
    expect(readFileSync('docs/openapi.json', 'utf8')).toBe(`${JSON.stringify(document, null, 2)}\n`)
  })

  test('that is served to anybody is the same', async () => {
    const response = await server.request('/openapi/v1.json')
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toMatch(/^application\/json/)
    expect(await response.json()).toEqual(document)
  })

  test('is OpenAPI 3.1, and redocly finds no error and no warning in it', () => {
    expect(document.openapi).toMatch(/^3\.1\./)
    const env = { ...environment({}), REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' }
    const lint = spawnSync(process.execPath, ['node_modules/.bin/redocly', 'lint', '--format=json', 'docs/openapi.json'], {
      env,
      encoding: 'utf8',
    })
    expect(JSON.parse(lint.stdout).totals).toEqual({ errors: 0, warnings: 0, ignored: 0 })
    expect(lint.status).toBe(0)
  })

  test('names every operation that there is, and no other', () => {
    const documented = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    )
    expect(documented.sort()).toEqual(operations.map(({ method, path }) => `${method} ${path}`).sort())
    const ids = operations.map(({ documented: { operationId } }) => operationId)
    expect(new Set(ids).size).toBe(ids.length)
  })

  test('declares both headers as security schemes', () => {
    expect(Object.values(document.components.securitySchemes).map(({ type, in: where, name }) => [type, where, name])).toEqual([
      ['apiKey', 'header', 'X-API-Key'],
      ['apiKey', 'header', 'Authorization'],
    ])
  })

  test('holds no whole API key in any example', () => {
    expect(JSON.stringify(document)).not.toMatch(/mate_[0-9A-Za-z]{49}/)
  })
})

test('behind PUBLIC_URL the served document says where the API is', async () => {
  const server = await startTestServer({ PUBLIC_URL: 'https://mate.example.com/' })
  const { port } = server.app.server.address() as { port: number }
  const served = (await (await fetch(`http://127.0.0.1:${port}/openapi/v1.json`)).json()) as Document
  await server.stop()
  expect(served.servers).toEqual([{ url: 'https://mate.example.com/api' }])
})

describe.each(named)('%s', (name, operation) => {
  const { documented, meta, status, path, method } = operation

  test('has a summary, a description, one known tag, its role and both ways to authenticate', () => {
    expect(documented.summary.length).toBeGreaterThan(3)
    expect(documented.description.length).toBeGreaterThan(documented.summary.length)
    expect(documented.tags).toHaveLength(1)
    expect(document.tags.map((tag) => tag.name)).toContain(documented.tags[0])
    expect(documented['x-required-role']).toBe(meta.role)
    const schemes = meta.role === 'Public' ? [] : Object.keys(document.components.securitySchemes)
    expect(documented.security.map((each) => Object.keys(each)[0])).toEqual(schemes)
    expect(documented['x-required-scope']).toBe(meta.role === 'Public' ? undefined : operation.scope)
  })

  test('describes its parameters, its success and each of its problems', () => {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1])
    const parameters = documented.parameters.filter((parameter) => parameter.in === 'path')
    expect(parameters.map((parameter) => parameter.name)).toEqual(inPath)
    expect(parameters.every(({ required }) => required)).toBe(true)
    const { [String(status)]: success, ...problems } = documented.responses
    expect(success?.description.length).toBeGreaterThan(3)
    expect(success?.content === undefined).toBe(status === 204)
    const isPublic = meta.role === 'Public'
    const refusals = isPublic ? ['429'] : ['401', '403']
    expect(Object.keys(problems)).toEqual(expect.arrayContaining(['400', ...refusals, '500', '503']))
    expect('401' in problems || '403' in problems).toBe(!isPublic)
    for (const [code, problem] of Object.entries(problems)) {
      expect(Number(code)).toBeGreaterThanOrEqual(400)
      expect(problem.description.length).toBeGreaterThan(10)
      expect(problem.content).toEqual({ 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } })
    }
    if (isPublic) expect(problems['429']?.headers).toHaveProperty('Retry-After')
    else expect(problems['401']?.headers).toHaveProperty('WWW-Authenticate')
    expect(problems['503']?.headers).toHaveProperty('Retry-After')
    expect(problems['415'] !== undefined).toBe(documented.requestBody !== undefined || ['POST', 'PUT', 'PATCH'].includes(method))
  })

  test('has examples that its own schemas and those of the document accept', () => {
    const { request, response } = examples[name] ?? {}
    const success = successOf(operation)
    expect(response !== undefined).toBe(status !== 204)
    const isFile = operation.meta.openapi.stream !== undefined
    expect(success?.example).toEqual(isFile ? undefined : response)
    expect(bodyOf(operation)?.example).toEqual(request)
    expect(request !== undefined).toBe(documented.requestBody !== undefined)
    if (request) {
      const ids = Object.fromEntries([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => [name, crypto.randomUUID()]))
      expect(errorsOf(operation.input, { ...request, ...ids })).toEqual([])
      expect(errorsOf(zodOf(bodyOf(operation)?.schema ?? {}), request)).toEqual([])
    }
    if (response) {
      expect(errorsOf(outputOf(name), response)).toEqual([])
      if (!isFile) expect(errorsOf(zodOf(success?.schema ?? {}), response)).toEqual([])
    }
  })
})

function outputOf(name: string): z.ZodType {
  const procedures = appRouter._def.procedures as unknown as Record<string, { _def: { output: z.ZodType } }>
  const output = procedures[name]?._def.output
  if (!output) throw new Error(`${name} has no output`)
  return output
}

describe('what the server answers is what the document says', () => {
  const server = useServer()

  /** A request that succeeds: on rows of its own, with names of its own. */
  async function prepare({ name, method, path }: TestedOperation) {
    const tenant = await seedTenant(server)
    // Limited and near its end, so that its answers have every header that there is.
    const limits = { requestsPerMinute: 1_000, expiresAt: new Date(Date.now() + 86_400_000) }
    const { key } = await seedKey(server, tenant.id, 'SuperAdmin', limits)
    const input = validInputs[name] ? await validInputs[name](server, tenant.id) : {}
    // A limited key may not rotate one that has no limit.
    if (name === 'apiKeys.rotate')
      await server.database.db
        .update(apiKeys)
        .set({ requestsPerMinute: 10 })
        .where(eq(apiKeys.id, String(input.id)))
    const example = examples[name]?.request as Record<string, unknown> | undefined
    const expiry = example && 'expiresAt' in example ? { expiresAt: new Date(Date.now() + 86_400_000).toISOString() } : {}
    // Their names are unique in the whole deployment.
    const own = name.startsWith('tenants.') && example && 'name' in example ? { name: unique('Tenant') } : {}
    // What the body names has to be there, and is not what the example names.
    const named = Object.entries(input).filter(([field]) => field.endsWith('Id') && example && field in example)
    // The tenants of the example are nobody's.
    const mappings = example && 'mappings' in example ? { mappings: [] } : {}
    const json = example && { ...example, ...expiry, ...own, ...mappings, ...Object.fromEntries(named) }
    const target = `/api${pathWith(path, input)}`
    const options: RequestOptions = { method, key, ...(json ? { json } : {}) }
    return { tenant, target, options, json, input }
  }

  async function expectDocumented(operation: TestedOperation, response: Response, status: number): Promise<void> {
    expect(response.status).toBe(status)
    const documented = operation.documented.responses[status]
    expect(`${status} ${documented === undefined ? 'is not documented' : 'is documented'}`).toBe(`${status} is documented`)
    for (const header of Object.keys(documented?.headers ?? {})) expect(response.headers.get(header)).not.toBeNull()
    if (!documented?.content) {
      expect(await response.text()).toBe('')
      return
    }
    const [[type, content] = ['', undefined]] = Object.entries(documented.content)
    expect(response.headers.get('content-type')).toBe(type)
    const body = /[/+]json$/.test(type) ? await response.json() : await response.text()
    expect(errorsOf(zodOf(content?.schema ?? {}), body)).toEqual([])
  }

  // With a token, which takes an issuer: tests/token-exchange.test.ts.
  const withoutToken = named.filter(([name]) => name !== 'tokens.exchange')
  test.each(withoutToken)('%s: its success', async (_, operation) => {
    const { target, options } = await prepare(operation)
    await expectDocumented(operation, await server.request(target, options), operation.status)
  })

  test.each(named)('%s: its problems', async (_, operation) => {
    const { documented, method, path, meta } = operation
    const { tenant, target, options, json, input } = await prepare(operation)
    const { key: _key, ...anonymous } = options
    if (meta.role !== 'Public') await expectDocumented(operation, await server.request(target, anonymous), 401)

    const takesBody = ['POST', 'PUT', 'PATCH'].includes(method)
    const unknownField = takesBody
      ? server.request(target, { ...options, json: { ...json, unknown: 1 } })
      : server.request(`${target}?unknown=1`, options)
    await expectDocumented(operation, await unknownField, 400)

    const lower = meta.role === 'Public' ? undefined : roles[roles.indexOf(meta.role) - 1]
    if (lower) {
      const { key } = await seedKey(server, tenant.id, lower)
      await expectDocumented(operation, await server.request(target, { ...options, key }), 403)
    }
    const id = pathIdOf(operation)
    expect(documented.responses['404'] !== undefined).toBe(id !== undefined || meta.openapi.finds === true)
    if (meta.openapi.finds) {
      const nothing = Object.keys(json ?? {}).filter((field) => field.endsWith('Id'))
      const lost = { ...json, ...Object.fromEntries(nothing.map((field) => [field, crypto.randomUUID()])) }
      await expectDocumented(operation, await server.request(target, { ...options, json: lost }), 404)
    }
    if (id !== undefined) {
      const nowhere = `/api${pathWith(path, { ...input, [id]: crypto.randomUUID() })}`
      await expectDocumented(operation, await server.request(nowhere, options), 404)
    }
    if (takesBody) {
      const { json: _json, ...bare } = options
      const text = { ...bare, body: 'name=a', headers: { 'content-type': 'text/plain' } }
      await expectDocumented(operation, await server.request(target, text), 415)
      await expectDocumented(operation, await server.request(target, { ...options, json: { name: 'x'.repeat(1_000_001) } }), 413)
    }
  })

  /** Another one of what an operation makes or changes, where it may have no namesake. */
  async function seedOther(operation: string, tenantId: string, { id, suiteId }: Record<string, unknown>) {
    if (operation.startsWith('agents.')) return seedAgent(server, tenantId)
    if (operation.startsWith('testSuites.')) return seedSuite(server, tenantId)
    if (operation.startsWith('tenants.')) return seedTenant(server)
    if (operation.startsWith('trustRules.')) return seedTrustRule(server, tenantId)
    if (operation.startsWith('judgeSettings.')) return seedJudgeSetting(server, tenantId)
    if (!operation.startsWith('testCases.')) return seedKey(server, tenantId, 'Viewer')
    const [row] = await server.database.db
      .select({ suiteId: testCases.suiteId })
      .from(testCases)
      .where(eq(testCases.id, String(id ?? crypto.randomUUID())))
    return seedCase(server, tenantId, { suiteId: row?.suiteId ?? String(suiteId) })
  }

  test('what is there already is 409 for each operation that documents it, and for no other', async () => {
    const conflicting = operations.filter(({ documented }) => documented.responses['409'])
    const ofKey = ['apiKeys.startShadow', 'apiKeys.applyShadow']
    // In tests/token-exchange.test.ts.
    const ofToken = ['tokens.exchange']
    // Each is refused so in tests/runs.test.ts.
    const ofRun = ['runs.create', 'runs.cancel', 'runs.delete', 'results.setHumanVerdict']
    const others = [
      ...['agents.create', 'agents.update', 'apiKeys.create', 'apiKeys.update', 'apiKeys.rotate', 'apiKeys.bulkRevoke'],
      ...['testSuites', 'testCases', 'judgeSettings', 'tenants', 'trustRules'].flatMap((resource) => [
        `${resource}.create`,
        `${resource}.update`,
      ]),
    ]
    // Are refused so in tests/tenants.test.ts, identity-providers.test.ts, users.test.ts and invitations.test.ts.
    const elsewhere = [
      ...['tenants.deactivate', 'identityProviders.update', 'identityProviders.delete'],
      ...['users.update', 'users.deactivate', 'users.delete', 'invitations.create'],
    ]
    expect(conflicting.map(({ name }) => name).sort()).toEqual([...others, ...ofKey, ...ofRun, ...ofToken, ...elsewhere].sort())
    for (const operation of conflicting.filter(({ name }) => others.includes(name))) {
      const { tenant, target, options, json, input } = await prepare(operation)
      const other = await seedOther(operation.name, tenant.id, input)
      if (operation.name === 'apiKeys.rotate') await server.request(target, options)
      const changes: Record<string, object> = {
        'apiKeys.rotate': {},
        'apiKeys.bulkRevoke': { dryRun: false, digest: 'of another set' },
      }
      const response = await server.request(target, {
        ...options,
        json: { ...json, ...(changes[operation.name] ?? { name: other.name }) },
      })
      await expectDocumented(operation, response, 409)
    }
  })

  test('each POST documents Idempotency-Key, and that another request with the same one is 422', async () => {
    const posts = operations.filter(({ method, meta }) => method === 'POST' && meta.role !== 'Public')
    for (const operation of operations) {
      const isPost = posts.includes(operation)
      expect(operation.documented.parameters.some(({ name }) => name === 'Idempotency-Key')).toBe(isPost)
      expect('422' in operation.documented.responses).toBe(isPost)
    }
    for (const operation of posts.filter(({ name }) => name !== 'apiKeys.freeze')) {
      const { target, options, json } = await prepare(operation)
      const headers = { 'idempotency-key': 'once' }
      await expectDocumented(operation, await server.request(target, { ...options, headers }), operation.status)
      // Whether or not it would be valid: it is told apart before a procedure looks at it.
      const other = { ...json, another: 1 }
      await expectDocumented(operation, await server.request(target, { ...options, headers, json: other }), 422)
    }
  })

  test.each(named.filter(([, { meta }]) => meta.role !== 'Public'))('%s: over its limit a key is 429', async (_, operation) => {
    const { tenant, target, options } = await prepare(operation)
    const { key } = await seedKey(server, tenant.id, 'Viewer', { requestsPerMinute: 1 })
    await server.request('/api/me', { key })
    await expectDocumented(operation, await server.request(target, { ...options, key }), 429)
  })

  test('a key that is not active is 409 for each operation on its role', async () => {
    for (const operation of operations.filter(({ name }) => ['apiKeys.startShadow', 'apiKeys.applyShadow'].includes(name))) {
      const { target, options, input } = await prepare(operation)
      const revoked = await server.request(`/api/admin/api-keys/${input.id}/revoke`, { method: 'POST', key: options.key ?? '' })
      expect(revoked.status).toBe(200)
      await expectDocumented(operation, await server.request(target, options), 409)
    }
  })

  test('these checks would see a field that is not documented, and one that is missing', async () => {
    const operation = operations.find(({ name }) => name === 'apiKeys.get')
    const schema = zodOf((operation && successOf(operation)?.schema) ?? {})
    const example = examples['apiKeys.list']?.response as { items: Record<string, unknown>[] }
    const [item = {}] = example.items
    const { role: _, ...without } = item
    expect(errorsOf(schema, item)).toEqual([])
    expect(errorsOf(schema, { ...item, keyHash: 'abc' })).not.toEqual([])
    expect(errorsOf(schema, without)).not.toEqual([])
  })
})

describe('Scalar', () => {
  const server = useServer()

  test('loads its script from this origin alone, under a policy with a nonce that no other answer has', async () => {
    const nonces = new Set<string>()
    for (let i = 0; i < 2; i++) {
      const response = await server.request('/scalar/v1')
      expect(response.status).toBe(200)
      expect(response.headers.get('content-type')).toMatch(/^text\/html/)
      const html = await response.text()
      const policy = response.headers.get('content-security-policy') ?? ''
      const nonce = /script-src 'nonce-([^']+)'/.exec(policy)?.[1] ?? ''
      expect(nonce.length).toBeGreaterThanOrEqual(22)
      expect(policy).toContain("default-src 'none'")
      expect(policy).toContain("connect-src 'self'")
      expect(policy).toContain("frame-ancestors 'none'")
      expect(policy).not.toMatch(/https?:|\*|script-src[^;]*unsafe/)
      const scripts = [...html.matchAll(/<script([^>]*)>/g)].map((match) => match[1] ?? '')
      expect(scripts.length).toBeGreaterThan(0)
      for (const script of scripts) expect(script).toContain(`nonce="${nonce}"`)
      for (const [, address = ''] of html.matchAll(/(?:src|href)="([^"]*)"/g)) expect(address).toMatch(/^\/(?!\/)/)
      expect(html).not.toMatch(/https?:\/\//)
      nonces.add(nonce)
    }
    expect(nonces.size).toBe(2)
  })

  test.each(['br', 'gzip', 'identity'])('its script is served as JavaScript, encoded as %s', async (encoding) => {
    const html = await (await server.request('/scalar/v1')).text()
    const path = /<script src="([^"]+)"/.exec(html)?.[1] ?? ''
    const response = await server.request(path, { headers: { 'accept-encoding': encoding } })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toMatch(/^text\/javascript/)
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    expect(response.headers.get('content-encoding') ?? 'identity').toBe(encoding)
    expect((await response.text()).includes('createApiReference')).toBe(true)
  })
})
