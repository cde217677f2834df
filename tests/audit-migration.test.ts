// What was written before there was a chain has its place in it after the upgrade.
import { sql } from 'drizzle-orm'
import { readMigrationFiles } from 'drizzle-orm/migrator'
import { expect, test } from 'vitest'
import { migrate } from '#db/migrate.ts'
import { type ChainedEntry, hashEntry, noHash } from '#server/audit-chain.ts'
import { findInChain } from '#server/audit-query.ts'
import { makeEmptyPlace } from './child-server.ts'

const upTo = Number.MAX_SAFE_INTEGER

test('a log from before the chain is numbered and hashed by tenant, in the order in which it was written', async () => {
  const database = await (await makeEmptyPlace()).open()
  const { db } = database
  const chainAt = (statements: string[]) => statements.some((each) => each.includes('create function mate_chain('))
  const before = readMigrationFiles({ migrationsFolder: 'db/migrations' })
  const old = before.slice(
    0,
    before.findIndex((migration) => chainAt(migration.sql)),
  )
  await db.execute(sql`create table mate_migrations (hash text primary key, created_at bigint not null)`)
  for (const migration of old) {
    for (const statement of migration.sql) await db.execute(sql.raw(statement))
    await db.execute(sql`insert into mate_migrations values (${migration.hash}, ${migration.folderMillis})`)
  }
  await db.execute(sql`insert into tenants (name) values ('a'), ('b')`)
  await db.execute(sql`insert into audit_log (tenant_id, actor_kind, actor_id, actor_name, action, entity_type, entity_id, entity_name,
      outcome, request_id, details)
    select t.id, 'key', 'k', 'Zoë “Q”', 'agent.updated', 'agent', 'a', 'Agent ' || i, 'success', 'r', jsonb_build_object('after', jsonb_build_object('n', i / 4.0))
    from generate_series(1, 40) i, tenants t where t.name = 'a' or i % 4 = 0 order by i, t.name`)
  await migrate(database)
  const tenants = await db.select({ id: sql<string>`id` }).from(sql`tenants`).orderBy(sql`name`)
  for (const [i, count] of [40, 10].entries()) {
    const entries = await findInChain(db as never, tenants[i]?.id ?? '', {}, { after: 0, upTo }) // reads only
    expect(entries.map(({ seq }) => seq)).toEqual(Array.from({ length: count }, (_, n) => n + 1))
    expect(entries.map(({ id }) => id)).toEqual(entries.map(({ id }) => id).toSorted((a, b) => a - b))
    let hash = noHash
    for (const { id: _, occurrences: __, ...entry } of entries) {
      expect([entry.prevHash, entry.hash]).toEqual([hash, hashEntry(entry satisfies ChainedEntry)])
      hash = entry.hash
    }
  }
  await database.close()
})
