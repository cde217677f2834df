// The published client, as another project gets it: packed, installed, type-checked, bundled, and run on a real server.
import { execFile, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { build, type Rolldown } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createMateClient, problemOf } from '#client/index.ts'
import { generateApiKey } from '#server/api-key.ts'
import manifest from '../package.json' with { type: 'json' }
import { seedKey, seedTenant, useServer } from './harness.ts'

const run = promisify(execFile)
const server = useServer()
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'mate-outside-')))
const outside = join(folder, 'project')
const tsc = join(outside, 'node_modules/typescript/bin/tsc')

// Every line with `TSnnnn` in a comment is one that has to be refused, with that error.
const sources = {
  'right.ts': `
    import { createMateClient, problemOf } from 'mate/client'
    import type { MateClient, Problem, RouterInputs, RouterOutputs } from 'mate/client'

    type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
    type People = 'users' | 'invitations'
    type Access = 'identityProviders' | 'signInPolicy' | 'tokens' | 'trustRules'
    type Tests = 'testSuites' | 'testCases' | 'judgeSettings' | 'metrics' | 'runs' | 'results'
    type Role = 'Viewer' | 'Tester' | 'TenantAdmin' | 'SuperAdmin'
    declare const process: { env: Record<string, string | undefined> }

    const mate: MateClient = createMateClient({ url: 'https://mate.example.com', apiKey: process.env.MATE_API_KEY! })
    const agents = await mate.agents.list.query({})
    const names: string[] = agents.items.map((agent) => agent.name)
    const made = await mate.apiKeys.create.mutate({ name: names.join(), role: 'Tester', expiresAt: new Date().toISOString() })
    const key: string = made.key
    const connector = { type: 'http', url: 'https://agent.example.com' } as const
    const input: RouterInputs['agents']['create'] = { name: 'a', environment: 'test', connector }
    const agent: RouterOutputs['agents']['create'] = await mate.agents.create.mutate(input, { signal: AbortSignal.timeout(1000) })
    const own: typeof fetch = (url, init) => fetch(url, init)
    const wrapped = createMateClient({ url: 'http://localhost', apiKey: key, tenantId: agent.id, fetch: own })
    await wrapped.me.get.query({}).catch((error: unknown) => {
      const problem: Problem | undefined = problemOf(error)
      return [problem?.status.toFixed(), problem?.errors?.map(({ path, message }) => path + message)]
    })

    export const isExact: [
      Same<RouterInputs['apiKeys']['create']['role'], Role>,
      Same<RouterOutputs['me']['get']['role'], Role>,
      Same<RouterOutputs['apiKeys']['list']['items'][number]['status'], 'active' | 'expired' | 'revoked' | 'rotated'>,
      Same<Extract<keyof MateClient, string>, 'me' | 'agents' | Tests | 'apiKeys' | 'roles' | 'tenants' | 'auditLog' | 'notices' | 'webhooks' | People | Access>,
      Same<Problem['status'], number>,
    ] = [true, true, true, true, true]
  `,
  'wrong.ts': `
    import { createMateClient, problemOf, type RouterOutputs } from 'mate/client'

    createMateClient({ url: 'https://mate.example.com' }) // TS2741
    const mate = createMateClient({ url: 'https://mate.example.com', apiKey: 'k' })
    mate.agent.list.query({}) // TS2551
    mate.apiKeys.generate.mutate({}) // TS2339
    mate.apiKeys.create.query({ name: 'CI', role: 'Tester' }) // TS2339
    mate.apiKeys.create.mutate({ name: 'CI', role: 'Admin' }) // TS2322
    mate.apiKeys.create.mutate({ role: 'Tester' }) // TS2741
    mate.agents.list.query({ limit: '5' }) // TS2322
    mate.agents.list.query({ page: 2 }) // TS2353
    const page = await mate.agents.list.query({})
    page.total // TS2339
    page.items[0]?.secret // TS2339
    const made = await mate.apiKeys.create.mutate({ name: 'CI', role: 'Tester' })
    made.key.toFixed() // TS2551
    const listed: RouterOutputs['apiKeys']['list']['items'][number] = made
    listed.key // TS2339
    problemOf(undefined)?.retryAfter // TS2339
  `,
  'entry.ts': `
    import { createMateClient, problemOf } from 'mate/client'

    export const open = (url: string, apiKey: string) => createMateClient({ url, apiKey })
    export const statusOf = (error: unknown) => problemOf(error)?.status
  `,
  'call.ts': `
    import { createMateClient, problemOf } from 'mate/client'

    const { MATE_URL: url = '', MATE_API_KEY: apiKey = '' } = process.env
    const mate = createMateClient({ url: url + '/', apiKey })
    const agents = await mate.agents.list.query({})
    const made = await mate.apiKeys.create.mutate({ name: 'From outside', role: 'Tester' })

    const batches: number[] = []
    const theirs = createMateClient({
      url,
      apiKey: made.key,
      fetch: (input, init) => {
        batches.push(new URL(String(input)).pathname.split(',').length)
        return fetch(input, init)
      },
    })
    const calls = await Promise.all(Array.from({ length: 45 }, () => theirs.me.get.query({})))
    const forbidden = await theirs.apiKeys.create.mutate({ name: 'x', role: 'Viewer' }).then(() => undefined, problemOf)
    const invalid = await mate.apiKeys.create.mutate({ name: '', role: 'Viewer' }).then(() => undefined, problemOf)
    await mate.apiKeys.revoke.mutate({ id: made.id })
    const revoked = await theirs.me.get.query({}).then(() => undefined, problemOf)
    const nobody = createMateClient({ url: 'http://127.0.0.1:1', apiKey })
    const unreachable = await nobody.me.get.query({}).then(() => 'answered', (error) => problemOf(error) ?? 'no problem')

    const who = [...new Set(calls.map((me) => me.id))]
    console.log(JSON.stringify({ agents, made, batches, calls: calls.length, who, forbidden, invalid, revoked, unreachable }))
  `,
}

