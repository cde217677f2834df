// Filters of a log that is too long to be read through: what they find is what is there, and of one tenant.
import { sql } from 'drizzle-orm'
import { beforeAll, expect, test } from 'vitest'
import { countAudit, type SeededKey, seedKey, seedTenant, useServer } from './harness.ts'

const server = useServer()
const count = 70_000
const ours = { id: '', admin: {} as SeededKey }
const theirs = { id: '', admin: {} as SeededKey }

/** Beyond one block of the index and beyond the newest that are read through; every tenth entry is the other tenant's. */
beforeAll(async () => {
  for (const house of [ours, theirs]) {
    house.id = (await seedTenant(server)).id
    house.admin = await seedKey(server, house.id, 'TenantAdmin')
  }
  const { db } = server.database
  // Their place in the chain is no matter here.
  await db.execute(sql`alter table audit_log disable trigger chain_entry`)
  await db.execute(sql`insert into audit_log (tenant_id, at, actor_kind, actor_id, actor_name, action, entity_type, entity_id, entity_name,
      outcome, ip, request_id, details)
    select case when i % 10 = 0 then ${theirs.id}::uuid else ${ours.id}::uuid end, timestamptz '2026-01-01' + i * interval '1 minute', 'key',
      'key-' || i % 7, case when i in (11, 20, 66001) then 'Zoe_Quimby' else 'ci-pipeline' end,
      case when i % 1000 = 1 then 'api_key.revoked' else 'agent.updated' end, 'agent', 'thing-' || i, 'Agent ' || i, 'success', '192.0.2.7', 'request-' || i,
      case when i in (13, 30, 64999) then '{"reason": "Found in a 100% public gist"}' else '{}' end::jsonb
    from generate_series(1, ${count}::int) i`)
  await db.execute(sql`insert into audit_chain (entry_id, tenant_id, seq, prev_hash, hash)
    select id, tenant_id, row_number() over (partition by tenant_id order by id), '', '' from audit_log`)
  await db.execute(sql`alter table audit_log enable trigger chain_entry`)
})

const find = async (query: Record<string, string>, { key } = ours.admin) => {
  const response = await server.request(`/api/admin/audit-log?${new URLSearchParams({ limit: '200', ...query })}`, { key })
  const body = (await response.json()) as { items: { entity: { name: string } }[]; nextCursor: string | null; errors?: unknown }
  return { status: response.status, names: body.items?.map(({ entity }) => Number(entity.name.slice(6))), ...body }
}

test.each([
  [{ search: 'quimby' }, [66001, 11]],
  [{ search: 'ZOE_Q' }, [66001, 11]],
  [{ search: 'zoexq' }, []],
  [{ search: '100% public' }, [64999, 13]],
  [{ search: '100x public' }, []],
  [{ search: 'agent 31234' }, [31234]],
  [{ search: 'nothing of this' }, []],
  [{ search: 'request-777' }, [777]],
  [{ search: 'THING-778' }, [778]],
  [{ actor: 'zoe' }, [66001, 11]],
  [{ actor: 'zoe', search: 'agent 11' }, [11]],
  [{ actor: 'zoe', to: '2026-01-02T00:00:00Z' }, [11]],
  [{ actor: 'zoe', from: '2026-01-02T00:00:00Z' }, [66001]],
  [{ actor: 'zoe', action: 'api_key.revoked' }, [66001]],
  [{ search: 'quimby', entityType: 'api_key' }, []],
  [{ from: '2026-01-01T01:00:00Z', to: '2026-01-01T01:03:00Z' }, [62, 61]],
] as const)('%j finds these entries and no others', async (query, names) => {
  expect((await find(query)).names).toEqual(names)
})

test('another tenant’s entries are found by nothing', async () => {
  expect((await find({ search: 'quimby' }, theirs.admin)).names).toEqual([20])
  expect((await find({ search: 'public gist' }, theirs.admin)).names).toEqual([30])
  expect((await find({ actor: 'zoe' }, theirs.admin)).names).toEqual([20])
  expect((await find({ search: 'request-30' })).names).toEqual([])
})

test('the function behind it sees one tenant only, and is of no use without one', async () => {
  const asApp = (tenantId: string) =>
    server.database.transaction(async (tx) => {
      await tx.execute(sql`select set_config('role', 'mate_app', true), set_config('mate.tenant_id', ${tenantId}, true)`)
      return tx
        .select({ id: sql<number>`id::float8` })
        .from(sql`generate_series(0, 1) b, mate_find_audit_text('%quimby%', b) as id`)
    })
  expect(await asApp(ours.id)).toHaveLength(2)
  expect(await asApp(theirs.id)).toHaveLength(1)
  await expect(asApp('')).rejects.toThrow()
})

test('pages of what is rare and of what is frequent have each entry once', async () => {
  for (const [query, wanted] of [
    [{ search: '192.0.2.7', action: 'api_key.revoked' }, 70],
    [{ actor: 'zoe' }, 2],
    [{ search: 'agent 69' }, 1 + 9 + 90 + 900],
  ] as const) {
    const seen = new Set<number>()
    let cursor: string | null = ''
    while (cursor !== null) {
      const page: Awaited<ReturnType<typeof find>> = await find({ ...query, ...(cursor && { cursor }) })
      for (const name of page.names) expect(seen.has(name)).toBe(false)
      for (const name of page.names) seen.add(name)
      cursor = page.nextCursor
    }
    expect([query, seen.size]).toEqual([query, wanted])
  }
})

test('what no index can find in a log this long is refused, and not looked for in a part of it', async () => {
  const { status, errors } = await find({ search: '~~' })
  expect(status).toBe(400)
  expect(errors).toEqual([{ path: 'search', message: expect.stringContaining('three letters or digits') }])
  expect((await find({ search: '2.' })).status).toBe(200)
  expect(await countAudit(server, ours.id)).toBe(count * 0.9)
})
