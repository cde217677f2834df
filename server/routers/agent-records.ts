// The records of agents: their shape outside and their columns inside.
import { TRPCError } from '@trpc/server'
import { and, eq, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { agents } from '#db/schema.ts'
import { Connector, ConnectorInput, toConnector } from '../connector-input.ts'
import { Id, Instant, line } from '../input.ts'

const Environment = z.enum(['dev', 'test', 'staging', 'production'])

export const AgentInput = {
  name: line(100),
  description: z.string().trim().max(2000, 'Must have at most 2000 characters.').default(''),
  environment: Environment,
  tags: z.array(line(50)).max(20, 'Must have at most 20 tags.').default([]),
  isActive: z.boolean().default(true),
  connector: ConnectorInput,
  judgeSettingId: Id.nullable().default(null).describe('Judges its runs where the suite names none; null: the tenant’s default.'),
}

export const Agent = z
  .object({
    id: Id,
    name: z.string(),
    description: z.string(),
    environment: Environment,
    tags: z.array(z.string()),
    isActive: z.boolean(),
    connector: Connector,
    judgeSettingId: Id.nullable(),
    createdAt: Instant,
    updatedAt: Instant,
  })
  .meta({ id: 'Agent' })
export type Agent = z.infer<typeof Agent>

export const columns = {
  id: agents.id,
  name: agents.name,
  description: agents.description,
  environment: agents.environment,
  tags: agents.tags,
  isActive: agents.isActive,
  connectorId: agents.connectorId,
  connector: agents.connector,
  hasSecret: sql<boolean>`${agents.connectorSecret} is not null`,
  judgeSettingId: agents.judgeSettingId,
  createdAt: agents.createdAt,
  updatedAt: agents.updatedAt,
}

type Row = Pick<typeof agents.$inferSelect, Exclude<keyof typeof columns, 'hasSecret'>> & { hasSecret: boolean }

export function toAgent({ connectorId, connector, hasSecret, createdAt, updatedAt, ...rest }: Row): Agent {
  return {
    ...rest,
    connector: toConnector(connectorId, connector, hasSecret),
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  }
}

export const fieldsOf = ({ id: _, createdAt: __, updatedAt: ___, ...fields }: Agent) => fields
export const entityOf = ({ id, name }: Agent) => ({ type: 'agent', id, name }) as const
export const isAgent = (tenantId: string, id: string) => and(eq(agents.tenantId, tenantId), eq(agents.id, id))

/** @throws TRPCError NOT_FOUND, for another tenant's agent too. */
export async function getAgent(tx: Tx, tenantId: string, id: string, forUpdate = false): Promise<Agent> {
  const query = tx.select(columns).from(agents).where(isAgent(tenantId, id))
  const [row] = await (forUpdate ? query.for('update') : query)
  if (!row) throw new TRPCError({ code: 'NOT_FOUND', message: 'There is no agent with this id.' })
  return toAgent(row)
}
