// The audit log proves itself: every entry has its place in a chain, and whatever is done to an export of it is found.

import { sql } from 'drizzle-orm'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { writeAudit } from '#server/audit.ts'
import { type ChainedEntry, canonical, hashEntry, noHash, type Statement } from '#server/audit-chain.ts'
import { readPublicKeys, verifyExport } from '#server/audit-verify.ts'
import { anAgent } from './doors.ts'
import { type SeededKey, seedKey, seedTenant, useServer } from './harness.ts'

const server = useServer()
const house = { id: '', admin: {} as SeededKey }
const keys: { trusted?: ReturnType<typeof readPublicKeys> } = {}
beforeAll(async () => {
  house.id = (await seedTenant(server)).id
  house.admin = await seedKey(server, house.id, 'TenantAdmin')
  keys.trusted = readPublicKeys(await (await server.request('/.well-known/mate-audit-key')).text())
})

async function* inPieces(text: string | Uint8Array, size = 1_000): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text)
  // The server is in this process, and has connections to look after.
  await new Promise(setImmediate)
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

const check = (text: string | Uint8Array, outside: Statement[] = []) => verifyExport(inPieces(text), keys.trusted, outside)

async function exportOf(key: string, query = ''): Promise<string> {
  const response = await server.request(`/api/admin/audit-log/export${query}`, { key })
  expect(response.status).toBe(200)
  return response.text()
}

type Line = ChainedEntry & Statement & { action?: string }
const parse = (file: string) =>
  file
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)
const print = (lines: object[]) => lines.map((line) => `${canonical(line)}\n`).join('')
const rehashed = (entry: Line): Line => ({ ...entry, hash: hashEntry(entry) })

// Text that PostgreSQL stores: everything but NUL; a generated string is well-formed.
const anyText = fc.string({ unit: 'binary', maxLength: 12 }).map((text) => text.replaceAll('\0', ''))
const anyFields = fc.dictionary(
  anyText.filter((name) => name !== '__proto__'),
  fc.jsonValue({ maxDepth: 2, stringUnit: 'binary' }).map(withoutNul),
  { maxKeys: 4 },
)

function withoutNul<T>(value: T): T {
  return JSON.parse(JSON.stringify(value).replaceAll('\\u0000', '').replaceAll('"__proto__"', '"proto"')) as T
}

const anEntry = fc.record({
  action: anyText,
  entity: fc.record({ type: fc.constant('agent' as const), id: anyText, name: anyText }),
  actor: fc.record({
    kind: fc.constantFrom('user', 'key', 'console', 'system'),
    id: anyText,
    name: anyText,
    role: fc.constantFrom('Viewer', null),
  }),
  origin: fc.record({ ip: fc.option(anyText), userAgent: fc.option(anyText), requestId: anyText }),
  outcome: fc.constantFrom('success', 'refused'),
  after: fc.option(anyFields, { nil: undefined }),
})

/** A tenant whose log has these entries, and a key that may export it. */
async function historyOf(entries: fc.Arbitrary<unknown> extends never ? never : object[]): Promise<{ id: string; key: string }> {
  const { id } = await seedTenant(server)
  for (const entry of entries) {
    await server.database.transaction((tx) => writeAudit(tx, { ...(entry as Parameters<typeof writeAudit>[1]), tenantId: id }))
  }
  return { id, key: (await seedKey(server, id, 'TenantAdmin')).key }
}

test('the canonical form that the database makes is that of RFC 8785, for whatever JSON can hold', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.jsonValue({ stringUnit: 'binary' }).map(withoutNul), { minLength: 100, maxLength: 100 }),
      async (values) => {
        const rows = await server.database.db
          .select({ text: sql<string>`mate_canonical_json(value)` })
          .from(sql`jsonb_array_elements(${JSON.stringify(values)}::text::jsonb) with ordinality as v (value, n) order by n`)
        expect(rows.map(({ text }) => text)).toEqual(values.map((value) => canonical([value]).slice(1, -1)))
      },
    ),
    { numRuns: 10 },
  )
})

