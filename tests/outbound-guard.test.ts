// Where a request may go whose address a tenant chose: by address, by name, by redirect, and how much of the answer is taken.
import type { LookupAddress } from 'node:dns'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { faultOfUrl, type OutboundFailure, type OutboundRequest, type OutboundRules, sendOutbound } from '#server/outbound.ts'
import { addressKind } from '#server/outbound-address.ts'
import { withoutMocks } from './receiver.ts'

withoutMocks()

const kinds = {
  public: [
    '8.8.8.8',
    '1.1.1.1',
    '172.15.255.255',
    '172.32.0.1',
    '192.167.1.1',
    '100.63.0.1',
    '100.128.0.1',
    '2606:4700::1111',
    '2a00::1',
    '::ffff:8.8.8.8',
    '64:ff9b::808:808',
    '2002:808:808::1',
  ],
  private: [
    ...[
      '127.0.0.1',
      '127.255.255.254',
      '10.0.0.1',
      '172.16.0.1',
      '172.31.255.255',
      '192.168.1.1',
      '100.64.0.1',
      '100.127.255.254',
      '::1',
    ],
    ...[
      'fc00::1',
      'fd12:3456::1',
      '::ffff:127.0.0.1',
      '::ffff:10.0.0.1',

      '::ffff:0:127.0.0.1',
      '64:ff9b::7f00:1',
      '64:ff9b::a00:1',
      '2002:7f00:1::',
      '2002:c0a8:101::1',
    ],
  ],
  forbidden: [
    ...[
      '169.254.169.254',
      '169.254.0.1',
      '169.254.170.2',
      '100.100.100.200',
      '168.63.129.16',
      '192.0.0.192',
      '0.0.0.0',
      '0.1.2.3',
    ],
    ...['224.0.0.1', '240.0.0.1', '255.255.255.255', '192.0.2.1', '198.18.0.1', '198.51.100.1', '203.0.113.1', '192.88.99.1'],
    ...[
      'fe80::1',
      'fe80::a9fe:a9fe',
      'febf::1',
      'fec0::1',
      'fd00:ec2::254',
      'fd00:0ec2:0:0::0254',
      'fd00:ec2::23',
      'fd20:ce::254',
      '::',
      'ff02::1',
    ],
    ...[
      '::ffff:169.254.169.254',
      '::ffff:a9fe:a9fe',
      '::a9fe:a9fe',
      '::7f00:1',
      '::ffff:0:a9fe:a9fe',
      '64:ff9b::a9fe:a9fe',
      '64:ff9b:1::a9fe:a9fe',
      '2002:a9fe:a9fe::1',
    ],
    ...['2001::1', '2001:db8::1', '100::1', '2001:2::1', '4000::1', '5f00::1', 'nonsense', '', '127.1.1.1.1'],
  ],
} as const

describe.each(Object.entries(kinds))('%s addresses', (kind, addresses) => {
  test.each(addresses)('%s', (address) => expect(addressKind(address)).toBe(kind))
})

test('a URL is refused by how it is written: scheme, credentials, address in any notation', () => {
  const strict = { allowPrivate: false }
  const bad = [
    ...[
      'ftp://a.example/',
      'file:///etc/passwd',
      'gopher://a.example/',
      'nonsense',
      'https://user:pass@a.example/',
      'https://user@a.example/',
    ],
    ...[
      'http://127.0.0.1/',
      'http://127.1/',
      'http://2130706433/',
      'http://0x7f.0.0.1/',
      'http://0177.0.0.1/',
      'http://127.0.0.1./',
      'http://0/',
    ],
    ...[
      'http://[::1]/',
      'http://[::ffff:127.0.0.1]/',
      'http://[::ffff:7f00:1]/',
      'http://169.254.169.254/latest/meta-data',
      'http://0xa9fea9fe/',
    ],
    ...['http://①②⑦.0.0.1/', 'http://[fd00:ec2::254]/', 'http://[64:ff9b::a9fe:a9fe]/'],
  ]
  for (const url of bad) expect([url, faultOfUrl(url, strict)]).toEqual([url, expect.any(String)])
  for (const url of ['https://a.example/', 'http://8.8.8.8:8080/x?y#z', 'https://[2606:4700::1111]/']) {
    expect(faultOfUrl(url, strict)).toBeUndefined()
  }
  expect(faultOfUrl('http://127.0.0.1/', { allowPrivate: true })).toBeUndefined()
  for (const url of ['http://169.254.169.254/', 'http://[fe80::1]/', 'http://0.0.0.0/']) {
    expect(faultOfUrl(url, { allowPrivate: true })).toEqual(expect.any(String))
  }
})

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

