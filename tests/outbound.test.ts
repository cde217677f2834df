import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { HttpResponse, http } from 'msw'
import { expect, onTestFinished, test } from 'vitest'
import { outbound } from './outbound.ts'

test('a request to any other host than this one by fetch never leaves, unless the test answers it', async () => {
  let requests = 0
  const listener = createServer((_, response) => response.end(`${++requests}`)).listen(0)
  onTestFinished(() => void listener.close())
  const { port } = listener.address() as AddressInfo
  // Reaches this machine, and so would succeed; its name is none of those that are let through.
  const url = `http://0.0.0.0:${port}/`

  await expect(fetch(url)).rejects.toThrow('fetch failed')
  expect(requests).toBe(0)
  outbound.use(http.get(url, () => HttpResponse.text('mocked')))
  expect(await (await fetch(url)).text()).toBe('mocked')
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('1')
})
