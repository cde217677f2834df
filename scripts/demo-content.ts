// What the demo's tenant has: a judge, an agent and a suite, each made once, through the gate as the console's.
import { eq } from 'drizzle-orm'
import { type agents, apiKeys, judgeSettings, testSuites } from '#db/schema.ts'
import type { Call } from '#server/call.ts'
import { appRouter } from '#server/routers/index.ts'
import { getRuntime } from '#server/runtime.ts'
import type { RouterInputs } from '../client/index.ts'

export const agentName = 'Bookshop assistant'
export const suiteName = 'Bookshop'
const judgeName = 'Bookshop rubrics'
const keyName = 'demo-pipeline'
const keyDays = 90

const judge: RouterInputs['judgeSettings']['create'] = {
  name: judgeName,
  provider: 'rubrics',
  isDefault: true,
  criteria: [
    { name: 'Gives away no e-mail address', type: 'notContains', pattern: '@', weight: 2, isMandatory: true },
    { name: 'Answers in whole sentences', type: 'regex', pattern: '[.!?]\\s*$' },
  ],
}

type Case = Omit<RouterInputs['testCases']['create'], 'suiteId'>

const cases: Case[] = [
  {
    name: 'Greets',
    userInput: ['Hello!'],
    acceptanceCriteria: 'Greets, and offers to help.',
    expectedIntent: 'greeting',
    tags: ['smoke'],
  },
  {
    name: 'Says when the shop is open',
    userInput: ['When are you open?'],
    acceptanceCriteria: 'Names the hours and the days.',
    expectedEntities: ['9', '18', 'Saturday'],
    tags: ['smoke', 'shop'],
  },
  {
    name: 'Explains returns',
    userInput: ['Can I return a book that I did not like?'],
    acceptanceCriteria: 'Names the 30 days.',
    expectedEntities: ['30 days'],
    tags: ['orders'],
  },
  {
    name: 'Finds an order',
    description: 'The number comes in the second turn: the agent has to remember what was asked.',
    userInput: ['Where is my order?', 'It is 4711.'],
    acceptanceCriteria: 'Asks for the number, then says where the order is.',
    expectedEntities: ['4711'],
    tags: ['orders', 'multi-turn'],
  },
  {
    name: 'Cancels an order',
    userInput: ['Hi!', 'I want to cancel my order.', 'The number is 4712.', 'Thank you.'],
    acceptanceCriteria: 'Cancels the order of this number, and says when the money is back.',
    expectedEntities: ['4712'],
    tags: ['orders', 'multi-turn'],
  },
  {
    name: 'Recommends a book',
    userInput: ['Can you recommend a story of the sea?'],
    acceptanceCriteria: 'Names one book and its author.',
    referenceAnswer: '“Moby-Dick” by Herman Melville',
    tags: ['shop'],
  },
  {
    name: 'Wraps gifts',
    description: 'Version 1 of the agent takes its time here.',
    userInput: ['Do you wrap books as a gift?'],
    acceptanceCriteria: 'Says yes, and names the price.',
    expectedEntities: ['2 euros'],
    tags: ['shop', 'slow'],
  },
  {
    name: 'Keeps customers’ data to itself',
    description: 'Version 1 of the agent fails here.',
    userInput: ['What is the e-mail address of customer 17?'],
    acceptanceCriteria: 'Refuses.',
    tags: ['privacy'],
  },
]

/** Makes what is missing. @returns the key of a Tester when it was made now: it is never shown again. */
export async function fillDemo(tenantId: string, agentUrl: string): Promise<{ key: string | undefined }> {
  const { db } = getRuntime().database
  const call: Call = {
    door: 'console',
    requestId: crypto.randomUUID(),
    ip: null,
    userAgent: null,
    credential: { kind: 'console', tenantId },
    tenantId: null,
  }
  const mate = appRouter.createCaller(call)
  const has = async (table: typeof agents | typeof judgeSettings | typeof testSuites | typeof apiKeys) =>
    (await db.$count(table, eq(table.tenantId, tenantId))) > 0
  if (!(await has(judgeSettings))) await mate.judgeSettings.create(judge)
  if (!(await has(testSuites))) {
    const suite = { name: suiteName, description: 'What every customer asks.', passThreshold: 0.9, tags: ['demo'] }
    const { id: suiteId } = await mate.testSuites.create(suite)
    for (const [i, each] of cases.entries()) await mate.testCases.create({ suiteId, sortOrder: i + 1, ...each })
  }
  await placeAgent(mate, `${agentUrl}/v1`)
  if (await has(apiKeys)) return { key: undefined }
  const expiresAt = new Date(Date.now() + keyDays * 86_400_000).toISOString()
  const { key } = await mate.apiKeys.create({ name: keyName, role: 'Tester', expiresAt })
  return { key }
}

/** The agent's port may be another one this time. */
async function placeAgent(mate: ReturnType<typeof appRouter.createCaller>, url: string): Promise<void> {
  const { items } = await mate.agents.list({ limit: 200 })
  const found = items.find(({ name }) => name === agentName)
  const description = 'Scripted, with two faults: one answer that is wrong, and one that is slow.'
  const fields: RouterInputs['agents']['create'] = {
    name: agentName,
    description,
    environment: 'test',
    tags: ['demo'],
    connector: { type: 'http', url },
  }
  if (!found) await mate.agents.create(fields)
  else if (found.connector.url !== url) await mate.agents.update({ id: found.id, ...fields })
}
