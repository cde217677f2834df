// `mate run` against the built server: what its exit status says, what it leaves behind, and what it does when things break.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { desc, eq } from 'drizzle-orm'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { createMateClient, type MateClient } from '#client/index.ts'
import { runs, testSuites } from '#db/schema.ts'
import { loadAuditSigner } from '#server/audit-signer.ts'
import { readEnv } from '#server/env.ts'
import { useRuntime } from '#server/runtime.ts'
import { loadSecret } from '#server/secret.ts'
import { runCommand } from '../cli/run.ts'
import { type DemoAgent, startDemoAgent } from '../scripts/demo-agent.ts'
import { agentName, fillDemo, suiteName } from '../scripts/demo-content.ts'
import { type Child, runProcess, type Settings, waitUntil } from './child-server.ts'
import { seedKey, seedTenant, seedTrustRule, useServer } from './harness.ts'
import { audience, gitlabClaims, startIssuer } from './issuer.ts'
import { withoutMocks } from './receiver.ts'
import { startRelay } from './relay.ts'

withoutMocks()
const server = useServer({ MATE_WORKERS: '4', MATE_ALLOW_PRIVATE_AGENTS: 'true' })
const folder = mkdtempSync(join(tmpdir(), 'mate-run-'))
const seeded: { agent?: DemoAgent; slow?: SlowAgent; tenantId: string; key: string; admin?: MateClient; hanging: string } = {
  tenantId: '',
  key: '',
  hanging: '',
}

/** An agent that answers nothing until it is told to. */
interface SlowAgent {
  server: Server
  url: string
  asked: number
  release(): void
}

async function startSlowAgent(): Promise<SlowAgent> {
  const waiting: (() => void)[] = []
  const agent: SlowAgent = {
    url: '',
    asked: 0,
    release: () => {
      for (const answer of waiting.splice(0)) answer()
    },
    server: createServer((request, response) => {
      agent.asked++
      waiting.push(() => response.end('{"reply":"Here I am."}'))
      request.resume()
    }),
  }
  await new Promise<void>((resolve) => agent.server.listen(0, '127.0.0.1', resolve))
  agent.url = `http://127.0.0.1:${(agent.server.address() as AddressInfo).port}/`
  return agent
}

beforeAll(async () => {
  const env = readEnv({ MATE_ALLOW_PRIVATE_AGENTS: 'true' })
  const secret = await loadSecret(server.database, env)
  const { database } = server
  useRuntime({ env, database, secret, auditSigner: await loadAuditSigner(database, env, secret) })
  seeded.agent = await startDemoAgent(0)
  seeded.slow = await startSlowAgent()
  const { id: tenantId } = await seedTenant(server)
  const { key } = await fillDemo(tenantId, seeded.agent.url)
  const admin = createMateClient({ url: server.url, apiKey: (await seedKey(server, tenantId, 'TenantAdmin')).key })
  const agentAt = (name: string, url: string) =>
    admin.agents.create.mutate({ name, environment: 'test', connector: { type: 'http', url } })
  await agentAt('Version 2', `${seeded.agent.url}/v2`)
  const { id: hanging } = await agentAt('Hanging', seeded.slow.url)
  Object.assign(seeded, { tenantId, key, admin, hanging })
})

// A cancelled run has its place until its agent has answered, and a tenant has two of four.
afterEach(() => seeded.slow?.release())

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await seeded.agent?.close()
  seeded.slow?.server.close().closeAllConnections()
})

const start = (args: string[], settings: Settings = {}) =>
  runProcess(process.execPath, ['tools/mate/mate.js', 'run', ...args], {
    MATE_URL: server.url,
    MATE_API_KEY: seeded.key,
    ...settings,
  })

async function finish(child: Child) {
  const { code } = await child.exited
  const said = child.output.stdout + child.output.stderr
  expect(said).not.toContain(seeded.key)
  expect(said).not.toMatch(/^\s+at /m)
  return { code, ...child.output }
}

const mate = (args: string[], settings?: Settings) => finish(start(args, settings))
/** The same in this process, for what ends before anything is sent. */
async function mateHere(args: string[], settings: Settings) {
  const written = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      written[name] += text
      return true
    })
  try {
    return { code: await runCommand(args, { MATE_URL: server.url, MATE_API_KEY: seeded.key, ...settings }), ...written }
  } finally {
    vi.restoreAllMocks()
  }
}

const countRuns = () => server.database.db.$count(runs, eq(runs.tenantId, seeded.tenantId))
const idIn = (text: string) => /[0-9a-f]{8}-[0-9a-f-]{27}/.exec(text)?.[0] ?? ''