async function serve(listener: RequestListener): Promise<{ port: number; requests: () => number }> {
  let count = 0
  const server = createServer((request, response) => {
    count++
    listener(request, response)
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { port: (server.address() as AddressInfo).port, requests: () => count }
}

const get = (url: string, more: Partial<OutboundRequest> = {}): OutboundRequest => ({
  url,
  method: 'GET',
  timeoutMs: 5_000,
  maxBytes: 10_000,
  ...more,
})
const failureOf = (request: OutboundRequest, rules: OutboundRules): Promise<OutboundFailure> =>
  sendOutbound(request, rules).then(
    () => Promise.reject(new Error('there was an answer')),
    (error) => error,
  )
const loopback: LookupAddress[] = [{ address: '127.0.0.1', family: 4 }]

describe('a name', () => {
  test('that leads to an address that is not allowed is refused, also beside one that is, and nothing is sent', async () => {
    const { port, requests } = await serve((_, response) => response.end())
    const sets: LookupAddress[][] = [
      loopback,
      [{ address: '8.8.8.8', family: 4 }, ...loopback],
      [{ address: '::1', family: 6 }],
      [{ address: '::ffff:127.0.0.1', family: 6 }],
      [{ address: '169.254.169.254', family: 4 }],
    ]
    for (const found of sets) {
      const failure = await failureOf(get(`http://rebound.example:${port}/`), { allowPrivate: false, resolve: async () => found })
      expect(failure).toMatchObject({ kind: 'refused', message: 'The address is not one that mate may call.' })
    }
    expect(requests()).toBe(0)
  })

  test('is looked up once, and the connection goes to the very address that was checked', async () => {
    const { port } = await serve(({ headers }, response) => response.end(headers.host))
    let lookups = 0
    const resolve = async () => (lookups++ === 0 ? loopback : [{ address: '169.254.169.254', family: 4 }])
    const answer = await sendOutbound(get(`http://rebinding.example:${port}/`), { allowPrivate: true, resolve })
    expect([answer.status, answer.body.toString(), lookups]).toEqual([200, `rebinding.example:${port}`, 1])
    // Another request is another look-up, and is judged by it: no connection is kept for it.
    const failure = await failureOf(get(`http://rebinding.example:${port}/`), { allowPrivate: true, resolve })
    expect([failure.kind, lookups]).toEqual(['refused', 2])
  })

  test('that is not there, or leads nowhere, is told in plain words', async () => {
    const missing = async () => Promise.reject(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }))
    const words = 'The host name was not found.'
    expect((await failureOf(get('http://a.example/'), { allowPrivate: false, resolve: missing })).message).toBe(words)
    expect((await failureOf(get('http://a.example/'), { allowPrivate: false, resolve: async () => [] })).message).toBe(words)
  })
})

describe('an address', () => {
  test('in a private range is called only where that is allowed, and a forbidden one never', async () => {
    const { port, requests } = await serve((_, response) => response.end('in'))
    expect((await failureOf(get(`http://127.0.0.1:${port}/`), { allowPrivate: false })).kind).toBe('refused')
    expect(requests()).toBe(0)
    expect((await sendOutbound(get(`http://127.0.0.1:${port}/`), { allowPrivate: true })).body.toString()).toBe('in')
    for (const host of ['169.254.169.254', '[fe80::1]', '0.0.0.0', '[fd00:ec2::254]'])
      expect((await failureOf(get(`http://${host}:${port}/`), { allowPrivate: true })).kind).toBe('refused')
    expect(requests()).toBe(1)
  })

  test('that nobody listens at is told without naming it', async () => {
    const { port } = await serve((_, response) => response.end())
    for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve))
    const failure = await failureOf(get(`http://inner.example:${port}/`), { allowPrivate: true, resolve: async () => loopback })
    expect(failure.message).toBe('The connection was refused.')
  })
})

