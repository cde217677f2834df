// `mate run` in a pipeline that stores no key: where its token comes from, and the keys that it is exchanged for.
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { findCiTokenSource, openCiKey } from '../cli/ci-token.ts'
import { withoutMocks } from './receiver.ts'

withoutMocks()
const at = { url: '', server: undefined as Server | undefined }
interface Asked {
  path: string
  headers: IncomingMessage['headers']
  body: Record<string, unknown>
}
const asked: Asked[] = []
/** What POST /api/token answers beyond a key. */
let refusal: { status: number; body: unknown } | undefined

beforeAll(async () => {
  at.server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    asked.push({ path: request.url ?? '', headers: request.headers, body: JSON.parse(text || '{}') })
    const count = asked.filter(({ path }) => path === request.url).length
    const isExchange = request.url === '/api/token'
    if (isExchange && refusal) return response.writeHead(refusal.status).end(JSON.stringify(refusal.body))
    const key = { key: `mate_${count}`, expiresAt: new Date(Date.now() + 900_000).toISOString() }
    response.writeHead(isExchange ? 201 : 200).end(JSON.stringify(isExchange ? key : { value: `token-${count}` }))
  })
  await new Promise<void>((resolve) => at.server?.listen(0, '127.0.0.1', resolve))
  at.url = `http://127.0.0.1:${(at.server.address() as AddressInfo).port}`
})
afterAll(() => at.server?.close())
beforeEach(() => {
  asked.length = 0
  refusal = undefined
})
afterEach(() => vi.useRealTimers())

const onGithub = () => ({
  ACTIONS_ID_TOKEN_REQUEST_URL: `${at.url}/github?api-version=2.0`,
  ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'secret',
  MATE_TRUST_RULE: ' 5b1e7c90-2f4d-4a6e-8c37-9d0a1b2c3d4e\n',
})
const open = (env: NodeJS.ProcessEnv) => {
  const source = findCiTokenSource(env, at.url)
  if (!source) throw new Error('no source')
  return openCiKey(at.url, source)
}

describe('on GitHub', () => {
  test('a token is asked for with the server’s address as its audience, and exchanged by the rule that is named', async () => {
    expect((await open(onGithub())).apiKey).toBe('mate_1')
    expect(asked).toMatchObject([
      { path: `/github?api-version=2.0&audience=${encodeURIComponent(at.url)}`, headers: { authorization: 'Bearer secret' } },
      { path: '/api/token', body: { token: 'token-1', ruleId: '5b1e7c90-2f4d-4a6e-8c37-9d0a1b2c3d4e' } },
    ])
    await open({ ...onGithub(), MATE_AUDIENCE: 'https://other.example' })
    expect(asked[2]?.path).toContain('audience=https%3A%2F%2Fother.example')
  })

  test('another key is asked for when half of its time is over, once for all requests', async () => {
    const { fetch } = await open(onGithub())
    const keysSent = () => asked.filter(({ path }) => path === '/x').map(({ headers }) => headers['x-api-key'])
    await fetch(`${at.url}/x`, { headers: { 'X-API-Key': 'mate_1' } })
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 460_000 })
    await Promise.all([fetch(`${at.url}/x`), fetch(`${at.url}/x`)])
    await fetch(`${at.url}/x`)
    expect(keysSent()).toEqual(['mate_1', 'mate_2', 'mate_2', 'mate_2'])
  })

  test('without the permission there is no source', () => {
    expect(findCiTokenSource({ ...onGithub(), ACTIONS_ID_TOKEN_REQUEST_TOKEN: '' }, at.url)).toBeUndefined()
    expect(findCiTokenSource({}, at.url)).toBeUndefined()
  })
})

test('a token that is handed on is exchanged once: it is good once', async () => {
  const { apiKey, fetch } = await open({ ...onGithub(), MATE_ID_TOKEN: 'given\n', MATE_TRUST_RULE: '' })
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 890_000 })
  await fetch(`${at.url}/x`)
  expect(apiKey).toBe('mate_1')
  expect(asked.map(({ path, body }) => [path, body])).toEqual([
    ['/api/token', { token: 'given' }],
    ['/x', {}],
  ])
})

test('a refusal is told in the server’s words; what is no answer of mate is called that', async () => {
  refusal = { status: 400, body: { detail: 'No trust rule takes this token.\u001b[31m' } }
  await expect(open(onGithub())).rejects.toThrow('was not exchanged. No trust rule takes this token.')
  refusal = { status: 200, body: ['x'] }
  await expect(open(onGithub())).rejects.toThrow('answered 200, and not as a mate server does')
})
