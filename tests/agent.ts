// An agent on loopback: it keeps what it was sent, and answers as it is told.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll } from 'vitest'

export interface AgentRequest {
  message: string
  conversationId: string
  history: { role: string; content: string }[]
}

export interface LoopbackAgent {
  url: string
  asked: AgentRequest[]
  /** Echoes until it is told otherwise. */
  reply: (request: AgentRequest) => string | Promise<string>
  close(): Promise<void>
}

export async function startAgent(): Promise<LoopbackAgent> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', async () => {
      const asked = JSON.parse(Buffer.concat(chunks).toString()) as AgentRequest
      agent.asked.push(asked)
      const reply = await agent.reply(asked)
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify({ reply }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const agent: LoopbackAgent = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/chat`,
    asked: [],
    reply: ({ message }) => `You said: ${message}`,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return agent
}

/** One agent for all tests of a file. */
export function useAgent(): LoopbackAgent {
  const holder: { agent?: LoopbackAgent } = {}
  beforeAll(async () => {
    holder.agent = await startAgent()
  })
  afterAll(() => holder.agent?.close())
  return new Proxy({} as LoopbackAgent, {
    get: (_, name) => Reflect.get(holder.agent ?? {}, name),
    set: (_, name, value) => Reflect.set(holder.agent ?? {}, name, value),
  })
}
