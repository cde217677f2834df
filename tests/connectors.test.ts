// How agents are talked to: what is sent, what is read, what is tried again, and what never gets out.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { HttpResponse, http } from 'msw'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { ConnectorSettings } from '#db/schema.ts'
import { AgentFault, AgentUnavailable, type Exchange, sendToAgent } from '#server/execution/connector.ts'
import type { CallContext } from '#server/execution/patient-call.ts'
import { outbound } from './outbound.ts'

const url = 'https://agent.example/chat'
const base = 'https://models.example/v1'
const aHttp = { type: 'http', url, secretHeader: 'Authorization' } as const
const anOpenai = { type: 'openai', url: base, model: 'small' } as const
const aTurn = { message: 'Hello', conversationId: 'c-1', history: [] as Exchange[] }

interface Sent {
  method: string
  url: string
  headers: Headers
  body: unknown
}

/** Answers in turn as told, the last for ever, and keeps what was sent. */
function agentAnswers(...answers: (() => Response | Promise<Response>)[]): Sent[] {
  const sent: Sent[] = []
  outbound.use(
    http.all(/^https:\/\/(agent|models)\.example\//, async ({ request }) => {
      const answer = answers[Math.min(sent.length, answers.length - 1)]
      sent.push({ method: request.method, url: request.url, headers: request.headers, body: JSON.parse(await request.text()) })
      return answer?.() ?? HttpResponse.error()
    }),
  )
  return sent
}
const reply = (text: unknown) => () => HttpResponse.json({ reply: text })
const status =
  (code: number, headers: Record<string, string> = {}) =>
  () =>
    new HttpResponse('busy', { status: code, headers })

/** As the mocks are reached at 127.0.0.1, private addresses are allowed; waits are written down, and don't pass. */
function contextWith(more: Partial<CallContext> = {}): CallContext & { waits: number[] } {
  const waits: number[] = []
  const sleep = async (ms: number) => void waits.push(ms)
  return { rules: { allowPrivate: true }, sleep, waits, ...more }
}
const send = (
  connector: ConnectorSettings,
  more: { secret?: string; turn?: Partial<typeof aTurn>; context?: CallContext } = {},
) => sendToAgent({ connector, secret: more.secret }, { ...aTurn, ...more.turn }, more.context ?? contextWith())
const failureOf = (sending: Promise<unknown>): Promise<Error> =>
  sending.then(
    () => Promise.reject(new Error('there was an answer')),
    (error) => error,
  )

