// The OpenAPI document: complete, valid, what the server serves, and true of what it answers.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { createOpenApiDocument } from '#server/openapi.ts'
import { examples } from '#server/openapi-examples.ts'
import { listOperations } from '#server/operations.ts'
import { type Role, roles } from '#server/roles.ts'
import { appRouter } from '#server/routers/index.ts'
import { environment } from './child-server.ts'
import { type RequestOptions, seedAgent, seedKey, seedTenant, startTestServer, useServer } from './harness.ts'

interface JsonSchema {
  [key: string]: unknown
}

interface Content {
  schema: JsonSchema
  example?: unknown
}

interface DocumentedResponse {
  description: string
  headers?: Record<string, unknown>
  content?: Record<string, Content>
}

interface DocumentedOperation {
  operationId: string
  summary: string
  description: string
  tags: string[]
  security: Record<string, string[]>[]
  parameters: { name: string; in: string; required?: boolean; description?: string; schema: JsonSchema }[]
  requestBody?: { required: boolean; content: Record<string, Content> }
  responses: Record<string, DocumentedResponse>
  'x-required-role': Role
}

interface Document {
  openapi: string
  servers: { url: string }[]
  tags: { name: string; description: string }[]
  paths: Record<string, Record<string, DocumentedOperation>>
  components: { schemas: Record<string, JsonSchema>; securitySchemes: Record<string, JsonSchema> }
}

const document = createOpenApiDocument() as unknown as Document
const operations = listOperations().map((operation) => {
  const { method, path } = operation.meta.openapi
  const documented = document.paths[path]?.[method.toLowerCase()]
  if (!documented) throw new Error(`${operation.name} is not in the document`)
  return { ...operation, method, path, documented, status: operation.meta.openapi.status ?? 200 }
})
type TestedOperation = (typeof operations)[number]
const named = operations.map((operation) => [operation.name, operation] as const)

/** A schema of the document with every reference in place, as a zod schema. */
function zodOf(schema: JsonSchema): z.ZodType {
  const resolve = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(resolve)
    if (typeof value !== 'object' || value === null) return value
    const { $ref, ...rest } = value as { $ref?: string }
    if ($ref === undefined) return Object.fromEntries(Object.entries(rest).map(([key, each]) => [key, resolve(each)]))
    const found = document.components.schemas[$ref.replace('#/components/schemas/', '')]
    if (!found) throw new Error(`${$ref} leads nowhere`)
    return resolve(found)
  }
  return z.fromJSONSchema(resolve(schema) as Parameters<typeof z.fromJSONSchema>[0])
}

const errorsOf = (schema: z.ZodType, value: unknown) => schema.safeParse(value).error?.issues ?? []

