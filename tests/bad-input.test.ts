// Whatever is sent, by any door: a malformed request is a 4xx that says why and tells nothing, and nothing has happened.
import { beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { auditLog } from '#db/schema.ts'
import { generateApiKey } from '#server/api-key.ts'
import type { Operation } from '#server/operations.ts'
import type { Problem } from '#server/problem.ts'
import {
  anAgent,
  callRest,
  callTrpc,
  countRows,
  type Input,
  inTenant,
  operations,
  pathWith,
  type RawAnswer,
  type RawRequest,
  rowsOf,
  sendRaw,
  unique,
  validInput,
} from './doors.ts'
import { postForm, type SeededKey, type SeededUser, seedAgent, seedKey, seedTenant, seedUser, useServer } from './harness.ts'

const server = useServer()
const house = { id: '', admin: {} as SeededKey, user: {} as SeededUser, agent: '', target: '' }
beforeAll(async () => {
  house.id = (await seedTenant(server)).id
  house.admin = await seedKey(server, house.id, 'TenantAdmin')
  house.user = await seedUser(server, house.id, 'TenantAdmin')
  house.agent = (await seedAgent(server, house.id)).id
  house.target = (await seedKey(server, house.id, 'Viewer')).id
})

const asAdmin = () => ['X-API-Key', house.admin.key]
const asJson = ['Content-Type', 'application/json']
const state = async () => [await rowsOf(server, house.id), await countRows(server), await server.database.db.$count(auditLog)]

/** Words of the inside: SQL, stacks, libraries, hashes, places in the code. */
const inside =
  /\b(select|insert into|update .* set|delete from|where)\b|\bstack\b|\n\s+at |\.(js|ts):\d+|node_modules|postgres|pglite|drizzle|zod|sqlstate|key_hash|tenant_id|api_keys|params:/i

function expectProblem(problem: Partial<Problem> | undefined, status: number, requestId: unknown): void {
  expect(problem).toEqual({
    type: expect.stringMatching(/^urn:mate:problem:[a-z_]+$/),
    title: expect.stringMatching(/^[A-Z]/),
    status,
    detail: expect.stringMatching(/^["A-Za-z].{10,}/),
    code: expect.stringMatching(/^[a-z_]+$/),
    requestId,
    ...(problem?.errors ? { errors: problem.errors } : {}),
  })
  for (const error of problem?.errors ?? []) expect(error).toEqual({ path: expect.any(String), message: expect.any(String) })
}

/** One request by REST that must be refused with the status: as a problem, and without telling what is inside. */
async function refusedByRest(request: RawRequest, status: number): Promise<RawAnswer> {
  const answer = await sendRaw(server, { ...request, headers: [...asAdmin(), ...(request.headers ?? [])] })
  const what = `${request.method ?? 'GET'} ${request.path.slice(0, 100)} ${String(request.body ?? '').slice(0, 60)}`
  expect([what, answer.status, answer.headers['content-type']]).toEqual([what, status, 'application/problem+json'])
  expectProblem(JSON.parse(answer.text) as Problem, status, answer.headers['x-request-id'])
  expect(answer.text).not.toMatch(inside)
  return answer
}

async function refusedByTrpc(request: RawRequest, status: number): Promise<void> {
  const answer = await sendRaw(server, { ...request, headers: [...asAdmin(), ...(request.headers ?? [])] })
  const what = `${request.method ?? 'GET'} ${request.path.slice(0, 100)} ${String(request.body ?? '').slice(0, 60)}`
  expect([what, answer.status, answer.headers['content-type']]).toEqual([what, status, 'application/json'])
  const body = JSON.parse(answer.text)
  for (const each of Array.isArray(body) ? body : [body]) {
    expectProblem(each.error.data.problem, status, answer.headers['x-request-id'])
    expect(each.error.message).toBe(each.error.data.problem.detail)
  }
  expect(answer.text).not.toMatch(inside)
}

describe('methods', () => {
  const paths = new Map<string, Set<string>>()
  for (const { meta } of operations) {
    const methods = paths.get(meta.openapi.path) ?? new Set()
    methods.add(meta.openapi.method)
    if (meta.openapi.method === 'GET') methods.add('HEAD')
    paths.set(meta.openapi.path, methods)
  }

  test.each([...paths])('%s takes its own methods alone: another is 405 that lists them', async (path, methods) => {
    const before = await state()
    const filled = `/api${path.replace('{id}', path.startsWith('/agents') ? house.agent : house.target)}`
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'LINK']) {
      if (methods.has(method)) continue
      if (method === 'HEAD') {
        const answer = await sendRaw(server, { method, path: filled, headers: asAdmin() })
        expect([answer.status, answer.text]).toEqual([405, ''])
        continue
      }
      const answer = await refusedByRest({ method, path: filled }, 405)
      expect(answer.headers.allow?.split(', ').sort()).toEqual([...methods].sort())
    }
    expect(await state()).toEqual(before)
  })

  test('HEAD answers as GET does, without a body, and needs a key just so', async () => {
    for (const operation of inTenant) {
      const { meta } = operation
      if (meta.openapi.method !== 'GET') continue
      const path = `/api${pathWith(meta.openapi.path, await validInput(server, operation, house.id))}`
      const get = await sendRaw(server, { path, headers: asAdmin() })
      const head = await sendRaw(server, { method: 'HEAD', path, headers: asAdmin() })
      expect([path, get.status, head.status, head.text]).toEqual([path, 200, 200, ''])
      expect(head.headers['content-type']).toBe(get.headers['content-type'])
      const anonymous = await sendRaw(server, { method: 'HEAD', path })
      expect([anonymous.status, anonymous.text, anonymous.headers['www-authenticate']]).toEqual([401, '', 'ApiKey'])
    }
    expect((await sendRaw(server, { method: 'HEAD', path: '/api/nothing', headers: asAdmin() })).status).toBe(404)
  })

  test('tRPC takes GET for queries and POST for mutations: nothing else, and not the one for the other', async () => {
    const before = await state()
    const input = encodeURIComponent(JSON.stringify(anAgent()))
    await refusedByTrpc({ path: `/trpc/agents.create?input=${input}` }, 405)
    await refusedByTrpc(
      { path: `/trpc/agents.create?batch=1&input=${encodeURIComponent(JSON.stringify({ 0: anAgent() }))}` },
      405,
    )
    await refusedByTrpc({ method: 'POST', path: '/trpc/agents.list', headers: asJson, body: '{}' }, 405)
    for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND']) {
      await refusedByTrpc({ method, path: '/trpc/agents.create', headers: asJson, body: JSON.stringify(anAgent()) }, 405)
    }
    expect(await state()).toEqual(before)
  })
})