describe('an HTTP agent', () => {
  test('is sent message, conversation and history as JSON, and its text is found at /reply', async () => {
    const sent = agentAnswers(reply('Hi!'))
    const history: Exchange[] = [
      { role: 'user', content: 'a' },
      { role: 'agent', content: 'b' },
    ]
    const got = await send(aHttp, { secret: 'Bearer t0ken-of-it', turn: { history } })
    expect(got).toEqual({ text: 'Hi!', raw: '{"reply":"Hi!"}', latencyMs: expect.any(Number) })
    expect(got.latencyMs).toBeGreaterThan(0)
    expect(sent).toMatchObject([{ method: 'POST', url, body: { message: 'Hello', conversationId: 'c-1', history } }])
    expect(sent[0]?.headers.get('authorization')).toBe('Bearer t0ken-of-it')
    expect(sent[0]?.headers.get('content-type')).toBe('application/json')
  })

  test('has method, headers, the secret’s header, body and pointer as it is set', async () => {
    const sent = agentAnswers(() => HttpResponse.json({ out: [{ 'a/b~c': { t: 42 } }] }))
    const connector: ConnectorSettings = {
      ...aHttp,
      method: 'PUT',
      secretHeader: 'X-Key',
      headers: { 'X-Env': 'test', 'content-type': 'application/vnd.agent+json' },
      body: '{"input":{"text":"{{message}}","fixed":[1,true,null,"{{other}}"]},"log":"{{conversationId}}: {{history}} / {{message}}"}',
      replyPointer: '/out/0/a~1b~0c/t',
    }
    const history: Exchange[] = [{ role: 'user', content: 'a "b"' }]
    expect((await send(connector, { secret: 'k', turn: { history } })).text).toBe('42')
    const [{ method, headers, body } = {} as Sent] = sent
    expect([method, headers.get('x-key'), headers.get('authorization'), headers.get('x-env')]).toEqual(['PUT', 'k', null, 'test'])
    expect(headers.get('content-type')).toBe('application/vnd.agent+json')
    expect(body).toEqual({
      input: { text: 'Hello', fixed: [1, true, null, '{{other}}'] },
      log: `c-1: ${JSON.stringify(history)} / Hello`,
    })
  })

  test('gets a message as text, whatever stands in it: no JSON, no placeholder and no replacement pattern takes effect', async () => {
    const body = '{"a":"{{message}}","b":"<{{message}}>","{{message}}":1,"__proto__":"{{message}}"}'
    const messages = [
      '","admin":true,"x":"',
      '{{history}} {{conversationId}} {{message}}',
      '{{history}}',
      "$& $1 $' $$",
      '\\" \n \u2028 \ud83d\ude00',
    ]
    for (const message of messages) {
      const sent = agentAnswers(reply('ok'))
      await send({ ...aHttp, body }, { turn: { message } })
      const got = sent[0]?.body as Record<string, unknown>
      expect(Object.entries(got)).toEqual([
        ['a', message],
        ['b', `<${message}>`],
        ['{{message}}', 1],
        ['__proto__', message],
      ])
    }
  })

  test('whose pointer is empty answers with all of its text, JSON or not', async () => {
    agentAnswers(() => HttpResponse.text('just\ntext'))
    expect((await send({ ...aHttp, replyPointer: '' })).text).toBe('just\ntext')
  })

  test('is found by RFC 6901 alone: what leads nowhere, or to no text, is a fault that quotes the answer', async () => {
    const answer = { a: { b: [{ c: 'x' }], n: null, o: {} }, '': 'empty', '~': 'tilde' }
    const found: [string, string][] = [
      ['/a/b/0/c', 'x'],
      ['/', 'empty'],
      ['/~0', 'tilde'],
    ]
    for (const [replyPointer, text] of found) {
      agentAnswers(() => HttpResponse.json(answer))
      expect((await send({ ...aHttp, replyPointer })).text).toBe(text)
    }
    const nowhere = [
      '/x',
      '/a/b/00/c',
      '/a/b/-',
      '/a/b/1',
      '/a/b/length',
      '/a/b/0/c/0',
      '/a/n/x',
      'a',
      '/constructor/name',
      '/__proto__',
    ]
    for (const replyPointer of [...nowhere, '/a/n', '/a/o', '/a/b']) {
      const failure = await failureOf(send({ ...aHttp, replyPointer }))
      expect(failure).toBeInstanceOf(AgentFault)
      const words = nowhere.includes(replyPointer) ? 'nothing' : 'no text'
      expect(failure.message).toBe(`The agent’s answer has ${words} at ${replyPointer}. It begins: ${JSON.stringify(answer)}`)
    }
  })

  test('with an answer that is not JSON, a body that is not, or a header that can’t be sent, is a fault', async () => {
    const sent = agentAnswers(() => HttpResponse.html('<html>\n  no</html>'))
    expect(await failureOf(send(aHttp))).toMatchObject({
      message: 'The agent’s answer is not JSON. It begins: <html> no</html>',
    })
    expect((await failureOf(send({ ...aHttp, body: '{"a":{{message}}}' }))).message).toContain('body')
    const unsendable = await failureOf(send(aHttp, { secret: 'k\u0142ucz' }))
    expect(unsendable).toBeInstanceOf(AgentFault)
    expect(unsendable.message).not.toContain('k\u0142ucz')
    expect(sent.length).toBe(1)
  })
})