test('a number in it is written as ECMAScript writes it', async () => {
  const numbers = fc.sample(
    fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.double({ min: 2 ** 53, max: 1e22, noNaN: true })),
    { numRuns: 3_000 },
  )
  numbers.push(0.1 + 0.2, 1e21, 1e-7, 123456789012345680000, 5e-324, Number.MAX_VALUE, 2 ** 60, 25591121622752270)
  const [row] = await server.database.db
    .select({ text: sql<string>`mate_canonical_json(${JSON.stringify(numbers)}::text::jsonb)` })
    .from(sql`(select) as once`)
  expect(row?.text.slice(1, -1).split(',')).toEqual(numbers.map((number) => JSON.stringify(number)))
})

describe('an export', () => {
  test('of whatever history is intact, and each entry’s hash can be computed from what is read through the API', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anEntry, { minLength: 1, maxLength: 8 }), async (entries) => {
        const { key } = await historyOf(entries)
        const report = await check(await exportOf(key))
        expect(report).toMatchObject({
          isIntact: true,
          lines: [expect.stringContaining(`${entries.length} entries`), expect.anything()],
        })
        const list = (await (await server.request('/api/admin/audit-log?after=0', { key })).json()) as {
          items: (Line & { id: number; occurrences: number })[]
        }
        let before = noHash
        for (const [i, { id: _, occurrences: __, ...entry }] of list.items.entries()) {
          expect([entry.seq, entry.prevHash, entry.hash]).toEqual([i + 1, before, hashEntry(entry)])
          before = entry.hash
        }
      }),
      { numRuns: 10 },
    )
  })

  test('of whatever history shows every single change of a byte', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(anEntry, { minLength: 1, maxLength: 4 }),
        fc.infiniteStream(fc.nat()),
        async (entries, numbers) => {
          const { key } = await historyOf(entries)
          const file = Buffer.from(await exportOf(key))
          const next = () => Number(numbers.next().value)
          for (let n = 0; n < 150; n++) {
            const changed = Buffer.from(file)
            const at = next() % file.length
            changed[at] = (changed[at] ?? 0) ^ (1 + (next() % 255))
            expect([at, (await check(changed)).isIntact]).toEqual([at, false])
          }
        },
      ),
      { numRuns: 5 },
    )
  })

  test('shows a change of any of its bytes, be it in an entry, a hash, a signature, a key or between them', async () => {
    const { key } = await historyOf(fc.sample(anEntry, { numRuns: 1, seed: 1 }))
    const file = Buffer.from(await exportOf(key))
    for (let at = 0; at < file.length; at++) {
      const changed = Buffer.from(file)
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8))
      expect([at, (await check(changed)).isIntact]).toEqual([at, false])
      expect([at, (await verifyExport(inPieces(changed))).isIntact]).toEqual([at, false])
    }
  })

  test('shows what reads the same and is spelt differently: a signature’s last letter, bytes that are no text', async () => {
    const [entry] = fc.sample(anEntry, { numRuns: 1, seed: 4 })
    const { key } = await historyOf([{ ...entry, action: 'a\ufffdb' }])
    const file = await exportOf(key)
    for (const [whole, start = '', last] of file.matchAll(/("signature":"[\w-]{85})([\w-])"/g)) {
      for (const other of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_') {
        const report = await check(file.replace(whole, `${start}${other}"`))
        expect([other, report.isIntact]).toEqual([other, other === last])
      }
    }
    const at = Buffer.from(file).indexOf('\ufffd')
    const bytes = Buffer.concat([Buffer.from(file).subarray(0, at), Buffer.of(0xff), Buffer.from(file).subarray(at + 3)])
    expect(bytes.toString()).toBe(file)
    expect((await check(bytes)).isIntact).toBe(false)
  })
})

