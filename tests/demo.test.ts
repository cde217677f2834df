// `npm run demo` as a process: what a newcomer is told works, and a second start finds everything as it was.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createMateClient } from '#client/index.ts'
import { type Child, makeFolder, runProcess, waitUntil } from './child-server.ts'

interface Demo extends Child {
  url: string
  text: string
}

async function startDemo(...args: string[]): Promise<Demo> {
  const child = runProcess(process.execPath, ['scripts/demo.ts', '--agent-port', '0', ...args], { PORT: '0', HOST: '127.0.0.1' })
  const ended = child.exited.then(({ code }) => {
    throw new Error(`the demo ended with ${code}: ${child.output.stdout}${child.output.stderr}`)
  })
  const told = waitUntil(async () => child.output.stdout.includes('Ctrl-C ends both.'))
  await Promise.race([told, ended])
  ended.catch(() => {}) // ended on purpose by then
  const text = child.output.stdout
  return { ...child, text, url: /^mate is at (\S+)$/m.exec(text)?.[1] ?? '' }
}

const signIn = ({ url }: Demo, password: string) =>
  fetch(`${url}/sign-in`, {
    method: 'POST',
    redirect: 'manual',
    headers: { origin: url, 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ email: 'demo@example.com', password }).toString(),
  })

/** How many there are of everything. */
async function inventory({ url }: Demo, apiKey: string) {
  const mate = createMateClient({ url, apiKey })
  const [agents, suites, judges, runs] = await Promise.all([
    mate.agents.list.query({}),
    mate.testSuites.list.query({}),
    mate.judgeSettings.list.query({}),
    mate.runs.list.query({}),
  ])
  const counts = { agents: agents.items.length, judges: judges.items.length, runs: runs.items.length }
  return { ...counts, suites: suites.items.map(({ name, caseCount }) => [name, caseCount]), run: runs.items[0] }
}

describe('the demo', () => {
  const folder = makeFolder()
  const first: { demo?: Demo; key: string; password: string } = { key: '', password: '' }

  beforeAll(async () => {
    first.demo = await startDemo('--data', folder)
    first.key = /MATE_API_KEY=(mate_\w{49})$/m.exec(first.demo.text)?.[1] ?? ''
    first.password = /^ {2}Password {5}(\S+)$/m.exec(first.demo.text)?.[1] ?? ''
    await waitUntil(async () => first.demo?.output.stdout.includes('A first run has') ?? false)
  })

  afterAll(() => first.demo?.kill('SIGTERM'))

  test('lets its person in with the password that it printed', async () => {
    if (!first.demo) throw new Error('no demo')
    expect((await signIn(first.demo, first.password)).status).toBe(302)
    expect((await signIn(first.demo, `${first.password}x`)).status).toBe(400)
  })

  test('has done one real run, as its Tester key’s, that passed what is right and failed what is wrong', async () => {
    if (!first.demo) throw new Error('no demo')
    const { run, ...counts } = await inventory(first.demo, first.key)
    expect(counts).toEqual({ agents: 1, judges: 1, runs: 1, suites: [['Bookshop', 8]] })
    expect(run).toMatchObject({ status: 'completed', isPassed: false, requestedBy: { kind: 'key', name: 'demo-pipeline' } })
    expect(run?.counts).toEqual({ total: 8, passed: 7, failed: 1, skipped: 0, errors: 0 })
    expect(run?.latency.p95Ms).toBeGreaterThan(1_000)
    expect(first.demo.output.stdout).toContain(`7 of 8 cases passed. ${first.demo.url}/runs/${run?.id}`)
    const mate = createMateClient({ url: first.demo.url, apiKey: first.key })
    const { items } = await mate.results.list.query({ id: run?.id ?? '' })
    expect(items.filter(({ verdict }) => verdict !== 'pass').map(({ name }) => name)).toEqual(['Keeps customers’ data to itself'])
  })

  test('prints lines for the command line that work as they stand', async () => {
    const [, exports = '', command = ''] = /:\n((?: {2}export .+\n)+) {2}(npx mate run .+)\n/.exec(first.demo?.text ?? '') ?? []
    const child = runProcess('sh', ['-c', `${exports.replace(/^ +/gm, '')}${command}`], {})
    expect(await child.exited).toMatchObject({ code: 1 })
    expect(child.output.stdout).toContain('NOT PASSED: 7 of 8 cases (87.5 %), needed 90 %')
  })

  test('started again, doubles nothing, keeps the password and the key, and shows neither', async () => {
    if (!first.demo) throw new Error('no demo')
    const before = await inventory(first.demo, first.key)
    expect(await first.demo.kill('SIGINT')).toEqual({ code: 0, signal: null })
    first.demo = await startDemo('--data', folder)
    expect(first.demo.text).not.toMatch(/mate_\w{20}/)
    expect(first.demo.text).toContain('as at the first start')
    expect((await signIn(first.demo, first.password)).status).toBe(302)
    expect(await inventory(first.demo, first.key)).toEqual(before)
    // The agent has another port by now.
    const mate = createMateClient({ url: first.demo.url, apiKey: first.key })
    const { items } = await mate.agents.list.query({})
    expect(items[0]?.connector.url).toBe(/http:\S+\/v1/.exec(first.demo.text)?.[0])
  })

  test('does not start over what another process uses', async () => {
    await expect(startDemo('--data', folder, '--fresh')).rejects.toThrow('Another process uses the database')
  })
})