const successOf = ({ documented, status }: TestedOperation) => documented.responses[status]?.content?.['application/json']
const bodyOf = ({ documented }: TestedOperation) => documented.requestBody?.content['application/json']

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
    expect(documented.security.map((each) => Object.keys(each)[0])).toEqual(Object.keys(document.components.securitySchemes))
  })

  test('describes its parameters, its success and each of its problems', () => {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1])
    const parameters = documented.parameters.filter((parameter) => parameter.in === 'path')
    expect(parameters.map((parameter) => parameter.name)).toEqual(inPath)
    expect(parameters.every(({ required }) => required)).toBe(true)
    const { [String(status)]: success, ...problems } = documented.responses
    expect(success?.description.length).toBeGreaterThan(3)
    expect(success?.content === undefined).toBe(status === 204)
    expect(Object.keys(problems)).toEqual(expect.arrayContaining(['400', '401', '403', '500', '503']))
    for (const [code, problem] of Object.entries(problems)) {
      expect(Number(code)).toBeGreaterThanOrEqual(400)
      expect(problem.description.length).toBeGreaterThan(10)
      expect(problem.content).toEqual({ 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } })
    }
    expect(problems['401']?.headers).toHaveProperty('WWW-Authenticate')
    expect(problems['503']?.headers).toHaveProperty('Retry-After')
    expect(problems['415'] !== undefined).toBe(documented.requestBody !== undefined || ['POST', 'PUT', 'PATCH'].includes(method))
  })

  test('has examples that its own schemas and those of the document accept', () => {
    const { request, response } = examples[name] ?? {}
    const success = successOf(operation)
    expect(response !== undefined).toBe(status !== 204)
    expect(success?.example).toEqual(response)
    expect(bodyOf(operation)?.example).toEqual(request)
    expect(request !== undefined).toBe(documented.requestBody !== undefined)
    if (request) {
      const id = path.includes('{id}') ? { id: crypto.randomUUID() } : {}
      expect(errorsOf(operation.input, { ...request, ...id })).toEqual([])
      expect(errorsOf(zodOf(bodyOf(operation)?.schema ?? {}), request)).toEqual([])
    }
    if (response) {
      expect(errorsOf(outputOf(name), response)).toEqual([])
      expect(errorsOf(zodOf(success?.schema ?? {}), response)).toEqual([])
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
    const { key } = await seedKey(server, tenant.id, 'SuperAdmin')
    const row = path.startsWith('/agents') ? await seedAgent(server, tenant.id) : await seedKey(server, tenant.id, 'Viewer')
    const example = examples[name]?.request as Record<string, unknown> | undefined
    const expiry = example && 'expiresAt' in example ? { expiresAt: new Date(Date.now() + 86_400_000).toISOString() } : {}
    const json = example && { ...example, ...expiry }
    const target = `/api${path.replace('{id}', row.id)}`
    const options: RequestOptions = { method, key, ...(json ? { json } : {}) }
    return { tenant, target, options, json, row }
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
    const body = await response.json()
    expect(errorsOf(zodOf(content?.schema ?? {}), body)).toEqual([])
  }

  test.each(named)('%s: its success', async (_, operation) => {
    const { target, options } = await prepare(operation)
    await expectDocumented(operation, await server.request(target, options), operation.status)
  })

  test.each(named)('%s: its problems', async (_, operation) => {
    const { documented, method, path, meta } = operation
    const { tenant, target, options, json } = await prepare(operation)
    const { key: _key, ...anonymous } = options
    await expectDocumented(operation, await server.request(target, anonymous), 401)

    const takesBody = ['POST', 'PUT', 'PATCH'].includes(method)
    const unknownField = takesBody
      ? server.request(target, { ...options, json: { ...json, unknown: 1 } })
      : server.request(`${target}?unknown=1`, options)
    await expectDocumented(operation, await unknownField, 400)

    const lower = roles[roles.indexOf(meta.role) - 1]
    if (lower) {
      const { key } = await seedKey(server, tenant.id, lower)
      await expectDocumented(operation, await server.request(target, { ...options, key }), 403)
    }
    const isAboutOne = path.includes('{id}')
    expect(documented.responses['404'] !== undefined).toBe(isAboutOne)
    if (isAboutOne) {
      const nowhere = `/api${path.replace('{id}', crypto.randomUUID())}`
      await expectDocumented(operation, await server.request(nowhere, options), 404)
    }
    if (takesBody) {
      const { json: _json, ...bare } = options
      const text = { ...bare, body: 'name=a', headers: { 'content-type': 'text/plain' } }
      await expectDocumented(operation, await server.request(target, text), 415)
      await expectDocumented(operation, await server.request(target, { ...options, json: { name: 'x'.repeat(1_000_001) } }), 413)
    }
  })

  test('a name in use is 409 for each operation that documents it, and for no other', async () => {
    const conflicting = operations.filter(({ documented }) => documented.responses['409'])
    expect(conflicting.map(({ name }) => name)).toEqual(['agents.create', 'agents.update', 'apiKeys.create', 'apiKeys.update'])
    for (const operation of conflicting) {
      const { tenant, target, options, json } = await prepare(operation)
      const other = operation.path.includes('agents')
        ? await seedAgent(server, tenant.id)
        : await seedKey(server, tenant.id, 'Viewer')
      const response = await server.request(target, { ...options, json: { ...json, name: other.name } })
      await expectDocumented(operation, response, 409)
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
