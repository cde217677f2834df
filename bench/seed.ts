// A database to measure on: one tenant with 10 agents, as many keys as asked for, of which 1,000 are known to the load.
import { sql } from 'drizzle-orm'
import postgres from 'postgres'
import { openDatabase } from '#db/client.ts'
import { migrate } from '#db/migrate.ts'
import { agents, apiKeys, tenants } from '#db/schema.ts'
import { generateApiKey } from '#server/api-key.ts'

export interface Seeded {
  tenantId: string
  /** Viewer keys, each once in the table. */
  keys: string[]
  adminKey: string
  revokedKey: string
}

const known = 1_000

/** Makes the database at `url` anew. */
export async function seed(url: string): Promise<Seeded> {
  const name = new URL(url).pathname.slice(1)
  const server = new URL(url)
  server.pathname = '/postgres'
  const admin = postgres(server.href, { max: 1, onnotice: () => {} })
  await admin.unsafe(`drop database if exists ${name} with (force)`)
  await admin.unsafe(`create database ${name}`)
  await admin.end()

  const database = await openDatabase({ url, maxConnections: 4 })
  await migrate(database)
  const { db } = database
  const [tenant] = await db.insert(tenants).values({ name: 'Bench' }).returning({ id: tenants.id })
  if (!tenant) throw new Error('no tenant')
  await db.insert(agents).values(
    Array.from({ length: 10 }, (_, i) => ({
      tenantId: tenant.id,
      name: `agent-${i}`,
      description: 'Answers questions about orders.',
      environment: 'test' as const,
      tags: ['orders', 'bench'],
      connector: { type: 'http' as const, url: `https://agent-${i}.example.com/v1/chat`, secretHeader: 'Authorization' },
    })),
  )
  const keyOf = async (count: number, fields: Partial<typeof apiKeys.$inferInsert>) => {
    const made = Array.from({ length: count }, () => generateApiKey())
    const creator = { createdByKind: 'console', createdById: 'bench', createdByName: 'bench' } as const
    await db.insert(apiKeys).values(
      made.map(({ hash, prefix, key }) => ({
        tenantId: tenant.id,
        name: `key ${key.slice(5, 25)}`,
        prefix,
        keyHash: hash,
        role: 'Viewer' as const,
        ...creator,
        ...fields,
      })),
    )
    return made.map(({ key }) => key)
  }
  const keys = await keyOf(known, {})
  const [adminKey = ''] = await keyOf(1, { role: 'TenantAdmin', name: 'admin' })
  const [revokedKey = ''] = await keyOf(1, { name: 'revoked', revokedAt: new Date() })
  await db.execute(sql`vacuum analyze`)
  await database.close()
  return { tenantId: tenant.id, keys, adminKey, revokedKey }
}

/** Adds keys of other tenants' making until there are `total`: their hashes are random, their keys nobody has. */
export async function growKeys(url: string, total: number): Promise<void> {
  const client = postgres(url, { max: 1, onnotice: () => {} })
  const [row] = await client<{ n: number }[]>`select count(*)::int as n from api_keys`
  await client`set synchronous_commit = off`
  for (let left = total - (row?.n ?? 0); left > 0; left -= 500_000) {
    await client`
      insert into api_keys (tenant_id, name, prefix, key_hash, role, created_by_kind, created_by_id, created_by_name)
      select t.id, 'grown ' || gen_random_uuid(), 'mate_grown00', sha256(gen_random_uuid()::text::bytea), 'Viewer', 'console', 'bench', 'bench'
      from (select id from tenants limit 1) t, generate_series(1, ${Math.min(left, 500_000)})`
  }
  await client`vacuum analyze api_keys`
  await client.end()
}

/** Adds audit entries of one tenant, spread over a year, until there are `total`. */
export async function growAudit(url: string, total: number): Promise<void> {
  const client = postgres(url, { max: 1, onnotice: () => {} })
  const [row] = await client<{ n: number }[]>`select count(*)::int as n from audit_log`
  await client`set synchronous_commit = off`
  for (let left = total - (row?.n ?? 0); left > 0; left -= 500_000) {
    await client`
      insert into audit_log (tenant_id, at, actor_kind, actor_id, actor_name, actor_role, action, entity_type, entity_id, entity_name,
        outcome, ip, user_agent, request_id, details)
      select t.id, now() - random() * interval '365 days', 'key', gen_random_uuid()::text, 'ci-pipeline', 'TenantAdmin', 'agent.updated',
        'agent', gen_random_uuid()::text, 'agent ' || i, 'success', '192.0.2.17', 'curl/8', gen_random_uuid()::text, '{}'
      from (select id from tenants limit 1) t, generate_series(1, ${Math.min(left, 500_000)}) i`
  }
  await client`vacuum analyze audit_log`
  await client.end()
}