describe('the first bad sequence is named', () => {
  const shelf = { lines: [] as Line[], key: '' }
  const count = 9
  beforeAll(async () => {
    const { key } = await historyOf(fc.sample(anEntry, { numRuns: count, seed: 2 }))
    shelf.key = key
    shelf.lines = parse(await exportOf(key))
    expect(shelf.lines.map(({ type, seq }) => type ?? seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 'checkpoint', 'export', 'key'])
  })
  const bad = async (change: (lines: Line[]) => Line[]) => {
    const { isIntact, firstBad } = await check(print(change(structuredClone(shelf.lines))))
    return isIntact ? 'intact' : firstBad
  }
  const at = (lines: Line[], seq: number) => lines.findIndex((line) => line.seq === seq)

  test('nothing changed: intact', async () => expect(await bad((lines) => lines)).toBe('intact'))

  test.each([1, 5, count])('an edit of %i', async (seq) => {
    expect(await bad((lines) => lines.map((line) => (line.seq === seq && !line.type ? { ...line, action: 'x' } : line)))).toBe(
      seq,
    )
  })

  test.each([2, 5, count - 1])('an edit of %i whose hash was computed anew', async (seq) => {
    expect(
      await bad((lines) => lines.map((line) => (line.seq === seq && !line.type ? rehashed({ ...line, action: 'x' }) : line))),
    ).toBe(seq)
  })

  test.each([1, 5, count])('a deletion of %i', async (seq) => {
    expect(await bad((lines) => lines.toSpliced(at(lines, seq), 1))).toBe(seq)
  })

  test.each([2, 5, count])('an insertion before %i', async (seq) => {
    const inserted = (lines: Line[]) => {
      const before = lines[at(lines, seq) - 1]
      return rehashed({ ...(lines[at(lines, seq)] as Line), action: 'x', prevHash: before?.hash ?? noHash })
    }
    expect(await bad((lines) => lines.toSpliced(at(lines, seq), 0, inserted(lines)))).toBe(seq)
  })

  test.each([1, 5, count - 1])('%i and the one behind it change places', async (seq) => {
    expect(
      await bad((lines) => {
        const i = at(lines, seq)
        return lines.toSpliced(i, 2, lines[i + 1] as Line, lines[i] as Line)
      }),
    ).toBe(seq)
  })

  test.each([1, 5, count])('a truncation: the entries from %i on are gone', async (seq) => {
    expect(await bad((lines) => lines.filter((line) => line.type || line.seq < seq))).toBe(seq)
    // And with the end of the file.
    expect(await bad((lines) => lines.slice(0, at(lines, seq)))).toBe(seq)
  })

  test('a chain that was computed anew from an edit on, to its end, differs from the one that was signed', async () => {
    const rewritten = (lines: Line[]) => {
      let before = noHash
      return lines.map((line) => {
        if (line.type) return line
        const entry = rehashed({ ...line, prevHash: before, ...(line.seq === 5 ? { action: 'x' } : {}) })
        before = entry.hash
        return entry
      })
    }
    expect(await bad(rewritten)).toBe(1)
    // With checkpoints from outside it is known more exactly.
    const [, , , fourth] = shelf.lines
    const checkpoint = { ...(shelf.lines[count] as Line), seq: 4, hash: fourth?.hash ?? '' }
    const report = await check(print(rewritten(structuredClone(shelf.lines))), [checkpoint])
    expect(report).toMatchObject({ isIntact: false, firstBad: 5 })
  })

  test('a signed end of another export, or of another tenant, does not fit', async () => {
    const other = parse(await exportOf((await historyOf(fc.sample(anEntry, { numRuns: count, seed: 3 }))).key))
    const end = (lines: Line[]) => lines.slice(count)
    expect(await bad((lines) => [...lines.slice(0, count), ...end(other)])).not.toBe('intact')
    expect(await bad((lines) => [...lines.slice(0, count), lines[count] as Line, ...end(other).slice(1)])).not.toBe('intact')
    const later = parse(await exportOf(shelf.key))
    expect(await bad((lines) => [...lines.slice(0, count), ...later.slice(-3)])).toBe(count + 1)
  })

  test('an export from a log whose end was taken away falls short of a checkpoint that was kept outside', async () => {
    const end = shelf.lines[count] as Line
    const earlier = { ...end, seq: count + 3, at: '2020-01-01T00:00:00.000000Z' }
    expect(await check(print(shelf.lines), [earlier])).toMatchObject({ isIntact: false, firstBad: count + 1 })
    // One that was made later has seen more, of course.
    expect(await check(print(shelf.lines), [{ ...earlier, at: '2999-01-01T00:00:00.000000Z' }])).toMatchObject({ isIntact: true })
  })

  test('by the key of somebody else nothing is signed', async () => {
    const { generateKeyPairSync } = await import('node:crypto')
    const pem = generateKeyPairSync('ed25519').publicKey.export({ format: 'pem', type: 'spki' }).toString()
    const report = await verifyExport(inPieces(print(shelf.lines)), readPublicKeys(pem))
    expect(report.isIntact).toBe(false)
    expect(report.lines[0]).toContain('not in the key file')
  })
})

