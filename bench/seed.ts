// A database to measure on: one tenant with 10 agents, as many keys as asked for, of which 1,000 are known to the load.
import { sql } from 'drizzle-orm'
import postgres from 'postgres'
import { type Database, openDatabase } from '#db/client.ts'
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
  const seeded = await fill(database)
  await database.close()
  return seeded
}

/** Migrates an empty database, and makes the tenant, its agents and its keys. */
export async function fill(database: Database): Promise<Seeded> {
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
  return { tenantId: tenant.id, keys, adminKey, revokedKey }
}

/** Adds keys until there are `total`: their hashes are random, their keys nobody has. */
export function growKeys(url: string, total: number): Promise<void> {
  return grow(
    url,
    'api_keys',
    total,
    (sql, count) => sql`
    insert into api_keys (tenant_id, name, prefix, key_hash, role, created_by_kind, created_by_id, created_by_name)
    select t.id, 'grown ' || md5(random()::text), 'mate_grown00', sha256(random()::text::bytea || i::text::bytea), 'Viewer',
      'console', 'bench', 'bench'
    from (select id from tenants limit 1) t, generate_series(1, ${count}::int) i`,
  )
}

/**
 * Adds audit entries of one tenant, spread evenly over a year, until there are `total`: most of one pipeline, some of 200
 * people, a few of what is rare. Their hashes are none: what is measured with them is the reading.
 */
export async function growAudit(url: string, total: number): Promise<void> {
  await grow(
    url,
    'audit_log',
    total,
    (sql, count) => sql`
    insert into audit_log (tenant_id, at, actor_kind, actor_id, actor_name, actor_role, action, entity_type, entity_id, entity_name,
      outcome, ip, user_agent, request_id, details)
    select t.id, now() - interval '365 days' * (1 - i::float8 / ${count}::int),
      case when i % 10 = 0 then 'user' else 'key' end,
      case when i % 1999999 = 7 then 'rare' else md5('actor' || case when i % 10 = 0 then i % 2000 else 1 end)::uuid::text end,
      case when i % 1999999 = 7 then 'Zoe Quimby' when i % 10 = 0 then 'Person ' || (i / 10) % 200 else 'ci-pipeline' end,
      'TenantAdmin', action, split_part(action, '.', 1), md5(i::text)::uuid::text,
      case when action like 'agent%' then 'Agent ' || i else 'Key of team ' || i % 5000 end,
      'success', '192.0.' || i % 256 || '.' || (i / 256) % 256, 'curl/8', md5(random()::text)::uuid::text,
      case when i % 3333333 = 9 then '{"reason": "Found in a public gist"}'::jsonb
        else jsonb_build_object('before', jsonb_build_object('isActive', true), 'after', jsonb_build_object('isActive', false)) end
    from (select id from tenants limit 1) t, generate_series(1, ${count}::int) i,
      lateral (select case when i % 2000000 = 11 then 'tenant.created' when i % 50 = 0 then 'api_key.revoked'
        when i % 10 = 1 then 'api_key.created' when i % 5 = 2 then 'agent.created' else 'agent.updated' end as action) a`,
  )
  // Neither chained one by one nor refused: `session_replication_role` is replica.
  await grow(
    url,
    'audit_chain',
    total,
    (sql) => sql`
    insert into audit_chain (entry_id, tenant_id, seq, prev_hash, hash)
    select id, tenant_id, (select coalesce(max(seq), 0) from audit_chain) + row_number() over (order by id), sha256(''), sha256('')
    from audit_log where id > (select coalesce(max(entry_id), 0) from audit_chain)`,
  )
}

/** Inserts without indexes and foreign keys, and makes the indexes afterwards, as a restore does: minutes and not hours. */
async function grow(
  url: string,
  table: 'api_keys' | 'audit_log' | 'audit_chain',
  total: number,
  insert: (sql: postgres.Sql, count: number) => Promise<unknown>,
): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  const indexes = await sql<{ make: string; drop: string }[]>`
    select coalesce('alter table ' || i.indrelid::regclass || ' add ' || pg_get_constraintdef(k.oid), pg_get_indexdef(i.indexrelid)) as make,
      coalesce('alter table ' || i.indrelid::regclass || ' drop constraint ' || quote_ident(k.conname),
        'drop index ' || i.indexrelid::regclass) as drop
    from pg_index i left join pg_constraint k on k.conindid = i.indexrelid and k.contype = 'p'
    where i.indrelid = ${table}::text::regclass
      -- What a foreign key stands on stays.
      and not exists (select from pg_constraint f where f.contype = 'f' and f.conindid = i.indexrelid)`
  const [row] = await sql<{ count: number }[]>`select count(*)::int as count from ${sql(table)}`
  await sql.unsafe(`set synchronous_commit = off; set session_replication_role = replica; set maintenance_work_mem = '1GB'`)
  for (const { drop } of indexes) await sql.unsafe(drop)
  await insert(sql, Math.max(0, total - (row?.count ?? 0)))
  for (const { make } of indexes) await sql.unsafe(make)
  await sql`vacuum analyze ${sql(table)}`
  await sql.unsafe('checkpoint')
  await sql.end()
}