/** Where a body goes, by both doors. */
const targets = () => [
  { refused: refusedByRest, request: { method: 'POST', path: '/api/agents' } },
  { refused: refusedByRest, request: { method: 'PUT', path: `/api/agents/${house.agent}` } },
  { refused: refusedByRest, request: { method: 'POST', path: '/api/admin/api-keys' } },
  { refused: refusedByRest, request: { method: 'PATCH', path: `/api/admin/api-keys/${house.target}` } },
  { refused: refusedByRest, request: { method: 'POST', path: `/api/admin/api-keys/${house.target}/revoke` } },
  { refused: refusedByTrpc, request: { method: 'POST', path: '/trpc/agents.create' } },
  { refused: refusedByTrpc, request: { method: 'POST', path: '/trpc/apiKeys.revoke' } },
]

describe('a body', () => {
  test('beyond 1,000,000 bytes is 413, when it says so before any of it is sent, and in chunks as soon as it is', async () => {
    const before = await state()
    for (const { refused, request } of targets()) {
      // The body is never sent: an answer that waited for it would not come.
      await refused({ ...request, headers: [...asJson, 'Content-Length', '1000001'], body: '{' }, 413)
      await refused({ ...request, headers: [...asJson, 'Content-Length', '99999999999999'], body: '{' }, 413)
      await refused({ ...request, headers: asJson, body: `{"a":"${'x'.repeat(1_100_000)}"}`, isChunked: true }, 413)
    }
    expect(await state()).toEqual(before)
  })

  test('of exactly 1,000,000 bytes is read, declared or in chunks', async () => {
    const body = `{"name":"${'x'.repeat(999_989)}"}`
    expect(body).toHaveLength(1_000_000)
    for (const { refused, request } of targets()) {
      for (const isChunked of [false, true]) await refused({ ...request, headers: asJson, body, isChunked }, 400)
    }
    const small = JSON.stringify(anAgent())
    const padded = small + ' '.repeat(1_000_000 - small.length)
    const made = await sendRaw(server, { method: 'POST', path: '/api/agents', headers: [...asAdmin(), ...asJson], body: padded })
    expect(made.status).toBe(201)
  })

  test('that is not said to be JSON, or is compressed, is 415', async () => {
    const before = await state()
    const wrong = [
      [],
      ...[
        'text/plain',
        'text/xml',
        'application/xml',
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
        'application/json; charset=utf-16',
        'application/json; charset=iso-8859-1',
        'application/json; boundary=x',
        'application/jsonx',
        'application/ json',
        'application/problem+json',
        'application/json, text/plain',
        'json',
        '*/*',
        '',
      ].map((type) => ['Content-Type', type]),
      ...['gzip', 'br', 'deflate', 'zstd', 'identity, gzip', 'GZIP', ''].map((encoding) => [
        ...asJson,
        'Content-Encoding',
        encoding,
      ]),
    ]
    for (const { refused, request } of targets()) {
      for (const headers of wrong) await refused({ ...request, headers, body: JSON.stringify(anAgent()) }, 415)
    }
    expect(await state()).toEqual(before)
  })

  test('is JSON in UTF-8 by every spelling of that', async () => {
    const good = [
      'application/json',
      'application/json; charset=utf-8',
      'application/json;charset=UTF-8',
      'Application/JSON; charset="utf-8"',
    ]
    for (const type of good) {
      for (const more of [[], ['Content-Encoding', 'identity']]) {
        const headers = [...asAdmin(), 'Content-Type', type, ...more]
        const rest = await sendRaw(server, { method: 'POST', path: '/api/agents', headers, body: JSON.stringify(anAgent()) })
        const trpc = await sendRaw(server, {
          method: 'POST',
          path: '/trpc/agents.create',
          headers,
          body: JSON.stringify(anAgent()),
        })
        expect([type, rest.status, trpc.status]).toEqual([type, 201, 200])
      }
    }
  })

  test('that is not well-formed JSON in UTF-8 is 400', async () => {
    const before = await state()
    const bad: (string | Buffer)[] = [
      ...['{', '}', '{"a":}', "{'name':'x'}", '{"name":"x",}', '{name:"x"}', 'undefined', 'NaN', '{"a":1} {"b":2}', '{"a":01}'],
      ...['{"a":"\n"}', '{"a":"\\x"}', '{"a":"\\ud8"}', '// x\n{}', '<a/>', 'a=b', ' ', '\0', '{"a":\0}', '['.repeat(100_000)],
      ...[[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf8, 0x88], [0xe2, 0x82]].map((bytes) =>
        Buffer.concat([Buffer.from('{"name":"'), Buffer.from(bytes), Buffer.from('","role":"Viewer"}')]),
      ),
      Buffer.from('{"name":"x"}', 'utf16le'),
    ]
    for (const { refused, request } of targets()) {
      for (const body of bad) await refused({ ...request, headers: asJson, body }, 400)
    }
    expect(await state()).toEqual(before)
  })

  test('that is no object is 400', async () => {
    const before = await state()
    for (const { refused, request } of targets()) {
      for (const body of [
        '[]',
        '[{}]',
        'null',
        '"x"',
        '5',
        '-0',
        'true',
        '1e400',
        `"${'x'.repeat(1000)}"`,
        JSON.stringify([anAgent()]),
      ]) {
        await refused({ ...request, headers: asJson, body }, 400)
      }
    }
    expect(await state()).toEqual(before)
  })

  test('with a field that nobody named is 400, at any depth, the names of every object’s own prototype included', async () => {
    const before = await state()
    const names = [
      '__proto__',
      'constructor',
      'prototype',
      'toString',
      'hasOwnProperty',
      'toJSON',
      'then',
      '',
      ' name',
      'Name',
      'a.b',
      '\u0000',
      '\\ud800',
    ]
    for (const name of names) {
      const field = name === '\\ud800' ? '"\\ud800"' : JSON.stringify(name)
      for (const value of ['{"role":"SuperAdmin"}', 'null', '"x"']) {
        const agent = JSON.stringify(anAgent())
        const outer = `${agent.slice(0, -1)},${field}:${value}}`
        const inner = agent.replace('"connector":{', `"connector":{${field}:${value},`)
        for (const body of [outer, inner]) {
          await refusedByRest({ method: 'POST', path: '/api/agents', headers: asJson, body }, 400)
          await refusedByRest({ method: 'PUT', path: `/api/agents/${house.agent}`, headers: asJson, body }, 400)
          await refusedByTrpc({ method: 'POST', path: '/trpc/agents.create', headers: asJson, body }, 400)
        }
        const key = `{"name":"${unique('Key')}","role":"Viewer",${field}:${value}}`
        await refusedByRest({ method: 'POST', path: '/api/admin/api-keys', headers: asJson, body: key }, 400)
        await refusedByTrpc({ method: 'POST', path: '/trpc/apiKeys.create', headers: asJson, body: key }, 400)
      }
    }
    expect(await state()).toEqual(before)
    expect(Object.hasOwn(Object.prototype, 'role')).toBe(false)
  })

  test('nested 40 deep, or 100,000, is 400', async () => {
    const before = await state()
    for (const depth of [40, 1_000, 100_000]) {
      for (const [open, close] of [
        ['[', ']'],
        ['{"a":', '}'],
      ] as const) {
        const nested = `${open.repeat(depth)}1${close.repeat(depth)}`
        for (const body of [`{"name":${nested},"role":"Viewer"}`, `{"reason":${nested}}`, `{"connector":${nested}}`]) {
          for (const { refused, request } of targets()) await refused({ ...request, headers: asJson, body }, 400)
        }
      }
    }
    expect(await state()).toEqual(before)
  })
})