describe('a redirect', () => {
  test('is not followed unless that is asked for', async () => {
    const { port } = await serve((_, response) => response.writeHead(302, { Location: '/elsewhere' }).end())
    expect((await sendOutbound(get(`http://127.0.0.1:${port}/`), { allowPrivate: true })).status).toBe(302)
  })

  test('to a forbidden address is refused, however many hops it takes, and no more hops are made than allowed', async () => {
    const { port, requests } = await serve(({ url }, response) => {
      const target = url === '/meta' ? 'http://169.254.169.254/latest' : url === '/twice' ? '/meta' : '/loop'
      response.writeHead(307, { Location: target }).end()
    })
    for (const path of ['/meta', '/twice'])
      expect((await failureOf(get(`http://127.0.0.1:${port}${path}`, { maxRedirects: 5 }), { allowPrivate: true })).kind).toBe(
        'refused',
      )
    const before = requests()
    expect((await sendOutbound(get(`http://127.0.0.1:${port}/loop`, { maxRedirects: 3 }), { allowPrivate: true })).status).toBe(
      307,
    )
    expect(requests() - before).toBe(4)
  })

  test('to another origin takes no header along but the body’s type, and to a POST it goes on as the standard says', async () => {
    const seen: unknown[] = []
    const there = await serve(({ headers, method }, response) => {
      seen.push([method, headers.authorization, headers['content-type']])
      response.end('there')
    })
    const { port } = await serve(({ url }, response) => {
      response.writeHead(Number(url?.slice(1)), { Location: `http://127.0.0.1:${there.port}/` }).end()
    })
    for (const status of [303, 302, 307]) {
      const more = {
        method: 'POST',
        body: 'x',
        headers: { Authorization: 'secret', 'content-type': 'text/x' },
        maxRedirects: 1,
      } as const
      await sendOutbound(get(`http://127.0.0.1:${port}/${status}`, more), { allowPrivate: true })
    }
    expect(seen).toEqual([
      ['GET', undefined, undefined],
      ['GET', undefined, undefined],
      ['POST', undefined, 'text/x'],
    ])
  })
})

describe('an answer', () => {
  test('is cut at the limit, and the rest is not read', async () => {
    const { port } = await serve((_, response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536))) {}
      }
      response.on('drain', more)
      more()
    })
    const answer = await sendOutbound(get(`http://127.0.0.1:${port}/`, { maxBytes: 1_000 }), { allowPrivate: true })
    expect([answer.isCut, answer.body.length]).toEqual([true, 1_000])
  })

  test('that does not come, or never ends, is given up after the time', async () => {
    const { port } = await serve(({ url }, response) => {
      if (url === '/slow') response.writeHead(200).write('.')
    })
    for (const path of ['/never', '/slow']) {
      const failure = await failureOf(get(`http://127.0.0.1:${port}${path}`, { timeoutMs: 200 }), { allowPrivate: true })
      expect(failure.message).toBe('There was no answer within 0.2 seconds.')
    }
  })

  test('that is no longer waited for ends with the reason of who ended it', async () => {
    const { port } = await serve(() => {})
    const stop = new AbortController()
    const request = get(`http://127.0.0.1:${port}/`, { signal: stop.signal })
    setTimeout(() => stop.abort(new Error('the run was cancelled')), 50)
    expect(await failureOf(request, { allowPrivate: true })).toMatchObject({ message: 'the run was cancelled' })
    expect(await failureOf(request, { allowPrivate: true })).toMatchObject({ message: 'the run was cancelled' })
  })

  test('that is no HTTP, or breaks off, is told in plain words', async () => {
    const { port } = await serve(({ socket, url }, response) => {
      if (url === '/break') {
        response.writeHead(200, { 'Content-Length': '10' }).write('.')
        setTimeout(() => socket.destroy(), 20)
      } else socket.end('nonsense\r\n\r\n')
    })
    const words = async (path: string) =>
      (await failureOf(get(`http://127.0.0.1:${port}${path}`), { allowPrivate: true })).message
    expect(await words('/')).toBe('The answer is not HTTP.')
    expect(await words('/break')).toBe('The connection was closed before the answer was complete.')
  })
})
