// What is written to standard error: one JSON object a line, without keys and parameters, even right before the end.
import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { generateApiKey } from '#server/api-key.ts'

/** Runs `code` with `log` in a process of its own, which ends in the same tick; the objects that it wrote. */
function entriesOf(code: string): Record<string, unknown>[] {
  const script = `import { log, logFailure } from './server/log.ts'\n${code}\nprocess.exit(3)`
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', script], { encoding: 'utf8' })
  expect({ status, end: stderr.at(-1) }, stderr).toEqual({ status: 3, end: '\n' })
  return stderr
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
}

test('a process that ends right after it wrote loses nothing, though the pipe is long full', () => {
  const entries = entriesOf(`for (let i = 0; i < 3_000; i++) log('info', 'x'.repeat(100), { i })`)
  expect(entries.filter(({ i }, at) => i !== at)).toEqual([])
  expect(entries).toHaveLength(3_000)
})

test('a line has its level as a text, its time, and the facts; line breaks and controls in a text break no line', () => {
  const [entry] = entriesOf(`log('warn', 'two\\nlines\\u2028', { requestId: 'r-1', n: 1, missing: undefined })`)
  expect(entry).toEqual({ level: 'warn', message: 'two\nlines\u2028', requestId: 'r-1', n: 1, time: expect.any(String) })
  expect(new Date(String(entry?.time)).toISOString()).toBe(entry?.time)
})

test('a failure keeps its causes, and loses the parameters of its query and any key, in messages and in stacks', () => {
  const { key } = generateApiKey()
  const secret = 'parameter-of-a-query'
  const [entry] = entriesOf(`
    const driver = Object.assign(new Error('relation "${key}" does not exist'), { code: '42P01' })
    const query = new Error('Failed query: select $1\\nparams: ${secret},2', { cause: driver })
    const outer = new Error('Failed query: select $1\\nparams: ${secret},2', { cause: query })
    logFailure('r-2', outer, 'agents.list')`)
  const text = JSON.stringify(entry)
  expect(entry).toMatchObject({ level: 'error', requestId: 'r-2', operation: 'agents.list' })
  expect(entry?.error).toMatchObject({
    message: 'Failed query: select $1',
    stack: expect.stringMatching(/^Error: Failed query: select \$1$/),
    cause: { message: 'Failed query: select $1', cause: { code: '42P01', message: expect.stringContaining(key.slice(0, 12)) } },
  })
  for (const hidden of [key, key.slice(0, 16), secret]) expect(text).not.toContain(hidden)
})

test('a key is cut out of whatever is written, however deep it stands', () => {
  const { key } = generateApiKey()
  const text = JSON.stringify(entriesOf(`log('info', 'with ${key}', { note: { deep: ['a${key}b'] }, '${key}': 1 })`))
  expect(text.match(/mate_/g)).toHaveLength(3)
  expect(text).not.toContain(key.slice(0, 16))
})
