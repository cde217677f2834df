// docs/webhooks.md: the receivers in it are run as they stand there, and believe our events and no others.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { generateWebhookSecret, signWebhook } from '#server/webhook-signature.ts'
import { makeFolder, runProcess, waitUntil } from './child-server.ts'

const page = readFileSync('docs/webhooks.md', 'utf8')
const codeIn = (language: string) => page.split(`\`\`\`${language}\n`)[1]?.split('\n```')[0] ?? ''

function hasPython(): boolean {
  try {
    execFileSync('python3', ['--version'])
    return true
  } catch {
    return false
  }
}

const receivers = [
  ['TypeScript', 'ts', process.execPath],
  ...(hasPython() ? [['Python', 'python', 'python3'] as const] : []),
] as const

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

describe.each(receivers)('the receiver in %s', (_, language, command) => {
  test('takes a signed event, one signed by either of two secrets, and refuses what was changed, is old, or is not signed', async () => {
    const file = join(makeFolder(), `receiver.${language === 'ts' ? 'mts' : 'py'}`)
    writeFileSync(file, codeIn(language))
    const secret = generateWebhookSecret()
    const port = await freePort()
    const child = runProcess(command, [file], { MATE_WEBHOOK_SECRET: secret, PORT: String(port) })
    const now = Math.floor(Date.now() / 1_000)
    const body = '{"type":"webhook.test","data":{"text":"ä🔑"}}'
    const post = (headers: Record<string, string>, text = body) =>
      fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers, body: text }).then(
        (response) => response.status,
        () => 0,
      )
    const headersOf = (secrets: string[], at = now) => ({
      'webhook-id': 'a',
      'webhook-timestamp': String(at),
      'webhook-signature': signWebhook(secrets, 'a', at, body),
    })
    await waitUntil(async () => (await post({})) === 401)
    const other = generateWebhookSecret()
    expect(await post(headersOf([secret]))).toBe(204)
    expect(await post(headersOf([other, secret]))).toBe(204)
    expect(await post(headersOf([secret]), body.replace('test', 'fake'))).toBe(401)
    expect(await post({ ...headersOf([secret]), 'webhook-id': 'b' })).toBe(401)
    expect(await post(headersOf([other]))).toBe(401)
    expect(await post(headersOf([secret], now - 301))).toBe(401)
    expect(await post({ ...headersOf([secret]), 'webhook-signature': 'v1,' })).toBe(401)
    await waitUntil(async () => child.output.stdout.includes('webhook.test'))
    await child.kill('SIGKILL')
  })
})