describe('an OpenAI-compatible agent', () => {
  const completion =
    (message: object, finish = 'stop') =>
    () =>
      HttpResponse.json({ choices: [{ index: 0, message: { role: 'assistant', ...message }, finish_reason: finish }] })

  test('is asked for a chat completion with the whole conversation', async () => {
    const sent = agentAnswers(completion({ content: 'Hi!' }))
    const history: Exchange[] = [
      { role: 'user', content: 'a' },
      { role: 'agent', content: 'b' },
    ]
    const more = { systemPrompt: 'Be kind.', temperature: 0, maxTokens: 100 }
    const got = await send({ ...anOpenai, url: `${base}/`, ...more }, { secret: 'sk-1', turn: { history } })
    expect(got.text).toBe('Hi!')
    expect(sent[0]).toMatchObject({ method: 'POST', url: `${base}/chat/completions` })
    expect(sent[0]?.headers.get('authorization')).toBe('Bearer sk-1')
    expect(sent[0]?.body).toEqual({
      model: 'small',
      messages: [
        { role: 'system', content: 'Be kind.' },
        { role: 'user', content: 'a' },
        { role: 'assistant', content: 'b' },
        { role: 'user', content: 'Hello' },
      ],
      temperature: 0,
      max_tokens: 100,
    })
    const plain = agentAnswers(
      completion({
        content: [
          { type: 'text', text: 'in ' },
          { type: 'text', text: 'parts' },
        ],
      }),
    )
    expect((await send(anOpenai)).text).toBe('in parts')
    expect(plain[0]?.body).toEqual({ model: 'small', messages: [{ role: 'user', content: 'Hello' }] })
    expect(plain[0]?.headers.get('authorization')).toBe(null)
  })

  test('may refuse, which is an answer; what is no completion is a fault', async () => {
    agentAnswers(completion({ content: null, refusal: 'I won’t.' }))
    expect((await send(anOpenai)).text).toBe('I won’t.')
    for (const body of [{}, { choices: [] }, { choices: [{ message: {} }] }, { choices: [{ message: { content: 7 } }] }, 'x']) {
      agentAnswers(() => HttpResponse.json(body))
      const failure = await failureOf(send(anOpenai))
      expect(failure).toBeInstanceOf(AgentFault)
      expect(failure.message).toBe(`The agent’s answer is no chat completion with a text. It begins: ${JSON.stringify(body)}`)
    }
  })
})