interface Schema {
  type?: string
  properties?: Record<string, Schema>
  items?: Schema
  anyOf?: Schema[]
  oneOf?: Schema[]
}

/** Paths of every text in an input, read from its schema. */
function textsOf(schema: Schema, path: string[] = []): string[][] {
  const inner = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap((each) => textsOf(each, path))
  if (schema.properties)
    for (const [name, each] of Object.entries(schema.properties)) inner.push(...textsOf(each, [...path, name]))
  if (schema.items) inner.push(...textsOf(schema.items, [...path, '0']))
  return schema.type === 'string' ? [...inner, path] : inner
}

/** The input with a text at the path; what is missing on the way is made. */
function withText(input: unknown, [name, ...rest]: string[], text: string): unknown {
  if (name === undefined) return text
  if (name === '0') return [withText(undefined, rest, text)]
  const fields = (input ?? {}) as Input
  return { ...fields, [name]: withText(fields[name], rest, text) }
}

const fields = inTenant.flatMap((operation) => {
  const schema = z.toJSONSchema(operation.input, { io: 'input', unrepresentable: 'any' }) as Schema
  return textsOf(schema).map((path) => [operation.name, path.join('.'), operation, path] as const)
})

describe('a text', () => {
  test('is looked for in every operation that has one', () => {
    const found = fields.map(([operation, path]) => `${operation} ${path}`)
    for (const one of [
      'apiKeys.create name',
      'apiKeys.revoke reason',
      'agents.update connector.secret',
      'agents.create tags.0',
      'auditLog.list search',
    ]) {
      expect(found).toContain(one)
    }
    expect(found.length).toBeGreaterThan(40)
  })

  test.each(fields)(
    '%s %s of 100 kB, with NUL, with half a surrogate pair is 4xx by both doors',
    async (_, __, operation: Operation, path) => {
      const input = await validInput(server, operation, house.id)
      const before = await state()
      const isInPath = operation.meta.openapi.path.includes(`{${path[0]}}`)
      const isInBody = ['POST', 'PUT', 'PATCH'].includes(operation.meta.openapi.method) && !isInPath
      for (const text of ['x'.repeat(100_000), 'x'.repeat(8_001), 'a\0b', '\0', 'a\ud800b', '\udc00', '\ud83d']) {
        const bad = withText(input, path, text) as Input
        const isLong = text.length > 16_000
        // In a URL half a pair can't be spelled: U+FFFD goes in its place, from the URL's own encoder.
        for (const [door, call, isInUrl] of [
          ['REST', callRest, !isInBody],
          ['tRPC', callTrpc, operation.kind === 'query'],
        ] as const) {
          const isUnspellable = isInUrl && door === 'REST' && !text.isWellFormed()
          if (isUnspellable && isInPath) continue // encodeURIComponent refuses it
          const answer = await call(server, operation, bad, house.admin)
          expect([door, text.slice(0, 4), answer.status]).toEqual([door, text.slice(0, 4), isInUrl && isLong ? 431 : 400])
          expectProblemOf(answer, isLong && isInUrl)
        }
      }
      expect(await state()).toEqual(before)
    },
  )

  const expectProblemOf = (
    answer: { status: number; problem: Partial<Problem>; text: string; headers: Headers },
    isBeforeDoors: boolean,
  ) => {
    const problem = isBeforeDoors ? (JSON.parse(answer.text) as Problem) : answer.problem
    expectProblem(problem, answer.status, answer.headers.get('x-request-id'))
    expect(answer.text).not.toMatch(inside)
  }
})