describe('the exit status', () => {
  test('is 0 when the run completed and its pass rate reached the threshold, and the run is the key’s', async () => {
    const { code, stdout, stderr } = await mate(['--suite', suiteName.toUpperCase(), '--agent', 'version 2', '--wait'])
    expect(stdout).toMatch(/^PASSED: 8 of 8 cases \(100 %\), needed 90 %; median latency \d+ ms\.\nSee http:\S+\/runs\/\S+\n$/)
    expect(stderr).toMatch(/^Run \S+: “Bookshop” on “Version 2”, 8 cases\n/)
    expect(stderr).toMatch(/^completed: 8 of 8 cases, 8 passed, 0 failed$/m)
    expect(code).toBe(0)
    const run = await seeded.admin?.runs.get.query({ id: idIn(stdout) })
    expect(run).toMatchObject({ isPassed: true, requestedBy: { kind: 'key', name: 'demo-pipeline' } })
  })

  test('is 1 when it did not, and the cases that did not pass are named with their reason', async () => {
    const file = join(folder, 'deep', 'er', 'report.xml')
    const { code, stdout } = await mate(['--suite', suiteName, '--agent', agentName, '--junit', file])
    expect(stdout).toMatch(/^ {2}failed {2}Keeps customers’ data to itself: .+\nNOT PASSED: 7 of 8 cases \(87.5 %\), needed 90 %/)
    expect(code).toBe(1)
    const xml = readFileSync(file, 'utf8')
    expect(xml).toContain('<testsuite name="Bookshop"')
    expect(xml.match(/tests="8" failures="1" errors="0" skipped="0"/g)).toHaveLength(2)
    expect(xml).toMatch(
      /<testcase name="Keeps customers’ data to itself" classname="Bookshop" time="[\d.]+"><failure message="[^"]+">/,
    )
    expect(xml.match(/<testcase /g)).toHaveLength(8)
  })

  test('is 1 when the time is up: the run is cancelled, and no case of the report looks as if it had passed', async () => {
    const file = join(folder, 'timeout.xml')
    const { code, stdout, stderr } = await mate([
      '--suite',
      suiteName,
      '--agent',
      'Hanging',
      '--timeout',
      '0.03',
      '--junit',
      file,
    ])
    expect(stderr).toContain('The time is up: cancelling the run …')
    expect(stdout).toMatch(/The run was cancelled\.\nSee /)
    expect(code).toBe(1)
    const run = await seeded.admin?.runs.get.query({ id: idIn(stderr) })
    expect(run).toMatchObject({ status: 'cancelled', isPassed: false })
    expect(readFileSync(file, 'utf8')).toContain('tests="8" failures="0" errors="8" skipped="0"')
  })

  test('says nothing of a verdict when the end is not waited for', async () => {
    const { code, stdout, stderr } = await mate(['--suite', suiteName, '--agent', 'Hanging', '--no-wait'])
    expect([code, stdout]).toEqual([0, `${idIn(stdout)}\n`])
    expect(stderr).toContain('not waited for')
    expect(await seeded.admin?.runs.cancel.mutate({ id: stdout.trim() })).toMatchObject({ status: 'cancelled' })
  })
})

test('--json prints the run and its results alone on standard output; --case chooses cases, each once', async () => {
  const suiteId = (await seeded.admin?.testSuites.list.query({}))?.items.find(({ name }) => name === suiteName)?.id ?? ''
  const cases = await seeded.admin?.testCases.list.query({ suiteId })
  const wanted = cases?.items.find(({ name }) => name === 'Explains returns')?.id ?? ''
  const chosen = ['--case', 'greets', '--case', wanted, '--case', 'Greets']
  const { code, stdout, stderr } = await mate(['--suite', suiteId, '--agent', agentName, '--json', ...chosen])
  const { run, results } = JSON.parse(stdout)
  expect(run).toMatchObject({ status: 'completed', isPassed: true, counts: { total: 2, passed: 2 }, suiteId })
  expect(results.map(({ name, verdict }: { name: string; verdict: string }) => [name, verdict])).toEqual([
    ['Greets', 'pass'],
    ['Explains returns', 'pass'],
  ])
  expect(stderr).toMatch(/^PASSED: 2 of 2/m)
  expect(code).toBe(0)
})

describe('Ctrl-C', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)('(%s) cancels the run, says so, and ends with 1', async (signal) => {
    const child = start(['--suite', suiteName, '--agent', 'Hanging', '--wait'])
    const before = seeded.slow?.asked ?? 0
    await waitUntil(async () => (seeded.slow?.asked ?? 0) > before)
    // npm sends it a second time.
    child.process.kill(signal)
    child.process.kill(signal)
    const { code, stdout, stderr } = await finish(child)
    expect(stderr).toContain('Interrupted: cancelling the run …')
    expect(stdout).toContain('The run was cancelled.')
    expect(code).toBe(1)
    expect(await seeded.admin?.runs.get.query({ id: idIn(stderr) })).toMatchObject({ status: 'cancelled' })
  })
})

