// The indexes serve the lists under row-level security: a page costs as many rows as it shows, however many there are.
import { randomBytes } from 'node:crypto'
import { type SQL, sql } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Tx } from '#db/client.ts'
import { apiKeys } from '#db/schema.ts'
import { actIn } from '#server/principal.ts'
import { requireFreeName } from '#server/routers/api-key-records.ts'
import { seedTenant, useServer } from './harness.ts'

const server = useServer()
const tenant = { id: '' }
const suite = { id: crypto.randomUUID() }

beforeAll(async () => {
  tenant.id = (await seedTenant(server)).id
  const { db } = server.database
  await db.insert(apiKeys).values(
    Array.from({ length: 3_000 }, (_, i) => ({
      tenantId: tenant.id,
      name: `one of many ${i}`,
      prefix: 'mate_many000',
      keyHash: randomBytes(32),
      role: 'Viewer' as const,
      createdByKind: 'console' as const,
      createdById: 'test',
      createdByName: 'test',
    })),
  )
  await db.execute(sql`
    insert into agents (tenant_id, name, environment, connector)
    select ${tenant.id}, 'agent ' || i, 'test', '{}' from generate_series(1, 3000) i`)
  await db.execute(sql`
    insert into test_suites (id, tenant_id, name, pass_threshold, delay_between_tests_ms)
    select case i when 1 then ${suite.id}::uuid else gen_random_uuid() end, ${tenant.id}, 'suite ' || i, 1, 0
    from generate_series(1, 3000) i`)
  await db.execute(sql`
    insert into test_cases (tenant_id, suite_id, name, user_input, sort_order)
    select ${tenant.id}, ${suite.id}, 'case ' || i, '{Hello}', i from generate_series(1, 3000) i`)
  await db.execute(sql`
    insert into audit_log (tenant_id, actor_kind, actor_id, actor_name, action, entity_type, entity_id, entity_name, outcome,
      request_id, details)
    select ${tenant.id}, 'console', 'test', 'test', 'agent.created', 'agent', i, i, 'success', 'test', '{}'
    from generate_series(1, 3000) i`)
  await db.execute(sql`analyze`)
})

/** What `work` reads of a table, in rows, as the restricted role in the tenant. */
function rowsRead(table: string, work: (tx: Tx) => Promise<unknown>): Promise<number> {
  return server.database.transaction(async (tx) => {
    await actIn(tx, 'transaction', tenant.id)
    const soFar = async () => {
      const [row] = await tx
        .select({ count: sql<string>`seq_tup_read + coalesce(idx_tup_fetch, 0)` })
        .from(sql`pg_stat_xact_user_tables`)
        .where(sql`relname = ${table}`)
      return Number(row?.count)
    }
    const before = await soFar()
    await work(tx)
    return (await soFar()) - before
  })
}

describe('among thousands of one tenant', () => {
  const lists: Record<string, [table: string, list: SQL]> = {
    'newest keys': [
      'api_keys',
      sql`select id from api_keys where tenant_id = mate_tenant_id() order by created_at desc, id desc`,
    ],
    'newest agents': ['agents', sql`select id from agents where tenant_id = mate_tenant_id() order by created_at desc, id desc`],
    'newest suites': [
      'test_suites',
      sql`select id from test_suites where tenant_id = mate_tenant_id() order by created_at desc, id desc`,
    ],
    'cases of a suite': [
      'test_cases',
      sql`select id from test_cases where tenant_id = mate_tenant_id() and suite_id = ${suite.id} order by sort_order, id`,
    ],
    'newest entries': ['audit_log', sql`select id from audit_log where tenant_id = mate_tenant_id() order by id desc`],
    'entries of one action': [
      'audit_log',
      sql`select id from audit_log where tenant_id = mate_tenant_id() and action = 'agent.created' order by id desc`,
    ],
  }
  test.for(Object.entries(lists))('the first 50 %s are read, and no other', async ([, [table, list]]) => {
    expect(await rowsRead(table, (tx) => tx.execute(sql`${list} limit 50`))).toBeLessThanOrEqual(50)
  })

  test('a new key’s name is compared with those that are like it, and not with each', async () => {
    expect(await rowsRead('api_keys', (tx) => requireFreeName(tx, 'a name of its own'))).toBeLessThan(5)
    const taken = (tx: Tx) => expect(requireFreeName(tx, 'ONE of many 2999')).rejects.toThrow('has this name already')
    expect(await rowsRead('api_keys', taken)).toBeLessThan(5)
  })
})

test('no index has nulls where `order by` has none: it would order no list', async () => {
  const wrong = await server.database.db
    .select({ name: sql<string>`indexrelid::regclass::text` })
    .from(sql`pg_index`)
    .where(sql`indrelid in (select oid from pg_class where relnamespace = 'public'::regnamespace)
      and exists (select from unnest(indoption::int[]) option where option in (1, 2))`)
  expect(wrong).toEqual([])
})
