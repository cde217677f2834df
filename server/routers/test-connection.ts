// Whether an agent answers: one message, really sent.
import { TRPCError } from '@trpc/server'
import { and, eq } from 'drizzle-orm'
import { z } from 'zod'
import { agents } from '#db/schema.ts'
import { AgentFault, AgentUnavailable, sendToAgent } from '../execution/connector.ts'
import { openSecret, Unreadable } from '../execution/opened-secret.ts'
import { procedure } from '../gate.ts'
import { Id } from '../input.ts'
import { getRuntime } from '../runtime.ts'
import { t } from '../trpc.ts'

const message = 'Hello! This is a test of the connection. Please answer with a short greeting.'
const maxReply = 2_000

const Connection = z
  .object({
    ok: z.boolean().describe('Whether the agent answered with a text.'),
    reply: z
      .string()
      .nullable()
      .describe(`The text, at most ${maxReply.toLocaleString('en')} characters of it.`),
    latencyMs: z.number().nullable().describe('How long the answer took.'),
    error: z.string().nullable().describe('Why there is no answer.'),
  })
  .meta({ id: 'Connection' })
type Connection = z.infer<typeof Connection>

const failed = (error: string): Connection => ({ ok: false, reply: null, latencyMs: null, error })

export const testConnectionRouter = t.router({
  testConnection: procedure
    .meta({
      role: 'Tester',
      audit: 'agent.connection_tested',
      scope: 'runs:execute',
      openapi: {
        tags: ['agents'],
        method: 'POST',
        path: '/test-connection',
        finds: true,
        summary: 'Test an agent’s connection',
        description: `Sends one message to the agent, “${message}”, without retries, and answers what came back. That the agent did not answer is no error of this request: \`ok\` is false then, and \`error\` says why. With an \`Idempotency-Key\`, a repeat that comes before the first answer sends another message.`,
      },
    })
    .input(z.strictObject({ agentId: Id }))
    .output(Connection)
    .mutation(async ({ ctx: { tx, tenant, audit, afterCommit }, input: { agentId } }) => {
      const [agent] = await tx
        .select({ id: agents.id, name: agents.name, connector: agents.connector, connectorSecret: agents.connectorSecret })
        .from(agents)
        .where(and(eq(agents.tenantId, tenant.id), eq(agents.id, agentId)))
      if (!agent) throw new TRPCError({ code: 'NOT_FOUND', message: 'There is no agent with this id.' })
      const { type, url } = agent.connector
      audit.record({ entity: { type: 'agent', id: agent.id, name: agent.name }, after: { connector: { type, url } } })
      return afterCommit(() => sayHello(agent), failed(''))
    }),
})

type Called = Pick<typeof agents.$inferSelect, 'id' | 'connector' | 'connectorSecret'>

async function sayHello({ id, connector, connectorSecret }: Called): Promise<Connection> {
  const { env, secret } = getRuntime()
  const context = { rules: { allowPrivate: env.MATE_ALLOW_PRIVATE_AGENTS }, maxAttempts: 1 }
  try {
    const turn = { message, conversationId: crypto.randomUUID(), history: [] }
    const { text, latencyMs } = await sendToAgent(
      { connector, secret: openSecret(secret, id, connectorSecret, 'agent') },
      turn,
      context,
    )
    return { ok: true, reply: text.slice(0, maxReply).toWellFormed(), latencyMs, error: null }
  } catch (error) {
    if ([AgentFault, AgentUnavailable, Unreadable].some((known) => error instanceof known))
      return failed((error as Error).message)
    throw error
  }
}