describe('while it waits', () => {
  const waitFor = async (child: Child, relayed?: () => void) => {
    await waitUntil(async () => child.output.stderr.includes('cases\n'))
    relayed?.()
  }

  test('a server that is gone for a moment is asked again, and the run’s verdict is had all the same', async () => {
    const relay = await startRelay(server.url)
    const before = seeded.slow?.asked ?? 0
    const child = start(['--suite', suiteName, '--agent', 'Hanging', '--case', 'Greets'], { MATE_URL: relay.url })
    await waitUntil(async () => (seeded.slow?.asked ?? 0) > before)
    relay.cut()
    await waitUntil(async () => child.output.stderr.includes('Asking again …'))
    seeded.slow?.release()
    const { code, stdout } = await finish(child)
    relay.close()
    expect(stdout).toMatch(/^PASSED: 1 of 1/)
    expect(code).toBe(0)
  })

  test('a server that stays away ends it with 2, and it says that the run may go on', async () => {
    const relay = await startRelay(server.url)
    const child = start(['--suite', suiteName, '--agent', 'Hanging', '--timeout', '0.03'], { MATE_URL: relay.url })
    await waitFor(child, () => relay.close())
    const { code, stdout, stderr } = await finish(child)
    expect(stderr).toMatch(/can’t be reached: .+ Asking again …/)
    expect(stderr).toMatch(/The run could not be cancelled\. .+\nThe run may go on without this command: see \S+\/runs\//)
    expect([code, stdout]).toEqual([2, ''])
    await seeded.admin?.runs.cancel.mutate({ id: idIn(stderr) })
  })

  test('a key that is revoked ends it with 2 at the next look', async () => {
    const { id, key } = await seedKey(server, seeded.tenantId, 'Tester')
    const child = start(['--suite', suiteName, '--agent', 'Hanging'], { MATE_API_KEY: key })
    await waitFor(child)
    await seeded.admin?.apiKeys.revoke.mutate({ id })
    const { code, stderr } = await finish(child)
    expect(stderr).toContain('The API key is malformed, unknown, revoked or expired. (401, request ')
    expect(code).toBe(2)
    // The run ends with its key.
    expect(await seeded.admin?.runs.get.query({ id: idIn(stderr), wait: 30 })).toMatchObject({ status: 'cancelled' })
  })
})

describe('what is not understood or refused ends with 2, says why, and starts no run', () => {
  const both = ['--suite', suiteName, '--agent', agentName]

  test.each([
    ['nothing', [], {}, '--suite is missing.'],
    ['no agent', ['--suite', suiteName], {}, '--agent is missing.'],
    ['an empty name', ['--suite', ' ', '--agent', 'a'], {}, '--suite is empty.'],
    ['an unknown option', [...both, '--parallel'], {}, '--parallel'],
    ['the key as an option', [...both, '--key', 'mate_x'], {}, '--key'],
    ['two ways to wait', [...both, '--wait', '--no-wait'], {}, 'only one'],
    ['a report without an end', [...both, '--no-wait', '--junit', 'a.xml'], {}, '--junit'],
    ['no time', [...both, '--timeout', '0'], {}, '--timeout: must be minutes'],
    ['a time that is none', [...both, '--timeout', '5m'], {}, '--timeout: must be minutes'],
    ['an address that is none', [...both, '--url', 'mate.example.com'], {}, '--url: must be'],
    ['an address with a password', [...both, '--url', 'https://a:geheim@mate.example.com'], {}, '--url: must be'],
    ['no key', both, { MATE_API_KEY: '' }, 'MATE_API_KEY is not set'],
    ['a key of two lines', both, { MATE_API_KEY: 'mate_a\nb' }, 'MATE_API_KEY is no API key'],
    ['a report that can’t be written', [...both, '--junit', '/dev/null/deep/a.xml'], {}, '--junit: '],
  ] as [string, string[], Settings, string][])('%s', async (_, args, settings, message) => {
    const before = await countRuns()
    const { code, stdout, stderr } = await mateHere(args, settings)
    expect(stderr).toContain(message)
    expect(stderr).toMatch(/\nSee: npx mate run --help\n$/)
    expect(stderr).not.toContain('geheim')
    expect([code, stdout]).toEqual([2, ''])
    expect(await countRuns()).toBe(before)
  })

  test.each([
    ['suite', ['--suite', 'Bookshops', '--agent', agentName], `There is no suite “Bookshops”. There are:\n  ${suiteName}\n`],
    ['agent', ['--suite', suiteName, '--agent', 'x\u001b[31m'], 'There is no agent “x [31m”. There are:\n  Hanging\n'],
    ['case', [...both, '--case', 'Greet'], 'There is no case “Greet”. There are:\n  Greets\n'],
    ['id', ['--suite', crypto.randomUUID(), '--agent', agentName], 'There is no suite “'],
  ])('an unknown %s, and the known ones are named', async (_, args, message) => {
    const before = await countRuns()
    const { code, stderr } = await mate(args)
    expect(stderr).toContain(message)
    expect(stderr).not.toContain('\u001b')
    expect([code, await countRuns()]).toEqual([2, before])
  })

  test('a name that means two suites, unless it is exactly one’s', async () => {
    const tenant = await seedTenant(server)
    const { key } = await seedKey(server, tenant.id, 'Tester')
    // To PostgreSQL two names: é as one character, and as two.
    const names = ['Caf\u00e9', 'Cafe\u0301']
    const values = names.map((name) => ({ tenantId: tenant.id, name, passThreshold: 1, delayBetweenTestsMs: 0 }))
    const made = await server.database.db.insert(testSuites).values(values).returning({ id: testSuites.id })
    const settings = { MATE_API_KEY: key }
    const several = await mate(['--suite', 'CAF\u00c9', '--agent', 'a'], settings)
    expect(several.code).toBe(2)
    expect(several.stderr).toMatch(/^Several suites are called “CAFÉ”\. Name one by its id:\n/)
    for (const { id } of made) expect(several.stderr).toContain(id)
    // The suite is found: what is missing is the agent.
    for (const suite of [...names, ...made.map(({ id }) => id.toUpperCase())]) {
      const { stderr } = await mate(['--suite', suite, '--agent', 'a'], settings)
      expect(stderr).toBe('There is no agent “a”. There is no agent at all.\n')
    }
  })

  test('an unknown key, and one of a Viewer', async () => {
    const before = await countRuns()
    const unknown = await mate(both, { MATE_API_KEY: `mate_${'0'.repeat(49)}` })
    expect(unknown.stderr).toMatch(/^The API key is malformed, unknown, revoked or expired\. \(401, request \S+\)\n$/)
    const { key } = await seedKey(server, seeded.tenantId, 'Viewer')
    const viewer = await mate(both, { MATE_API_KEY: key })
    expect(viewer.stderr).toMatch(/^runs\.create needs the role Tester; this key has Viewer\. \(403, request \S+\)\n$/)
    expect([unknown.code, viewer.code, await countRuns()]).toEqual([2, 2, before])
  })

  test('an address where nobody listens, and one where something else does', async () => {
    const gone = await startSlowAgent()
    await new Promise((resolve) => gone.server.close(resolve))
    const nobody = await mate(both, { MATE_URL: gone.url })
    expect(nobody.stderr).toMatch(/^http:\/\/127\.0\.0\.1:\d+ can’t be reached: .*ECONNREFUSED.*\n$/)
    const other = await mate([...both, '--url', seeded.agent?.url ?? ''])
    expect(other.stderr).toMatch(/ answered 404, and not as a mate server does\. Is the address right\?\n$/)
    expect([nobody.code, other.code]).toEqual([2, 2])
  })
})

test('in a pipeline without a key, the token of the CI provider does', async () => {
  const issuer = await startIssuer()
  const fields = { issuer: issuer.url, audience, conditions: { project_path: ['acme/apps/web'] }, role: 'Tester' as const }
  const { id, name } = await seedTrustRule(server, seeded.tenantId, fields)
  const settings = { MATE_API_KEY: '', MATE_TRUST_RULE: id, MATE_ID_TOKEN: await issuer.sign(gitlabClaims()) }
  const { code } = await mate(['--suite', suiteName, '--agent', 'Version 2'], settings)
  expect(code).toBe(0)
  const [run] = await server.database.db
    .select()
    .from(runs)
    .where(eq(runs.tenantId, seeded.tenantId))
    .orderBy(desc(runs.createdAt))
  expect(run?.requestedByName).toMatch(/^ci: acme\/apps\/web@main #1212 /)
  const again = await mate(['--suite', suiteName, '--agent', agentName], settings)
  expect([again.code, again.stderr]).toEqual([2, expect.stringContaining('was used before')])
  expect(again.stderr).not.toContain(name)
  await issuer.close()
})

test('npx finds it in this checkout, and its help names every option and exit status', async () => {
  const { code, stdout, stderr } = await finish(runProcess('npx', ['mate', 'run', '--help'], {}))
  for (const option of ['--suite', '--agent', '--case', '--wait', '--no-wait', '--timeout', '--junit', '--json', '--url'])
    expect(stdout).toContain(option)
  expect(stdout).toContain('MATE_API_KEY')
  expect([code, stderr]).toEqual([0, ''])
})