describe('a URL', () => {
  const lists = ['/api/agents', '/api/admin/api-keys', '/api/admin/audit-log']

  test('with a query that reads as nothing is 400', async () => {
    const bad = [
      ...[
        'limit=',
        'limit=0',
        'limit=201',
        'limit=-1',
        'limit=1.5',
        'limit=1e2',
        'limit=1e400',
        'limit=0x10',
        'limit=010',
        'limit=%2B5',
      ],
      ...[
        'limit=5%20',
        'limit=NaN',
        'limit=Infinity',
        'limit=null',
        'limit=true',
        'limit=9007199254740993',
        'limit=100000000000000000000',
      ],
      ...[
        'limit=5&limit=5',
        'limit=1&limit=2',
        'limit[]=5',
        'limit[0]=5',
        'limit%5B%5D=5',
        'limit.a=5',
        'LIMIT=5',
        'limit',
        'limit=5;cursor=x',
      ],
      ...[
        '__proto__=1',
        '__proto__[limit]=5',
        'constructor=1',
        'toString=x',
        'hasOwnProperty=1',
        'nothing=1',
        '=1',
        '=',
        'a',
        '%00=1',
      ],
      ...[
        'limit=%ff',
        'limit=%',
        'limit=%z',
        'limit=%zz',
        'limit=%u0031',
        'cursor=%ff',
        'cursor=%ed%a0%80',
        'cursor=%c0%80',
        'cursor=%00',
        '%ff=1',
        '%zz=1',
        '%',
      ],
      ...['input=%7B%7D', 'batch=1', `cursor=${'x'.repeat(5000)}`],
    ]
    for (const path of lists) for (const query of bad) await refusedByRest({ path: `${path}?${query}` }, 400)
    for (const name of ['search', 'action', 'actor', 'entityType', 'from', 'to']) {
      for (const value of [
        '%ff',
        '%ed%a0%80',
        '%zz',
        '%',
        '%00',
        'x%00y',
        'a&search=b&action=c&actor=d&entityType=e&from=f&to=g',
      ]) {
        await refusedByRest({ path: `/api/admin/audit-log?${name}=${value}` }, 400)
      }
    }
    for (const query of [
      'search=%ff',
      'search=%zz',
      'search=%00',
      'search=a&search=b',
      'role=viewer',
      'status=',
      'sort=x',
      'order=1',
    ]) {
      await refusedByRest({ path: `/api/admin/api-keys?${query}` }, 400)
    }
  })

  test('with a query where only a path is taken is 400', async () => {
    const before = await state()
    for (const query of ['a=1', 'limit=5', '__proto__=1', 'name=x', 'id=1', 'force=true']) {
      await refusedByRest({ path: `/api/me?${query}` }, 400)
      await refusedByRest({ path: `/api/agents/${house.agent}?${query}` }, 400)
      await refusedByRest({ method: 'DELETE', path: `/api/agents/${house.agent}?${query}` }, 400)
      await refusedByRest({ method: 'DELETE', path: `/api/admin/api-keys/${house.target}?${query}` }, 400)
      await refusedByRest({ method: 'POST', path: `/api/admin/api-keys/${house.target}/revoke?${query}` }, 400)
      await refusedByRest({ method: 'POST', path: `/api/agents?${query}`, headers: asJson, body: JSON.stringify(anAgent()) }, 400)
    }
    expect(await state()).toEqual(before)
  })

  test('with an id that is no UUID is 400, whatever it is instead', async () => {
    const before = await state()
    const { agent } = house
    const bad = [
      ...[
        '1',
        '0',
        '-1',
        '1e20',
        '1e400',
        '100000000000000000000',
        'NaN',
        'null',
        'undefined',
        'x',
        '*',
        '%20',
        '.',
        '%2e',
        '%2e%2e',
        '%2F',
        '..%2fadmin',
      ],
      ...[
        '%00',
        '%ff',
        '%zz',
        '%',
        '%ed%a0%80',
        '%c0%af',
        '__proto__',
        'constructor',
        "'%20or%201=1--",
        '%27',
        '%3Cscript%3E',
        '%F0%9F%94%91',
      ],
      ...[
        `${agent}%00`,
        `${agent}%20`,
        `%20${agent}`,
        `${agent}x`,
        agent.slice(1),
        `{${agent}}`,
        agent.replaceAll('-', ''),
        agent.replaceAll('-', '_'),
      ],
      ...[
        `urn:uuid:${agent}`,
        `${agent},${agent}`,
        `${agent};x`,
        'x'.repeat(5000),
        '-'.repeat(36),
        'g'.repeat(8).concat(agent.slice(8)),
      ],
    ]
    for (const id of bad) {
      await refusedByRest({ path: `/api/agents/${id}` }, 400)
      await refusedByRest({ method: 'DELETE', path: `/api/admin/api-keys/${id}` }, 400)
      await refusedByRest({ method: 'POST', path: `/api/admin/api-keys/${id}/revoke`, headers: asJson, body: '{}' }, 400)
    }
    expect(await state()).toEqual(before)
  })

  test('that names nothing is 404, and no case, slash or dot makes it another', async () => {
    const bad = [
      '/api/',
      '/api/nothing',
      '/api/AGENTS',
      '/api/Agents',
      '/api/agents/',
      '/api//agents',
      '/api/agents//',
      '/api/./agents',
      '/api/me/',
      '/api/me/x',
    ]
    bad.push(
      '/api/__proto__',
      '/api/constructor',
      '/api/toString',
      `/api/agents/${house.agent}/`,
      `/api/agents/${house.agent}/x`,
      '/api/admin',
      '/api/admin/',
    )
    bad.push(
      `/api/admin/api-keys/${house.target}/revoke/x`,
      '/api/agents%2F',
      '/api/agents%3Flimit=1',
      '/api/api/agents',
      '/api/trpc/agents.list',
    )
    for (const path of bad) await refusedByRest({ path }, 404)
  })

  test('of tRPC that reads as nothing is 4xx', async () => {
    const before = await state()
    const encode = (value: unknown) => encodeURIComponent(JSON.stringify(value))
    const input = (text: string) => `/trpc/agents.list?input=${text}`
    for (const text of [
      '%',
      '%zz',
      '%ff',
      '%ed%a0%80',
      '%7B',
      'null',
      '%5B%5D',
      '1',
      '%22x%22',
      '%7B%22limit%22:1e400%7D',
      '%7B%22limit%22:%225%22%7D',
      'x',
    ]) {
      await refusedByTrpc({ path: input(text) }, 400)
    }
    for (const bad of [
      { limit: 0 },
      { limit: 201 },
      { limit: '5' },
      { limit: null },
      { nothing: 1 },
      { cursor: 5 },
      { cursor: '\0' },
      { cursor: '\ud800' },
    ]) {
      await refusedByTrpc({ path: input(encode(bad)) }, 400)
    }
    await refusedByTrpc({ path: input('%7B%22__proto__%22:%7B%22limit%22:1%7D%7D') }, 400)
    for (const bad of ['1', 'null', '%5B%5D', '%7B%220%22:5%7D', '%7B', '%22x%22', '%ff']) {
      await refusedByTrpc({ path: `/trpc/agents.list?batch=1&input=${bad}` }, 400)
    }
    for (const path of [
      'nothing',
      'agents',
      'agents.',
      '.list',
      'agents.nothing',
      'agents.list.x',
      'Agents.list',
      '__proto__',
      'agents.__proto__',
      'constructor',
    ]) {
      await refusedByTrpc({ path: `/trpc/${path}` }, 404)
    }
    await refusedByTrpc({ path: '/trpc/agents.list,agents.list' }, 404)
    await refusedByTrpc({ path: '/trpc/%ff' }, 400)
    await refusedByTrpc({ path: '/trpc/%zz' }, 400)
    for (const id of ['1e20', 1e20, 'x', null, {}, ['x'], '', "' or 1=1"]) {
      await refusedByTrpc({ path: `/trpc/agents.get?input=${encode({ id })}` }, 400)
      await refusedByTrpc({ method: 'POST', path: '/trpc/agents.delete', headers: asJson, body: JSON.stringify({ id }) }, 400)
    }
    expect(await state()).toEqual(before)
  })
})