describe('an agent that is busy or out of reach', () => {
  test.each([429, 502, 503, 504])('%i is tried again with longer and longer waits, four times in all', async (code) => {
    const sent = agentAnswers(status(code), status(code), status(code), reply('at last'))
    const context = contextWith()
    expect((await send(aHttp, { context })).text).toBe('at last')
    expect(sent.length).toBe(4)
    expect(context.waits.map((ms, i) => ms >= 1_000 * 2 ** i && ms <= 1_200 * 2 ** i)).toEqual([true, true, true])

    const never = agentAnswers(status(code))
    const failure = await failureOf(send(aHttp))
    expect(failure).toBeInstanceOf(AgentUnavailable)
    expect([failure.message, never.length]).toEqual([`The agent answered ${code}. Tried 4 times.`, 4])
  })

  test('says how long to wait in seconds or as a date; who asks for more than 30 seconds is not waited for', async () => {
    const inTen = new Date(Date.now() + 10_000).toUTCString()
    const past = new Date(Date.now() - 10_000).toUTCString()
    const waitAfter = async (value: string) => {
      agentAnswers(status(429, { 'Retry-After': value }), reply('ok'))
      const context = contextWith()
      await send(aHttp, { context })
      return context.waits[0] ?? 0
    }
    expect(await waitAfter('7')).toBe(7_000)
    expect(await waitAfter('30')).toBe(30_000)
    expect(await waitAfter(inTen)).toBeGreaterThan(8_000)
    expect(await waitAfter(inTen)).toBeLessThanOrEqual(10_000)
    for (const none of ['0', 'soon', '-5', past]) expect(await waitAfter(none)).toBeLessThanOrEqual(1_200)

    for (const long of ['31', '999999999', new Date(Date.now() + 3_600_000).toUTCString()]) {
      const sent = agentAnswers(status(503, { 'Retry-After': long }), reply('too late'))
      const context = contextWith()
      const failure = await failureOf(send(aHttp, { context }))
      expect(failure).toBeInstanceOf(AgentUnavailable)
      expect(failure.message).toMatch(/^The agent answered 503\. It asks to wait \d+ seconds\.$/)
      expect([sent.length, context.waits]).toEqual([1, []])
    }
  })

  test('is tried once where that is asked for', async () => {
    const sent = agentAnswers(status(503))
    const failure = await failureOf(send(aHttp, { context: contextWith({ maxAttempts: 1 }) }))
    expect([failure.message, sent.length]).toEqual(['The agent answered 503.', 1])
  })

  test('is not tried longer than three minutes in all', async () => {
    const sent = agentAnswers(status(503, { 'Retry-After': '25' }))
    const clock = { now: 0 }
    const spy = vi.spyOn(performance, 'now').mockImplementation(() => clock.now)
    onTestFinished(() => spy.mockRestore())
    const sleep = async (ms: number) => {
      clock.now += ms
    }
    const failure = await failureOf(send(aHttp, { context: contextWith({ sleep, maxAttempts: 100 }) }))
    expect(failure.message).toBe('The agent answered 503. Tried for 180 seconds.')
    expect(clock.now).toBeGreaterThan(140_000)
    expect(clock.now).toBeLessThan(180_000)
    expect(sent.length).toBeLessThan(9)
  })

  test('because nothing listens there, or the name is not there, is tried again too', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as AddressInfo
    await new Promise((resolve) => server.close(resolve))
    const context = contextWith()
    const failure = await failureOf(send({ ...aHttp, url: `http://127.0.0.1:${port}/` }, { context }))
    expect(failure).toBeInstanceOf(AgentUnavailable)
    expect(failure.message).toBe('The agent can’t be reached. The connection was refused. Tried 4 times.')
    expect(context.waits.length).toBe(3)
  })

  test('that hangs is given up after its time, and not asked again', async () => {
    const sent = agentAnswers(() => new Promise(() => {}))
    const failure = await failureOf(send({ ...aHttp, timeoutSeconds: 0.2 }))
    expect(failure).toBeInstanceOf(AgentUnavailable)
    expect([failure.message, sent.length]).toEqual(['The agent gave no answer within 0.2 seconds.', 1])
  })

  test('is no longer waited for once the caller says so: while it hangs, and between two attempts', async () => {
    const reason = new Error('cancelled')
    agentAnswers(() => new Promise(() => {}))
    const stop = new AbortController()
    setTimeout(() => stop.abort(reason), 50)
    expect(await failureOf(send(aHttp, { context: contextWith({ signal: stop.signal }) }))).toBe(reason)

    const sent = agentAnswers(status(503))
    const later = new AbortController()
    setTimeout(() => later.abort(reason), 100)
    const context = { rules: { allowPrivate: true }, signal: later.signal }
    const from = performance.now()
    expect(await failureOf(send(aHttp, { context }))).toBe(reason)
    expect(sent.length).toBe(1)
    expect(performance.now() - from).toBeLessThan(900)
  })
})

describe('an answer that can’t be used', () => {
  test.each([400, 401, 403, 404, 422, 500, 501, 304])(
    '%i is a fault, told with how the answer begins, and not tried again',
    async (code) => {
      const sent = agentAnswers(() => new HttpResponse(code === 304 ? null : '{"error": "bad model"}', { status: code }))
      const failure = await failureOf(send(aHttp, { secret: 'Bearer wrong-token' }))
      expect(failure).toBeInstanceOf(AgentFault)
      const quoted = code === 304 ? '' : ' It begins: {"error": "bad model"}'
      expect([failure.message, sent.length]).toEqual([`The agent answered ${code}.${quoted}`, 1])
    },
  )

  test('of 5 MB is not read to its end, and a fault', async () => {
    agentAnswers(() => HttpResponse.json({ reply: 'x'.repeat(5_000_000) }))
    const failure = await failureOf(send(aHttp))
    expect(failure).toBeInstanceOf(AgentFault)
    expect(failure.message).toBe('The agent answered with more than 1,048,576 bytes.')
    agentAnswers(() => HttpResponse.text('x'.repeat(1_048_576)))
    const { text, raw } = await send({ ...aHttp, replyPointer: '' })
    expect([text.length, raw.length]).toEqual([1_048_576, 65_536])
  })

  test('that redirects to a metadata or private address is refused, whatever else is allowed', async () => {
    for (const target of ['http://169.254.169.254/latest/meta-data/', 'http://[fd00:ec2::254]/', 'http://100.100.100.200/']) {
      const asked: string[] = []
      outbound.use(
        http.all(url, () => new HttpResponse(null, { status: 307, headers: { Location: target } })),
        http.all(target, ({ request }) => {
          asked.push(request.url)
          return HttpResponse.json({ reply: 'credentials' })
        }),
      )
      const failure = await failureOf(send(aHttp))
      expect(failure).toBeInstanceOf(AgentFault)
      expect(failure.message).toBe('The agent was not called. The address is not one that mate may call.')
      expect(asked).toEqual([])
    }
    for (const address of ['http://127.0.0.1:1/', 'http://10.0.0.1/', 'http://[::1]/']) {
      const failure = await failureOf(
        send({ ...aHttp, url: address }, { context: contextWith({ rules: { allowPrivate: false } }) }),
      )
      expect([failure.constructor, failure.message]).toEqual([
        AgentFault,
        'The agent was not called. The address is not one that mate may call.',
      ])
    }
  })

  test('never takes the secret to another host by a redirect', async () => {
    const seen: [string | null, string][] = []
    outbound.use(
      http.all(url, () => new HttpResponse(null, { status: 308, headers: { Location: 'https://agent.example.evil/' } })),
      http.all('https://agent.example.evil/', async ({ request }) => {
        seen.push([request.headers.get('authorization'), await request.text()])
        return HttpResponse.json({ reply: 'thanks' })
      }),
    )
    expect((await send(aHttp, { secret: 'Bearer t0ken-of-it' })).text).toBe('thanks')
    expect(seen).toEqual([[null, expect.stringContaining('"message":"Hello"')]])
  })
})