const configs = {
  bundler: { module: 'ESNext', moduleResolution: 'bundler', target: 'ES2022', lib: ['ES2022', 'DOM', 'DOM.Iterable'] },
  nodenext: { module: 'NodeNext', moduleResolution: 'NodeNext', target: 'ES2022' },
}

beforeAll(async () => {
  mkdirSync(outside)
  for (const [name, text] of Object.entries(sources)) writeFileSync(join(outside, name), text)
  const devDependencies = { typescript: manifest.devDependencies.typescript }
  writeFileSync(
    join(outside, 'package.json'),
    JSON.stringify({ name: 'outside', private: true, type: 'module', devDependencies }),
  )
  for (const [name, options] of Object.entries(configs)) writeConfig(name, options, ['right.ts', 'wrong.ts'])
  await run('npm', ['run', '-s', 'package', '--', '--pack-destination', folder])
  const tarball = join(folder, `${manifest.name}-${manifest.version}.tgz`)
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', tarball], { cwd: outside })
}, 300_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

function writeConfig(name: string, options: object, files: string[]): void {
  const compilerOptions = {
    ...options,
    strict: true,
    skipLibCheck: false,
    exactOptionalPropertyTypes: true,
    types: [],
  }
  writeFileSync(join(outside, `tsconfig.${name}.json`), JSON.stringify({ compilerOptions, files }))
}

/** What `tsc --noEmit` complains about, as `file:line code`; a complaint without a place as it stands. */
async function complaints(config: string): Promise<string[]> {
  const args = [tsc, '--noEmit', '--pretty', 'false', '--project', `tsconfig.${config}.json`]
  const { stdout } = await run(process.execPath, args, { cwd: outside }).catch((error) => error)
  const lines: string[] = stdout.split('\n').filter((line: string) => /^\S/.test(line))
  return lines.map((line) => line.replace(/^(\S+)\((\d+),\d+\): error (TS\d+): .*$/, '$1:$2 $3'))
}

const expected = sources['wrong.ts'].split('\n').flatMap((line, index) => {
  const code = /\/\/ (TS\d+)$/.exec(line)?.[1]
  return code ? [`wrong.ts:${index + 1} ${code}`] : []
})

describe('the installed package', () => {
  test('brings its two dependencies and what they ask for, and nothing of the server', () => {
    const modules = join(outside, 'node_modules')
    const found = readdirSync(modules)
      .filter((name) => !name.startsWith('.'))
      .flatMap((name) => (name.startsWith('@') ? readdirSync(join(modules, name)).map((each) => `${name}/${each}`) : [name]))
      .filter((name) => !/^@typescript\//.test(name)) // the compiler’s binary, one a platform
    expect(found.sort()).toEqual(['@trpc/client', '@trpc/server', 'mate', 'typescript'])
  })

  test('holds the client, the declarations that it reaches, the command, and no source', () => {
    const files = readdirSync(join(outside, 'node_modules/mate'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(join(outside, 'node_modules/mate/').length))
    const scripts = files.filter((path) => !path.endsWith('.d.ts'))
    expect(scripts.sort()).toEqual(['README.md', 'cli/mate.js', 'client/index.js', 'package.json'])
    const texts = files
      .filter((path) => path.endsWith('.d.ts'))
      .map((path) => readFileSync(join(outside, 'node_modules/mate', path), 'utf8'))
    expect(texts.join('\n')).not.toMatch(/['"](zod|drizzle|#|node:|better-auth)/)
  })
})

describe('the installed command', () => {
  const mate = (args: string[], env: NodeJS.ProcessEnv = {}) =>
    run('npx', ['--no', 'mate', ...args], { cwd: outside, env: { ...process.env, ...env } }).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
    )

  test('asks the server that it is pointed to, with the key of the environment', async () => {
    const tenant = await seedTenant(server)
    const { key } = await seedKey(server, tenant.id, 'Tester')
    const env = { MATE_URL: server.url, MATE_API_KEY: key }
    expect(await mate(['run', '--suite', 'Smoke', '--agent', 'a'], env)).toEqual({
      code: 2,
      stdout: '',
      stderr: 'There is no suite “Smoke”. There is no suite at all.\n',
    })
  })

  test('brings scan and audit as well, and says what it has', async () => {
    const { key } = generateApiKey()
    writeFileSync(join(outside, 'leak.env'), `KEY=${key}\n`)
    expect(await mate(['scan', 'leak.env'])).toMatchObject({ code: 1, stderr: '1 files, 1 keys\n' })
    expect(await mate(['audit', 'verify', 'nowhere.ndjson'])).toMatchObject({ code: 2, stdout: '' })
    expect(await mate(['help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('npx mate run') })
    expect(await mate(['create-key'])).toMatchObject({ code: 2, stderr: expect.stringContaining('no command “create-key”') })
  })
})

test('npm pack in the checkout says how the package is made, and makes none', async () => {
  const failure = await run('npm', ['pack', '--pack-destination', folder]).catch((error) => error)
  expect(failure.stderr).toContain('npm run package')
})

describe.each(Object.keys(configs))('under tsc --noEmit with %s resolution, strict and without skipLibCheck', (resolution) => {
  test('right code passes, and wrong code is refused at exactly its lines', async () => {
    expect(expected).toHaveLength(13)
    expect(await complaints(resolution)).toEqual(expected)
  })
})

test('a CommonJS project gets the same types', async () => {
  const text = `import { createMateClient } from 'mate/client'
    createMateClient({ url: '', apiKey: '' }).me.get.query({})
    createMateClient({ url: '' })`
  writeFileSync(join(outside, 'common.cts'), text)
  writeConfig('common', configs.nodenext, ['common.cts'])
  expect(await complaints('common')).toEqual(['common.cts:3 TS2741'])
})

test('an editor completes the resources, operations, roles and fields', async () => {
  const text = [
    "import { createMateClient } from 'mate/client'",
    "const mate = createMateClient({ url: 'https://mate.example.com', apiKey: 'k' })",
    'mate.¦;',
    'mate.apiKeys.¦;',
    "mate.apiKeys.create.mutate({ name: 'CI', role: '¦' });",
    '(await mate.me.get.query({})).¦;',
  ].join('\n')
  const [resources, operations, roles, fields] = await complete('completion.ts', text)
  expect(resources).toEqual([
    ...['agents', 'apiKeys', 'auditLog', 'identityProviders', 'invitations', 'judgeSettings', 'me', 'metrics', 'notices'],
    ...['results', 'roles', 'runs', 'signInPolicy', 'tenants', 'testCases', 'testSuites', 'tokens', 'trustRules', 'users'],
    'webhooks',
  ])
  expect(operations).toEqual([
    'applyShadow',
    'bulkRevoke',
    'create',
    'delete',
    'dropShadow',
    'freeze',
    'get',
    'getFreeze',
    'getUsage',
    'list',
    'listPermissions',
    'reportLeak',
    'revoke',
    'rotate',
    'startShadow',
    'unfreeze',
    'update',
  ])
  expect(roles).toEqual(['SuperAdmin', 'TenantAdmin', 'Tester', 'Viewer'])
  expect(fields).toEqual([
    'allowedIps',
    'expiresAt',
    'id',
    'kind',
    'name',
    'operations',
    'requestsPerMinute',
    'role',
    'rotatesOutAt',
    'scopes',
    'tenant',
  ])
})

test('a bundle of the client is small and holds nothing of the server', async () => {
  const result = await build({
    root: outside,
    configFile: false,
    logLevel: 'silent',
    build: {
      write: false,
      minify: true,
      modulePreload: false,
      rolldownOptions: { input: join(outside, 'entry.ts'), preserveEntrySignatures: 'strict' },
    },
  })
  const { output } = result as Rolldown.RolldownOutput
  const chunks = output.filter((each) => each.type === 'chunk')
  const modules = chunks.flatMap((chunk) => chunk.moduleIds).filter((id) => !id.startsWith('\0'))
  const owners = new Set(
    modules.map((id) =>
      id
        .slice(outside.length + 1)
        .split(sep)
        .slice(0, 3)
        .join('/'),
    ),
  )
  expect([...owners].sort()).toEqual([
    'entry.ts',
    'node_modules/@trpc/client',
    'node_modules/@trpc/server', // what tRPC’s client and server share; next: none of it is a server
    'node_modules/mate/client',
  ])
  expect(modules.filter((id) => id.includes('node_modules/mate/'))).toEqual([join(outside, 'node_modules/mate/client/index.js')])
  const code = chunks.map((chunk) => chunk.code).join('\n')
  expect(code).not.toMatch(/node:|initTRPC|createCaller|drizzle|TenantAdmin|zod/i)
  // Measured: 20.5 kB minified, 7.0 kB with gzip; nearly all of it is tRPC’s client.
  expect(code.length).toBeLessThan(24_000)
  expect(gzipSync(code).length).toBeLessThan(8_000)
})

test('the installed client lists, creates, batches beyond 20 calls, and reads the problem of each refusal', async () => {
  const tenant = await seedTenant(server)
  const { key } = await seedKey(server, tenant.id, 'TenantAdmin')
  const env = { ...process.env, MATE_URL: server.url, MATE_API_KEY: key }
  const { stdout, stderr } = await run(process.execPath, ['call.ts'], { cwd: outside, env })
  const answer = JSON.parse(stdout)
  expect(answer.agents).toEqual({ items: [], nextCursor: null })
  expect(answer.made).toMatchObject({ name: 'From outside', role: 'Tester', status: 'active', key: expect.any(String) })
  expect(answer.calls).toBe(45)
  expect(answer.who).toEqual([answer.made.id])
  expect(answer.batches).toEqual([20, 20, 5, 1, 1])
  expect(answer.forbidden).toMatchObject({ status: 403, code: 'forbidden', requestId: expect.any(String) })
  expect(answer.invalid).toMatchObject({ status: 400, errors: [{ path: 'name', message: 'Must not be empty.' }] })
  expect(answer.revoked).toMatchObject({ status: 401, code: 'unauthorized', title: 'Not authenticated' })
  expect(answer.unreachable).toBe('no problem')
  expect(stderr).toBe('')
})

describe('createMateClient', () => {
  test('acts in the tenant that it is given', async () => {
    const [home, other] = [await seedTenant(server), await seedTenant(server)]
    const { key: apiKey } = await seedKey(server, home.id, 'SuperAdmin')
    const me = await createMateClient({ url: server.url, apiKey, tenantId: other.id }).me.get.query({})
    expect(me.tenant).toEqual(other)
    expect((await createMateClient({ url: server.url, apiKey }).me.get.query({})).tenant).toEqual(home)
  })

  test('splits calls whose inputs would make one URL longer than servers take', async () => {
    const tenant = await seedTenant(server)
    const { key: apiKey } = await seedKey(server, tenant.id, 'TenantAdmin')
    const sent: string[] = []
    const spy: typeof fetch = (input, init) => {
      sent.push(String(input))
      return fetch(input, init)
    }
    const mate = createMateClient({ url: server.url, apiKey, fetch: spy })
    const pages = await Promise.all(Array.from({ length: 20 }, () => mate.apiKeys.list.query({ search: 'ü'.repeat(200) })))
    expect(pages).toHaveLength(20)
    expect(sent.length).toBeGreaterThan(1)
    expect(Math.max(...sent.map((url) => url.length))).toBeLessThanOrEqual(8000)
    const longest = { action: '€'.repeat(100), entityType: '€'.repeat(100), actor: '€'.repeat(200), search: '€'.repeat(200) }
    expect(await mate.auditLog.list.query(longest)).toEqual({ items: [], nextCursor: null })
  })

  test.each([
    '',
    'mate.example.com',
    'ftp://mate.example.com',
    'https://u:p@mate.example.com',
    'https://mate.example.com/?a=b',
    undefined,
  ])('refuses %j as the address, and quotes neither it nor the key', (url) => {
    const attempt = () => createMateClient({ url: url as string, apiKey: 'mate_the-secret' })
    expect(attempt).toThrow(
      new TypeError('createMateClient: url must be an http or https address such as https://mate.example.com, nothing more.'),
    )
  })

  test.each(['', 'mate_the-secret\nX-Evil: 1', 'mate_the secret', 'mate_thé-secret', undefined])(
    'refuses %j as the key, unquoted',
    (apiKey) => {
      const attempt = () => createMateClient({ url: server.url, apiKey: apiKey as string })
      expect(attempt).toThrow(/^createMateClient: apiKey must be an API key/)
      expect(attempt).not.toThrow(/secret/)
    },
  )

  test('does not carry the key along a redirect, and quotes it in no error', async () => {
    const reached: string[] = []
    const target = createServer((request, response) => {
      reached.push(String(request.headers['x-api-key']))
      response.end('{}')
    })
    const redirecting = createServer((request, response) => {
      response.writeHead(307, { Location: `http://127.0.0.1:${(target.address() as AddressInfo).port}${request.url}` }).end()
    })
    try {
      for (const each of [target, redirecting]) await new Promise<void>((resolve) => each.listen(0, '127.0.0.1', resolve))
      const url = `http://127.0.0.1:${(redirecting.address() as AddressInfo).port}`
      const error = await createMateClient({ url, apiKey: 'mate_the-secret' })
        .me.get.query({})
        .catch((reason) => reason)
      expect(error).toBeInstanceOf(Error)
      expect(problemOf(error)).toBeUndefined()
      for (let at = error; at instanceof Error; at = at.cause)
        expect(`${at.stack}${JSON.stringify(at)}`).not.toContain('the-secret')
      expect(reached).toEqual([])
    } finally {
      for (const each of [target, redirecting]) each.close().closeAllConnections()
    }
  })
})

/** What the language server of the outside project's TypeScript offers at each `¦` of the text, sorted. */
async function complete(name: string, marked: string): Promise<string[][]> {
  const uri = pathToFileURL(join(outside, name)).href
  const text = marked.replaceAll('¦', '')
  const positions = marked
    .split('\n')
    .flatMap((line, index) => (line.includes('¦') ? [{ line: index, character: line.indexOf('¦') }] : []))
  writeFileSync(join(outside, name), text)
  writeFileSync(
    join(outside, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: { ...configs.nodenext, strict: true }, files: [name] }),
  )

  const child = spawn(process.execPath, [tsc, '--lsp', '--stdio'], { cwd: outside, stdio: ['pipe', 'pipe', 'ignore'] })
  const waiting = new Map<number, (result: unknown) => void>()
  const send = (message: object) => {
    const body = JSON.stringify({ jsonrpc: '2.0', ...message })
    child.stdin.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
  }
  const request = <T>(method: string, params: unknown) =>
    new Promise<T>((resolve) => {
      const id = waiting.size + 1
      waiting.set(id, resolve as (result: unknown) => void)
      send({ id, method, params })
    })
  let received = Buffer.alloc(0)
  child.stdout.on('data', (chunk) => {
    received = Buffer.concat([received, chunk])
    for (;;) {
      const start = received.indexOf('\r\n\r\n') + 4
      const length = Number(/Content-Length: (\d+)/.exec(received.toString('latin1', 0, start))?.[1])
      if (start < 4 || received.length < start + length) return
      const { id, method, params, result } = JSON.parse(received.toString('utf8', start, start + length))
      received = received.subarray(start + length)
      if (method === undefined) waiting.get(id)?.(result)
      else if (id !== undefined) send({ id, result: method === 'workspace/configuration' ? params.items.map(() => null) : null })
    }
  })
  try {
    await request('initialize', { processId: process.pid, rootUri: pathToFileURL(outside).href, capabilities: {} })
    send({ method: 'initialized', params: {} })
    send({ method: 'textDocument/didOpen', params: { textDocument: { uri, languageId: 'typescript', version: 1, text } } })
    const answers: string[][] = []
    for (const position of positions) {
      const list = await request<{ items: { label: string }[] }>('textDocument/completion', { textDocument: { uri }, position })
      answers.push(list.items.map(({ label }) => label).sort())
    }
    return answers
  } finally {
    child.kill()
  }
}