describe('a tRPC batch', () => {
  const batch = (size: number) => ({
    path: `/trpc/${Array(size).fill('me.get').join(',')}?batch=1&input=${encodeURIComponent(
      JSON.stringify(Object.fromEntries(Array.from({ length: size }, (_, i) => [i, {}]))),
    )}`,
  })

  test('of 20 is answered one by one, of 21 refused whole', async () => {
    const answer = await sendRaw(server, { ...batch(20), headers: asAdmin() })
    expect(answer.status).toBe(200)
    const results = JSON.parse(answer.text) as { result: { data: Input } }[]
    expect(results.map(({ result }) => result.data.id)).toEqual(Array(20).fill(house.admin.id))
    await refusedByTrpc(batch(21), 400)
    await refusedByTrpc({ path: batch(21).path.replaceAll(',me.get', '%2Cme.get') }, 400)
    await refusedByTrpc(batch(500), 400)
  })

  test('of 21 mutations changes nothing, and of 2 the good one is done and the bad one told', async () => {
    const before = await state()
    const post = (calls: Input[]) => ({
      method: 'POST',
      path: `/trpc/${calls.map(() => 'agents.create').join(',')}?batch=1`,
      headers: asJson,
      body: JSON.stringify(Object.fromEntries(calls.entries())),
    })
    await refusedByTrpc(post(Array.from({ length: 21 }, anAgent)), 400)
    expect(await state()).toEqual(before)
    const request = post([anAgent(), { name: 'x' }])
    const answer = await sendRaw(server, { ...request, headers: [...asAdmin(), ...asJson] })
    expect(answer.status).toBe(207)
    const [good, bad] = JSON.parse(answer.text)
    expect(good.result.data.id).toMatch(/^[0-9a-f-]{36}$/)
    expectProblem(bad.error.data.problem, 400, answer.headers['x-request-id'])
  })
})