describe('the chain', () => {
  test('has no gap and no fork after many changes at once, some of them rolled back', async () => {
    const { id } = await seedTenant(server)
    const { key } = await seedKey(server, id, 'TenantAdmin')
    const agent = anAgent()
    // The same name twice: one of the two is a conflict, whose entry is rolled back with it.
    const names = Array.from({ length: 30 }, (_, i) => ({ ...agent, name: `Agent ${i % 20} ${id}` }))
    const answers = await Promise.all(names.map((json) => server.request('/api/agents', { method: 'POST', key, json })))
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(20)
    const lines = parse(await exportOf(key))
    expect(lines.filter(({ type }) => !type).map(({ seq }) => seq)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
    expect(await check(print(lines))).toMatchObject({ isIntact: true })
  })

  test('can be changed by nobody who does not first take its guard away: not by the owner of the tables either', async () => {
    const { db } = server.database
    const message = async (work: Promise<unknown>) => {
      const error = await work.then(
        () => undefined,
        (thrown: Error) => thrown,
      )
      return String((error?.cause as Error | undefined)?.message ?? error?.message)
    }
    for (const table of ['audit_log', 'audit_chain']) {
      const name = table === 'audit_log' ? sql`audit_log` : sql`audit_chain`
      expect(await message(db.execute(sql`update ${name} set tenant_id = tenant_id`))).toContain(`UPDATE on ${table} is refused`)
      expect(await message(db.execute(sql`delete from ${name}`))).toContain(`DELETE on ${table} is refused`)
      expect(await message(db.execute(sql`truncate ${name}`))).toContain(`TRUNCATE on ${table} is refused`)
    }
  })

  test('can’t be written by the role of a request: no place, no time of its own choice, no cut', async () => {
    const asApp = (statement: ReturnType<typeof sql>) =>
      server.database.transaction(async (tx) => {
        await tx.execute(sql`select set_config('role', 'mate_app', true), set_config('mate.tenant_id', ${house.id}, true)`)
        await tx.execute(statement)
      })
    const entry = sql`${house.id}::uuid, 'key', 'x', 'x', 'x', 'agent', 'x', 'x', 'success', 'x', '{}'`
    const columns = sql`tenant_id, actor_kind, actor_id, actor_name, action, entity_type, entity_id, entity_name, outcome, request_id, details`
    const refused = [
      sql`insert into audit_chain (entry_id, tenant_id, seq, prev_hash, hash) values (1, ${house.id}::uuid, 1, '', '')`,
      sql`update audit_checkpoints set seq = 0`,
      sql`delete from audit_checkpoints`,
      sql`select mate_cut_audit(${house.id}::uuid, 1, 1)`,
      sql`select mate_chain(l) from audit_log l`,
      sql`insert into audit_log (at, ${columns}) values (now() - interval '1 day', ${entry})`,
      sql`insert into audit_log (at, ${columns}) values (now() + interval '1 day', ${entry})`,
    ]
    for (const statement of refused) {
      await expect(asApp(statement)).rejects.toMatchObject({
        cause: { message: expect.stringMatching(/permission denied|row-level security/) },
      })
    }
    await asApp(sql`insert into audit_log (${columns}) values (${entry})`)
  })
})