describe('a secret', () => {
  const secret = 'Bearer s3cr3t/"ä"+tôken'
  const credential = secret.slice('Bearer '.length)

  test('that the agent echoes is removed from text and raw, in every usual form', async () => {
    const echoes = [
      secret,
      credential,
      encodeURIComponent(credential),
      Buffer.from(credential).toString('base64'),
      credential.toUpperCase(),
    ]
    for (const echo of echoes) {
      agentAnswers(reply(`You sent ${echo}, didn’t you?`))
      const got = await send(aHttp, { secret })
      expect(got.text).toBe(`You sent [secret removed]${echo.endsWith('=') ? '=' : ''}, didn’t you?`)
      expect(got.raw).toContain('[secret removed]')
      expect(JSON.stringify(got)).not.toContain('s3cr3t')
    }
    // As PHP and Python write JSON.
    const slashed = JSON.stringify({ reply: credential }).replaceAll('/', '\\/')
    const ascii = JSON.stringify({ reply: credential }).replaceAll('ä', '\\u00e4').replaceAll('ô', '\\u00F4')
    for (const body of [slashed, ascii]) {
      agentAnswers(() => HttpResponse.text(body))
      expect(await send(aHttp, { secret })).toMatchObject({ text: '[secret removed]', raw: '{"reply":"[secret removed]"}' })
    }
  })

  test('is not in what an error quotes, not even where the quotation ends', async () => {
    for (let before = 0; before < 210; before += 7) {
      agentAnswers(() => new HttpResponse(`${'x'.repeat(before)}${secret}${'y'.repeat(300)}`, { status: 401 }))
      const failure = await failureOf(send(aHttp, { secret }))
      for (let length = 6; length <= credential.length; length++)
        expect(failure.message).not.toContain(credential.slice(0, length))
    }
    agentAnswers(() => HttpResponse.json({ got: secret }))
    expect((await failureOf(send(aHttp, { secret }))).message).toContain('{"got":"[secret removed]"}')
    agentAnswers(reply(`${'x'.repeat(65_520)}${secret}`))
    expect((await send(aHttp, { secret })).raw).not.toContain('s3cr')
  })
})

test('what PostgreSQL refuses in a text is replaced: NUL, and half of a surrogate pair', async () => {
  agentAnswers(() => HttpResponse.text('{"reply":"a\\u0000b\\ud800c"}'))
  const got = await send(aHttp)
  expect(got.text).toBe('a\ufffdb\ufffdc')
  agentAnswers(() => HttpResponse.text(`a\0b${'é'.repeat(40_000)}`))
  const { text, raw } = await send({ ...aHttp, replyPointer: '' })
  expect(text.slice(0, 3)).toBe('a\ufffdb')
  expect([Buffer.byteLength(raw) <= 65_536, raw.endsWith('é'), `${text}${raw}`.isWellFormed()]).toEqual([true, true, true])
})
