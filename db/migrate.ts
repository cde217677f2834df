// Brings a database to the current schema, and proves the wall between tenants before anything is served.
import { existsSync } from 'node:fs'
import { sql } from 'drizzle-orm'
import { readMigrationFiles } from 'drizzle-orm/migrator'
import type { Database, Db } from './client.ts'

const lockNumber = 7235_001

/** The folder of migrations: in the source tree, or beside the built server. */
function migrationsFolder(): string {
  const found = [new URL('./migrations/', import.meta.url), new URL('../../db/migrations/', import.meta.url)].find((url) =>
    existsSync(new URL('meta/_journal.json', url)),
  )
  if (!found) throw new Error('The folder db/migrations is missing.')
  return found.pathname
}

/** Applies what is missing in one transaction, under an advisory lock: nodes that start together wait for the first. */
export async function migrate(database: Database): Promise<{ applied: number }> {
  const migrations = readMigrationFiles({ migrationsFolder: migrationsFolder() })
  // Not on a connection of mate_app's: the first of them makes that role.
  return database.db.transaction(async (tx) => {
    await tx.execute(sql`set local statement_timeout = 0`)
    await tx.execute(sql`select pg_advisory_xact_lock(${lockNumber})`)
    await tx.execute(sql`create table if not exists mate_migrations (hash text primary key, created_at bigint not null)`)
    const rows = await tx.select({ createdAt: sql<string>`max(created_at)` }).from(sql`mate_migrations`)
    const last = Number(rows[0]?.createdAt ?? 0)
    const missing = migrations.filter((migration) => migration.folderMillis > last)
    for (const migration of missing) {
      for (const statement of migration.sql) await tx.execute(sql.raw(statement))
      await tx.execute(sql`insert into mate_migrations values (${migration.hash}, ${migration.folderMillis})`)
    }
    return { applied: missing.length }
  })
}

/**
 * Checks that the role which requests run as is bound by row-level security on every tenant's table.
 * @throws Error that names what is wrong.
 */
export async function checkWalls(db: Db, role = 'mate_app'): Promise<void> {
  const faults = await db.select({ fault: sql<string>`fault` }).from(
    sql`(
        with app as (select oid, rolname from pg_roles where rolname = ${role})
        select 'the role ' || ${role}::text || ' does not exist' as fault where not exists (select from app)
        union all
        select 'the role ' || r.rolname || ' is a superuser or bypasses row-level security' from app, pg_roles r
          where (r.rolsuper or r.rolbypassrls) and pg_has_role(app.oid, r.oid, 'member')
        union all
        select 'the role ' || rolname || ' owns the table ' || relname || ', or may become its owner' from app, pg_class
          where relkind = 'r' and relnamespace = 'public'::regnamespace and pg_has_role(app.oid, relowner, 'member')
        union all
        select 'row-level security is off on the table ' || relname from app, pg_class c
          where relkind = 'r' and relnamespace = 'public'::regnamespace and not relrowsecurity
            and has_any_column_privilege(app.oid, c.oid, 'select, insert, update')
      ) as faults`,
  )
  if (faults.length > 0) {
    throw new Error(`The wall between tenants does not hold: ${faults.map((row) => row.fault).join('; ')}.`)
  }
}
