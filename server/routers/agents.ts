// Agents: what the tests of a tenant talk to.
import { TRPCError } from '@trpc/server'
import { and, desc, eq, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { prepared } from '#db/prepared.ts'
import { agents } from '#db/schema.ts'
import { ConnectorInput, readConnector } from '../connector-input.ts'
import { procedure } from '../gate.ts'
import { Id } from '../input.ts'
import { type GivenSecret, sealGiven } from '../kept-secret.ts'
import { decodeCursor, PageInput, pageOf, TimePosition, toTimePage } from '../paging.ts'
import { requireQuota } from '../quotas.ts'
import { t } from '../trpc.ts'
import { Agent, AgentInput, columns, entityOf, fieldsOf, getAgent, isAgent, toAgent } from './agent-records.ts'
import { requireJudgeSetting } from './judge-setting-records.ts'

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

const setAgent = async (tx: Tx, tenantId: string, id: string, fields: Partial<typeof agents.$inferInsert>): Promise<Agent> => {
  const [row] = await tx
    .update(agents)
    .set({ ...fields, updatedAt: sql`clock_timestamp()` })
    .where(isAgent(tenantId, id))
    .returning(columns)
  if (!row) throw new Error('the update returned no row')
  return toAgent(row)
}

/** What an update sets besides the connector, and what the audit log says of it: nothing where the secret stays. */
function secretChange(id: string, secret: GivenSecret) {
  const connectorSecret = sealGiven(id, secret)
  return connectorSecret === undefined
    ? { column: {}, note: {} }
    : { column: { connectorSecret }, note: { isSecretReplaced: true } }
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
      const after = input.cursor === undefined ? undefined : decodeCursor(input.cursor, TimePosition)
      const query = prepared(tx, `agents.list ${after ? 'after' : 'first'}`, () => listQuery(tx, after !== undefined))
      const rows = await query.execute({ tenantId: tenant.id, limit: input.limit + 1, at: after?.[0], id: after?.[1] })
      return toTimePage(rows, input.limit, toAgent)
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
        conflicts: true,
        summary: 'Register an agent',
        description: 'Makes an agent. Names are unique in a tenant, whatever their case.',
        status: 201,
        location: '/agents/{id}',
      },
    })
    .input(z.strictObject(AgentInput))
    .output(Agent)
    .mutation(async ({ ctx: { tx, tenant, audit }, input: { connector, ...fields } }) => {
      const { settings, secret } = readConnector(connector)
      await requireJudgeSetting(tx, tenant.id, fields.judgeSettingId)
      await requireQuota(tx, tenant.id, 'maxAgents')
      const id = crypto.randomUUID()
      const [row] = await tx
        .insert(agents)
        .values({ id, tenantId: tenant.id, ...fields, connector: settings, connectorSecret: sealGiven(id, secret) ?? null })
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
        conflicts: true,
        summary: 'Replace an agent',
        description:
          'Replaces all fields; those left out take their defaults. A secret that is left out stays as it is, unless scheme, host or port of the address change: then it has to be given again.',
      },
    })
    .input(z.strictObject({ id: Id, ...AgentInput }))
    .output(Agent)
    .mutation(async ({ ctx: { tx, tenant, audit }, input: { id, connector, ...fields } }) => {
      await requireJudgeSetting(tx, tenant.id, fields.judgeSettingId)
      const before = await getAgent(tx, tenant.id, id, true)
      const { settings, secret } = readConnector(connector, before.connector)
      const { column, note } = secretChange(id, secret)
      const after = await setAgent(tx, tenant.id, id, { ...fields, connector: settings, ...column })
      audit.record({
        entity: entityOf(after),
        before: fieldsOf(before),
        after: { ...fieldsOf(after), ...note },
      })
      return after
    }),

  replaceConnector: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'agent.connector_replaced',
      openapi: {
        ...openapi,
        method: 'PUT',
        path: '/agents/{id}/connectors/{connectorId}',
        summary: 'Replace an agent’s connector',
        description:
          'How the agent is talked to, and nothing else of it. The connector keeps its id; a secret that is left out stays as it is, as when the agent is replaced.',
      },
    })
    .input(z.strictObject({ id: Id, connectorId: Id, connector: ConnectorInput }))
    .output(Agent)
    .mutation(async ({ ctx: { tx, tenant, audit }, input: { id, connectorId, connector } }) => {
      const before = await getAgent(tx, tenant.id, id, true)
      if (before.connector.id !== connectorId.toLowerCase())
        throw new TRPCError({ code: 'NOT_FOUND', message: 'This agent has no connector with this id.' })
      const { settings, secret } = readConnector(connector, before.connector)
      const { column, note } = secretChange(id, secret)
      const after = await setAgent(tx, tenant.id, id, { connector: settings, ...column })
      audit.record({
        entity: entityOf(after),
        before: { connector: before.connector },
        after: { connector: after.connector, ...note },
      })
      return after
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
        description: 'Removes the agent; its runs and its audit trail stay.',
        status: 204,
      },
    })
    .input(z.strictObject({ id: Id }))
    .output(z.void())
    .mutation(async ({ ctx: { tx, tenant, audit }, input }) => {
      const before = await getAgent(tx, tenant.id, input.id, true)
      await tx.delete(agents).where(isAgent(tenant.id, input.id))
      audit.record({ entity: entityOf(before), before: fieldsOf(before) })
    }),
})