describe('who has no key', () => {
  test('is told so, and the body is neither judged nor waited for', async () => {
    const before = await state()
    const { key: unknown } = generateApiKey()
    const bodies: Pick<RawRequest, 'headers' | 'body' | 'isChunked'>[] = [
      { headers: asJson, body: '{' },
      { headers: asJson, body: '[]' },
      { headers: ['Content-Type', 'text/xml'], body: '<a/>' },
      { headers: [...asJson, 'Content-Encoding', 'gzip'], body: 'x' },
      { headers: asJson, body: Buffer.from([0xff]) },
      { headers: asJson, body: '{"__proto__":1}' },
      // Never sent to its end.
      { headers: [...asJson, 'Content-Length', '500000'], body: '{' },
      { headers: [...asJson, 'Content-Length', '5000000'], body: '{' },
    ]
    for (const { request } of targets()) {
      for (const body of bodies) {
        for (const credential of [[], ['X-API-Key', 'x'], ['Authorization', 'ApiKey x'], ['X-API-Key', `${unknown}x`]]) {
          const answer = await sendRaw(server, { ...request, ...body, headers: [...(body.headers ?? []), ...credential] })
          const what = `${request.path} ${String(body.body)}`
          expect([what, answer.status, answer.headers['www-authenticate']]).toEqual([what, 401, 'ApiKey'])
        }
      }
    }
    for (const path of ['/api/agents?limit=x', '/api/agents?__proto__=1', '/api/agents/x', '/trpc/agents.list?input=x']) {
      expect([path, (await sendRaw(server, { path })).status]).toEqual([path, 401])
    }
    expect(await state()).toEqual(before)
  })

  test('with a good form and no right learns 401 or 403, never what was wrong with the input', async () => {
    const viewer = await seedKey(server, house.id, 'Viewer')
    const { key: unknown } = generateApiKey()
    for (const json of [{ nothing: 1 }, { name: '\0' }, { __proto__: null, role: 5 }]) {
      for (const path of ['/api/agents', '/api/admin/api-keys', '/trpc/agents.create', '/trpc/apiKeys.create']) {
        for (const [key, status] of [
          [viewer.key, 403],
          [unknown, 401],
        ] as const) {
          const response = await server.request(path, { method: 'POST', key, json })
          expect([path, response.status]).toEqual([path, status])
          expect(await response.text()).not.toContain('errors')
        }
      }
    }
  })
})

