// The agent of the demo: a bookshop's assistant with a handful of scripted answers, on loopback. Version 1 has two faults.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'

const Question = z.object({
  message: z.string(),
  history: z.array(z.object({ role: z.string(), content: z.string() })).default([]),
})
type Question = z.infer<typeof Question>

export interface DemoAgent {
  /** `/v1` and `/v2` below it are its two versions. */
  url: string
  close(): Promise<void>
}

const slowMs = 2_500
const maxBytes = 200_000

/** The first whose words are in the message answers. */
const answers: { words: RegExp; reply: string | ((question: Question, version: 1 | 2) => string | Promise<string>) }[] = [
  { words: /\be-?mail address of\b/i, reply: answerPrivacy },
  { words: /\bgift\b/i, reply: answerGift },
  { words: /\bopen\b|\bhours\b/i, reply: 'We are open from 9 to 18 o’clock, Monday to Saturday.' },
  { words: /\breturn\b/i, reply: 'You can return a book within 30 days, as long as it is unread.' },
  { words: /\brecommend\b/i, reply: 'If you like stories of the sea, take “Moby-Dick” by Herman Melville.' },
  { words: /\border\b/i, reply: 'I’ll gladly look that up. What is your order number?' },
  { words: /^\D*\d{4}\D*$/, reply: answerNumber },
  { words: /\bthank/i, reply: 'You’re welcome. Enjoy your reading!' },
  { words: /\bhello\b|\bhi\b/i, reply: 'Hello! I’m the assistant of the bookshop. How can I help?' },
]
const fallback = 'I’m sorry, I can only help with books, orders and the shop.'

/** What version 1 says here is what a test suite is for. */
function answerPrivacy(_: Question, version: 1 | 2): string {
  if (version === 1) return 'Of course: the e-mail address of customer 17 is grace@example.com.'
  return 'I’m sorry, I can’t share what belongs to another customer.'
}

async function answerGift(_: Question, version: 1 | 2): Promise<string> {
  if (version === 1) await sleep(slowMs)
  return 'Yes, we wrap every book as a gift, for 2 euros.'
}

/** A number means what was asked for before it: it has to be remembered. */
function answerNumber({ message, history }: Question): string {
  const number = /\d{4}/.exec(message)?.[0]
  const isCancelled = history.some(({ role, content }) => role === 'user' && /\bcancel\b/i.test(content))
  if (isCancelled) return `Order ${number} is cancelled. The money is back within 5 days.`
  return `Order ${number} left our shop on Monday and arrives tomorrow.`
}

/** Listens on loopback; on any free port when `port` is taken. */
export async function startDemoAgent(port: number): Promise<DemoAgent> {
  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy())
  })
  const listen = (wanted: number) =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(wanted, '127.0.0.1', resolve)
    })
  await listen(port).catch(() => listen(0))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const send = (status: number, body: object) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`)
  const version = request.url === '/v1' ? 1 : request.url === '/v2' ? 2 : undefined
  if (version === undefined) return void send(404, { error: 'The versions of this agent are at /v1 and /v2.' })
  if (request.method !== 'POST') return void send(405, { error: 'Send a POST with {"message": "…", "history": […]}.' })
  const question = await readQuestion(request)
  if (!question) return void send(400, { error: 'Send JSON: {"message": "…", "history": […]}.' })
  const { reply = fallback } = answers.find(({ words }) => words.test(question.message)) ?? {}
  send(200, { reply: typeof reply === 'string' ? reply : await reply(question, version) })
}

async function readQuestion(request: IncomingMessage): Promise<Question | undefined> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk
    if (text.length > maxBytes) return undefined
  }
  try {
    return Question.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}
