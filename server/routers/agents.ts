// Agents: what the tests of a tenant talk to.
import { TRPCError } from '@trpc/server'
import { and, desc, eq, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { prepared } from '#db/prepared.ts'
import { agents } from '#db/schema.ts'
import { procedure } from '../gate.ts'
import { decodeCursor, encodeCursor, Id, Instant, line, PageInput, pageOf } from '../input.ts'
import { getRuntime } from '../runtime.ts'
import { seal } from '../secret-box.ts'
import { t } from '../trpc.ts'

const Environment = z.enum(['dev', 'test', 'staging', 'production'])

const AgentUrl = z
  .url({ protocol: /^https?$/, error: 'Must be an http or https URL.' })
  .max(2000)
  .refine((text) => !/^[a-z]+:\/\/[^/?#]*@/i.test(text), 'Must not contain a user name or password: use secret.')

const headerName = z
  .string()
  .regex(/^[A-Za-z0-9-]{1,64}$/, 'Must be a header name.')
  .default('Authorization')

const ConnectorInput = z.strictObject({
  type: z.literal('http'),
  url: AgentUrl,
  secretHeader: headerName.describe('The header that the secret is sent in.'),
  secret: line(4000).nullable().optional().describe('Written, never read back. Left out: stays as it is; null: removed.'),
})

const Connector = z.object({
  type: z.literal('http'),
  url: z.string(),
  secretHeader: z.string(),
  hasSecret: z.boolean().describe('Whether a secret is kept; the secret itself is never answered.'),
})

const AgentInput = {
  name: line(100),
  description: z.string().trim().max(2000, 'Must have at most 2000 characters.').default(''),
  environment: Environment,
  tags: z.array(line(50)).max(20, 'Must have at most 20 tags.').default([]),
  isActive: z.boolean().default(true),
  connector: ConnectorInput,
}

const Agent = z
  .object({
    id: Id,
    name: z.string(),
    description: z.string(),
    environment: Environment,
    tags: z.array(z.string()),
    isActive: z.boolean(),
    connector: Connector,
    createdAt: Instant,
    updatedAt: Instant,
  })
  .meta({ id: 'Agent' })
type Agent = z.infer<typeof Agent>

const Position = z.tuple([z.string().max(40), Id])

const columns = {
  id: agents.id,
  name: agents.name,
  description: agents.description,
  environment: agents.environment,
  tags: agents.tags,
  isActive: agents.isActive,
  connector: agents.connector,
  hasSecret: sql<boolean>`${agents.connectorSecret} is not null`,
  createdAt: agents.createdAt,
  updatedAt: agents.updatedAt,
}

type Row = Omit<Agent, 'connector' | 'createdAt' | 'updatedAt'> & {
  connector: { type: 'http'; url: string; secretHeader: string }
  hasSecret: boolean
  createdAt: Date
  updatedAt: Date
}

function toAgent({ connector, hasSecret, createdAt, updatedAt, ...rest }: Row): Agent {
  return {
    ...rest,
    connector: { ...connector, hasSecret },
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  }
}

const fieldsOf = ({ id: _, createdAt: __, updatedAt: ___, ...fields }: Agent) => fields
const entityOf = ({ id, name }: Agent) => ({ type: 'agent', id, name }) as const

/** @throws TRPCError NOT_FOUND, for another tenant's agent too. */
async function getAgent(tx: Tx, tenantId: string, id: string, forUpdate = false): Promise<Agent> {
  const query = tx
    .select(columns)
    .from(agents)
    .where(and(eq(agents.tenantId, tenantId), eq(agents.id, id)))
  const [row] = await (forUpdate ? query.for('update') : query)
  if (!row) throw new TRPCError({ code: 'NOT_FOUND', message: 'There is no agent with this id.' })
  return toAgent(row)
}

/** Newest first; with `isAfter`, behind the position of `at` and `id`. */
function listQuery(tx: Tx, isAfter: boolean) {
  const { placeholder } = sql
  return tx
    .select({ ...columns, position: sql<string>`${agents.createdAt}::text` })
    .from(agents)
    .where(
      and(
        eq(agents.tenantId, placeholder('tenantId')),
        isAfter
          ? sql`(${agents.createdAt}, ${agents.id}) < (${placeholder('at')}::timestamptz, ${placeholder('id')}::uuid)`
          : undefined,
      ),
    )
    .orderBy(desc(agents.createdAt), desc(agents.id))
    .limit(placeholder('limit'))
    .prepare('list_agents')
}

const openapi = { tags: ['agents'] }

export const agentsRouter = t.router({
  list: procedure
    .meta({
      role: 'Viewer',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/agents',
        summary: 'List agents',
        description: 'The agents of the tenant, newest first.',
      },
    })
    .input(z.strictObject(PageInput))
    .output(pageOf(Agent))
    .query(async ({ ctx: { tx, tenant }, input }) => {
      const after = input.cursor === undefined ? undefined : decodeCursor(input.cursor, Position)
      const query = prepared(tx, `agents.list ${after ? 'after' : 'first'}`, () => listQuery(tx, after !== undefined))
      const rows = await query.execute({ tenantId: tenant.id, limit: input.limit + 1, at: after?.[0], id: after?.[1] })
      const page = rows.slice(0, input.limit)
      const last = rows.length > input.limit ? page.at(-1) : undefined
      return {
        items: page.map(({ position: _, ...row }) => toAgent(row)),
        nextCursor: last ? encodeCursor([last.position, last.id]) : null,
      }
    }),

  get: procedure
    .meta({
      role: 'Viewer',
      openapi: {
        ...openapi,
        method: 'GET',
        path: '/agents/{id}',
        summary: 'Get an agent',
        description: 'One agent, without its connector’s secret.',
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(Agent)
    .query(({ ctx: { tx, tenant }, input }) => getAgent(tx, tenant.id, input.id)),

  create: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'agent.created',
      openapi: {
        ...openapi,
        method: 'POST',
        path: '/agents',
        summary: 'Register an agent',
        description: 'Makes an agent. Names are unique in a tenant, whatever their case.',
        status: 201,
        location: '/agents/{id}',
      },
    })
    .input(z.strictObject(AgentInput))
    .output(Agent)
    .mutation(async ({ ctx: { tx, tenant, audit }, input }) => {
      const {
        connector: { secret, ...connector },
        ...fields
      } = input
      const id = crypto.randomUUID()
      const [row] = await tx
        .insert(agents)
        .values({
          id,
          tenantId: tenant.id,
          ...fields,
          connector,
          connectorSecret: secret ? seal(getRuntime().secret, id, secret) : null,
        })
        .returning(columns)
      if (!row) throw new Error('the insert returned no row')
      const agent = toAgent(row)
      audit.record({ entity: entityOf(agent), after: fieldsOf(agent) })
      return agent
    }),

  update: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'agent.updated',
      openapi: {
        ...openapi,
        method: 'PUT',
        path: '/agents/{id}',
        summary: 'Replace an agent',
        description: 'Replaces all fields; those left out take their defaults. A secret that is left out stays as it is.',
      },
    })
    .input(z.strictObject({ id: Id, ...AgentInput }))
    .output(Agent)
    .mutation(async ({ ctx: { tx, tenant, audit }, input }) => {
      const {
        id,
        connector: { secret, ...connector },
        ...fields
      } = input
      const before = await getAgent(tx, tenant.id, id, true)
      const connectorSecret =
        secret === undefined ? {} : { connectorSecret: secret === null ? null : seal(getRuntime().secret, id, secret) }
      const [row] = await tx
        .update(agents)
        .set({ ...fields, connector, ...connectorSecret, updatedAt: sql`clock_timestamp()` })
        .where(and(eq(agents.tenantId, tenant.id), eq(agents.id, id)))
        .returning(columns)
      if (!row) throw new Error('the update returned no row')
      const agent = toAgent(row)
      const secretChange = secret === undefined ? {} : { isSecretReplaced: true }
      audit.record({ entity: entityOf(agent), before: fieldsOf(before), after: { ...fieldsOf(agent), ...secretChange } })
      return agent
    }),

  delete: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'agent.deleted',
      openapi: {
        ...openapi,
        method: 'DELETE',
        path: '/agents/{id}',
        summary: 'Delete an agent',
        description: 'Removes the agent; its audit trail stays.',
        status: 204,
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(z.void())
    .mutation(async ({ ctx: { tx, tenant, audit }, input }) => {
      const before = await getAgent(tx, tenant.id, input.id, true)
      await tx.delete(agents).where(and(eq(agents.tenantId, tenant.id), eq(agents.id, input.id)))
      audit.record({ entity: entityOf(before), before: fieldsOf(before) })
    }),
})