describe('the pages', () => {
  const asUser = () => ['Cookie', house.user.cookie]

  test('a URL that reads as nothing is answered without a fault, and shows nothing of the inside', async () => {
    const before = await state()
    const paths = [
      ...[
        '/api-keys?limit=x',
        '/api-keys?status=x',
        '/api-keys?role=Owner',
        '/api-keys?sort=x&order=y',
        '/api-keys?cursor=x',
        '/api-keys?search=%00',
      ],
      ...[
        '/api-keys?search=%ff',
        '/api-keys?search=%zz',
        '/api-keys?search=%',
        '/api-keys?__proto__=1',
        '/api-keys?search=a&search=b',
        '/api-keys/1e20',
      ],
      ...[
        '/api-keys?cursor=WyJjcmVhdGVkQXQiLCJkZXNjIiwieCIsIngiXQ',
        `/api-keys?search=${'x'.repeat(5000)}`,
        '/api-keys/x/revoke',
        '/api-keys/%00/delete',
      ],
      ...[
        '/api-keys/%ff',
        '/api-keys/%zz',
        `/api-keys/${crypto.randomUUID()}`,
        `/api-keys/${crypto.randomUUID()}/revoke`,
        '/api-keys/x/delete',
      ],
      ...[
        '/audit-log?from=x',
        '/audit-log?to=0000-01-01',
        '/audit-log?cursor=x',
        '/audit-log?search=%00',
        '/audit-log?action=%ff',
        '/audit-log?limit=1e400',
      ],
      ...[
        '/%ff',
        '/%zz',
        '/%',
        '/__proto__',
        '/constructor',
        '/nothing',
        '//',
        '//api-keys',
        '/api-keys//',
        '/api',
        '/trpc',
        '/setup',
        '/setup?token=%00',
      ],
      ...[
        '/setup?token=x',
        '/api-keys.data?_routes=x',
        '/api-keys.data?search=%00',
        '/nothing.data',
        '/assets/nothing.js',
        '/assets/%00',
        '/assets/..%2f..%2fetc%2fpasswd',
      ],
    ]
    for (const path of paths) {
      const answer = await sendRaw(server, { path, headers: asUser() })
      expect([path, answer.status]).toEqual([path, expect.toSatisfy((status: number) => status < 500)])
      expect(answer.text).not.toMatch(/\n\s+at .*:\d+|Failed query|params: |PostgresError|ZodError|DrizzleQueryError|root:x:/)
    }
    expect(await state()).toEqual(before)
  })

  test('a form with wrong, missing, foreign or forbidden fields is 4xx, and makes and changes nothing', async () => {
    const before = await state()
    const good = { name: 'From a form', role: 'Viewer', expiry: 'never', formId: crypto.randomUUID() }
    const forms: [string, Record<string, string>][] = [
      ['/api-keys/new', {}],
      ['/api-keys/new', { ...good, name: '' }],
      ['/api-keys/new', { ...good, name: 'a\0b' }],
      ['/api-keys/new', { ...good, name: 'x'.repeat(100_000) }],
      ['/api-keys/new', { ...good, role: '' }],
      ['/api-keys/new', { ...good, role: 'Owner' }],
      ['/api-keys/new', { ...good, formId: 'x' }],
      ['/api-keys/new', { ...good, formId: '\0' }],
      ['/api-keys/new', { ...good, expiry: 'date', day: '2020-01-01' }],
      ['/api-keys/new', { ...good, expiry: 'date', day: '9999-99-99' }],
      [`/api-keys/${house.target}`, { name: '' }],
      [`/api-keys/${house.target}`, { name: '\0' }],
      [`/api-keys/${house.target}/revoke`, { reason: 'x'.repeat(501) }],
      [`/api-keys/${house.target}/revoke`, { reason: 'a\0b' }],
      ['/api-keys/x/revoke', {}],
      ['/api-keys/1e20/delete', {}],
      [`/api-keys/${crypto.randomUUID()}/delete`, {}],
      ['/sign-in', { email: '\0', password: '\0' }],
      ['/sign-in', {}],
      ['/setup', { token: '\0' }],
    ]
    for (const [path, form] of forms) {
      const response = await postForm(server, path, house.user.cookie, form)
      const what = `${path} ${JSON.stringify(form).slice(0, 100)}`
      expect([what, response.status]).toEqual([what, expect.toSatisfy((status: number) => status < 500)])
      if (path.startsWith('/api-keys'))
        expect([what, response.status]).toEqual([what, expect.toSatisfy((status: number) => status >= 400)])
      expect(await response.text()).not.toMatch(/\n\s+at .*:\d+|Failed query|params: |PostgresError|ZodError|DrizzleQueryError/)
    }
    expect(await state()).toEqual(before)
  })

  test('a body that is no form of ours is 4xx: another type, another method, too long, unbounded', async () => {
    const before = await state()
    const headers = [...asUser(), 'Origin', server.url]
    const form = ['Content-Type', 'application/x-www-form-urlencoded']
    const requests: RawRequest[] = [
      ...['text/plain', 'application/json', 'text/xml', 'multipart/form-data', 'multipart/form-data; boundary=x', 'x'].map(
        (type) => ({
          method: 'POST',
          path: '/api-keys/new',
          headers: [...headers, 'Content-Type', type],
          body: 'name=x&role=Viewer',
        }),
      ),
      { method: 'POST', path: '/api-keys/new', headers, body: 'name=x&role=Viewer' },
      { method: 'POST', path: '/api-keys/new', headers: [...headers, ...form], body: 'name=%ff%zz&role=%' },
      { method: 'POST', path: '/api-keys/new', headers: [...headers, ...form], body: Buffer.from([0xff, 0xfe, 0]) },
      { method: 'POST', path: '/api-keys/new', headers: [...headers, ...form, 'Content-Length', '1000001'], body: 'n' },
      { method: 'POST', path: '/api-keys/new', headers: [...headers, ...form], body: 'name=x&role=Viewer', isChunked: true },
      ...['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'].map((method) => ({
        method,
        path: '/api-keys',
        headers: [...headers, ...form],
        body: 'a=b',
      })),
      { method: 'POST', path: '/nothing', headers: [...headers, ...form], body: 'a=b' },
      { method: 'POST', path: '/%ff', headers: [...headers, ...form], body: 'a=b' },
    ]
    for (const request of requests) {
      const answer = await sendRaw(server, request)
      const what = `${request.method} ${request.path} ${request.headers?.slice(4)} ${String(request.body).slice(0, 30)}`
      expect([what, answer.status]).toEqual([what, expect.toSatisfy((status: number) => status >= 400 && status < 500)])
      expect(answer.text).not.toMatch(/\n\s+at .*:\d+|Failed query|params: |PostgresError|ZodError|DrizzleQueryError/)
    }
    expect(await state()).toEqual(before)
  })
})
