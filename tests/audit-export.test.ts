// Exports, checkpoints and the cut of old entries: what leaves the log leaves it provable.

import { createPrivateKey } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eq, sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { auditCheckpoints, settings, tenants } from '#db/schema.ts'
import { csvRow, openAuditExport } from '#server/audit-export.ts'
import { runAuditMinute } from '#server/audit-jobs.ts'
import { cutOldEntries } from '#server/audit-retention.ts'
import { loadAuditSigner } from '#server/audit-signer.ts'
import { readEnv } from '#server/env.ts'
import { useRuntime } from '#server/runtime.ts'
import { loadSecret } from '#server/secret.ts'
import { runConsole } from '../scripts/mate.ts'
import { auditOf, seedKey, seedTenant, seedUser, useServer } from './harness.ts'

const server = useServer()
const folder = mkdtempSync(join(tmpdir(), 'mate-audit-'))
const keyFile = join(folder, 'key.json')
const outside = join(folder, 'checkpoints.ndjson')
const sink = { isDown: false, bodies: [] as string[] }
const sinkServer = createServer((request, response) => {
  let body = ''
  request.on('data', (chunk) => {
    body += chunk
  })
  request.on('end', () => {
    if (!sink.isDown) sink.bodies.push(body)
    response.writeHead(sink.isDown ? 500 : 204).end()
  })
})

/** Settings of this process, whose jobs run on the server's database. */
async function use(given: Record<string, string>): Promise<void> {
  const env = readEnv(given)
  const secret = await loadSecret(server.database, env)
  useRuntime({ env, database: server.database, secret, auditSigner: await loadAuditSigner(server.database, env, secret) })
}

beforeAll(async () => {
  await new Promise<void>((resolve) => sinkServer.listen(0, '127.0.0.1', resolve))
  writeFileSync(keyFile, await (await server.request('/.well-known/mate-audit-key')).text())
  const url = `http://127.0.0.1:${(sinkServer.address() as AddressInfo).port}/`
  await use({ MATE_AUDIT_CHECKPOINT_FILE: outside, MATE_AUDIT_CHECKPOINT_URL: url })
})
afterAll(() => {
  sinkServer.close()
  rmSync(folder, { recursive: true, force: true })
})

const columns = sql`tenant_id, at, actor_kind, actor_id, actor_name, action, entity_type, entity_id, entity_name, outcome, request_id, details`

/** Entries of one tenant, the first `daysOld`, chained as they always are. */
async function fill(tenantId: string, count: number, daysOld = 0): Promise<void> {
  await server.database.db.execute(sql`insert into audit_log (${columns})
    select ${tenantId}::uuid, clock_timestamp() - make_interval(days => ${daysOld}::int), 'key', 'k' || i % 3, 'Key ' || i % 3,
      'agent.updated', 'agent', 'a' || i, 'Agent ' || i, 'success', 'r' || i, '{}' from generate_series(1, ${count}::int) i`)
}

async function house(): Promise<{ id: string; key: string; keyId: string }> {
  const { id } = await seedTenant(server)
  const made = await seedKey(server, id, 'TenantAdmin')
  return { id, key: made.key, keyId: made.id }
}

async function save(key: string, query = ''): Promise<{ file: string; text: string; headers: Headers }> {
  const response = await server.request(`/api/admin/audit-log/export${query}`, { key })
  const file = join(folder, `${crypto.randomUUID()}.ndjson`)
  const text = await response.text()
  writeFileSync(file, text)
  return { file, text, headers: response.headers }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
const verify = (...args: string[]) => runConsole(['audit', 'verify', ...args], { DATABASE_URL: 'nonsense' }, nothing())

const parse = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)

describe('an export', () => {
  test('is a file of all entries in order, audited, and the console says that it is intact, with no database', async () => {
    const { id, key } = await house()
    await fill(id, 2_345)
    const { file, text, headers } = await save(key)
    expect(headers.get('content-type')).toBe('application/x-ndjson')
    expect(headers.get('content-disposition')).toMatch(/^attachment; filename="audit-log-\d{8}T\d{6}Z\.ndjson"$/)
    expect(parse(text).map(({ type, seq }) => type ?? seq)).toEqual([
      ...Array.from({ length: 2_345 }, (_, i) => i + 1),
      'checkpoint',
      'export',
      'key',
    ])
    expect((await auditOf(server, id)).at(-1)).toMatchObject({
      action: 'audit_log.exported',
      details: { after: { format: 'ndjson' } },
    })
    const verdict = await verify(file, '--public-key', keyFile)
    expect(verdict).toMatchObject({ code: 0, stderr: '' })
    expect(verdict.stdout).toContain('Intact: 2345 entries')
    expect((await verify(file)).stdout).toContain('against the key inside the file')
  })

  test('that was changed: exit code 1, and the first bad sequence; a file that is not there: 2', async () => {
    const { id, key } = await house()
    await fill(id, 20)
    const { file, text } = await save(key)
    writeFileSync(file, text.replace('Agent 13', 'Agent 31'))
    const verdict = await verify(file, '--public-key', keyFile)
    expect(verdict.code).toBe(1)
    expect(verdict.stdout).toMatch(/^NOT INTACT: sequence 13 was changed/)
    expect((await verify(join(folder, 'none'))).code).toBe(2)
    expect((await verify(file, '--checkpoints', file)).code).toBe(2)
    expect((await verify()).code).toBe(2)
  })

  test('has the filters of the page; of what it holds each byte is proven, and it says that it is not all', async () => {
    const { id, key } = await house()
    await fill(id, 1_500)
    const { file, text } = await save(key, '?actor=k1&action=agent.updated')
    const seqs = parse(text)
      .filter(({ type }) => !type)
      .map(({ seq }) => seq)
    expect(seqs).toEqual(Array.from({ length: 500 }, (_, i) => 3 * i + 1))
    const verdict = await verify(file, '--public-key', keyFile)
    expect(verdict.code).toBe(0)
    expect(verdict.stdout).toContain('Filtered (action=agent.updated, actor=k1)')
    writeFileSync(file, text.split('\n').toSpliced(7, 1).join('\n'))
    expect((await verify(file, '--public-key', keyFile)).stdout).toContain('1 of 500 entries are missing')
    // Nor can a whole export be passed off as a filtered one.
    const whole = (await save(key)).text.split('\n').toSpliced(7, 1).join('\n')
    writeFileSync(file, whole.replace('"filters":{}', '"filters":{"actor":"k1"}'))
    expect((await verify(file, '--public-key', keyFile)).code).toBe(1)
  })

  test('as CSV is a table that no spreadsheet takes for formulas', async () => {
    const { id, key } = await house()
    await server.database.db.execute(sql`insert into audit_log (${columns})
      values (${id}::uuid, clock_timestamp(), 'key', 'k', '=cmd|''/C calc''!A0', 'agent.updated', 'agent', 'a', '"Anna", 1', 'success', 'r',
      '{"reason": "@x", "after": {"a": 1, "b": [true]}}')`)
    const { text, headers } = await save(key, '?format=csv')
    expect(headers.get('content-type')).toBe('text/csv; charset=utf-8; header=present')
    const [head, row, end, ...rest] = text.split('\r\n')
    expect(head).toMatch(/^seq,at,actorKind,actorId,actorName,/)
    expect(row).toMatch(/^1,\d{4}-/)
    expect(row).toContain(`,'=cmd|'/C calc'!A0,`)
    expect(row).toContain(`,"""Anna"", 1",success,1,,,r,,'@x,,"{""a"":1,""b"":[true]}",`)
    expect([end, rest]).toEqual(['', []])
    expect(csvRow(['=1', '+1', '-1', '@1', '\t1', '\r1', 'a=1', 1, null])).toBe(`'=1,'+1,'-1,'@1,'\t1,"'\r1",a=1,1,\r\n`)
  })

  test('stops when its key is revoked in the middle', async () => {
    const { id, key, keyId } = await house()
    const root = await seedKey(server, id, 'TenantAdmin')
    await fill(id, 2_500)
    const call = { door: 'rest', requestId: crypto.randomUUID(), ip: null, userAgent: null, tenantId: null } as const
    const { chunks } = await openAuditExport({ ...call, credential: { kind: 'key', key } }, {})
    await chunks.next()
    expect(String((await chunks.next()).value)).toContain('"seq":1000')
    expect(
      (await server.request(`/api/admin/api-keys/${keyId}/revoke`, { method: 'POST', key: root.key, json: {} })).status,
    ).toBe(200)
    await expect(chunks.next()).rejects.toMatchObject({ code: 'UNAUTHORIZED' })
  })

  test('is a link on the page, which sends a signed-in admin the file and nobody else', async () => {
    const { id } = await house()
    await fill(id, 3)
    const { cookie } = await seedUser(server, id, 'TenantAdmin')
    const page = await (await server.request('/audit-log?actor=k1', { headers: { cookie } })).text()
    const [, href = ''] = /href="([^"]*format=csv[^"]*)"/.exec(page) ?? []
    const csv = await server.request(href.replaceAll('&amp;', '&'), { headers: { cookie } })
    expect(csv.status).toBe(200)
    expect(
      (await csv.text())
        .split('\r\n')
        .slice(1)
        .map((row) => row.split(',')[0]),
    ).toEqual(['1', ''])
    const lines = await server.request('/audit-log/export', { headers: { cookie } })
    expect(parse(await lines.text()).map(({ type, seq }) => type ?? seq)).toEqual([1, 2, 3, 4, 'checkpoint', 'export', 'key'])
    const viewer = await seedUser(server, id, 'Viewer')
    expect((await server.request('/audit-log/export', { headers: { cookie: viewer.cookie } })).status).toBe(403)
    const anonymous = await server.request('/audit-log/export')
    expect([anonymous.status, anonymous.headers.get('location')]).toEqual([302, '/sign-in'])
  })

  test('is not begun by HEAD, which would audit an export that nobody has', async () => {
    const { id, key } = await house()
    for (const [query, status] of [
      ['', 200],
      ['?format=csv', 200],
      ['?format=x', 400],
      ['?from=x', 400],
    ] as const) {
      const response = await server.request(`/api/admin/audit-log/export${query}`, { method: 'HEAD', key })
      expect([query, response.status]).toEqual([query, status])
    }
    expect(await auditOf(server, id)).toEqual([])
  })
})

test('the log is followed by sequence: each entry once, in order, whatever is written meanwhile', async () => {
  const { id, key } = await house()
  const seen: number[] = []
  for (let round = 0; round < 4; round++) {
    await fill(id, 7)
    for (;;) {
      const response = await server.request(`/api/admin/audit-log?limit=5&after=${seen.at(-1) ?? 0}`, { key })
      const { items, nextCursor } = (await response.json()) as { items: { seq: number }[]; nextCursor: null }
      expect(nextCursor).toBeNull()
      seen.push(...items.map(({ seq }) => seq))
      if (items.length === 0) break
    }
  }
  expect(seen).toEqual(Array.from({ length: 28 }, (_, i) => i + 1))
  for (const query of ['after=0&action=x', 'after=0&cursor=WzFd', 'after=-1', 'after=x', 'after=1.5']) {
    expect([query, (await server.request(`/api/admin/audit-log?${query}`, { key })).status]).toEqual([query, 400])
  }
})

describe('checkpoints', () => {
  const ofTenant = (id: string) =>
    server.database.db.select().from(auditCheckpoints).where(eq(auditCheckpoints.tenantId, id)).orderBy(auditCheckpoints.id)
  /** As if no node had been here in this minute. */
  const nextMinute = () => server.database.db.delete(settings).where(eq(settings.name, 'audit_minute'))
  const run = async () => {
    await nextMinute()
    await runAuditMinute(server.database)
  }
  const linesOf = (text: string, id: string) => parse(text).filter(({ tenantId }) => tenantId === id)

  test('are made once a minute, by one node, for a chain that went on', async () => {
    const { id } = await house()
    await run()
    expect(await ofTenant(id)).toEqual([])
    await fill(id, 3)
    await nextMinute()
    await Promise.all([runAuditMinute(server.database), runAuditMinute(server.database), runAuditMinute(server.database)])
    expect(await ofTenant(id)).toMatchObject([{ seq: 3, type: 'checkpoint', isPending: false }])
    await run()
    expect(await ofTenant(id)).toHaveLength(1)
    await fill(id, 1)
    await run()
    expect((await ofTenant(id)).map(({ seq }) => seq)).toEqual([3, 4])
  })

  test('are written outside the database, to the file and to the address; what fails comes with the next minute', async () => {
    const { id, key } = await house()
    sink.isDown = true
    for (let i = 0; i < 3; i++) {
      await fill(id, 2)
      await run()
    }
    expect(linesOf(readFileSync(outside, 'utf8'), id).map(({ seq }) => seq)).toEqual([2, 4, 6])
    expect((await ofTenant(id)).map(({ isPending }) => isPending)).toEqual([true, true, true])
    sink.isDown = false
    await run()
    expect(linesOf(readFileSync(outside, 'utf8'), id).map(({ seq }) => seq)).toEqual([2, 4, 6])
    expect(linesOf(sink.bodies.join(''), id).map(({ seq }) => seq)).toEqual([2, 4, 6])
    expect((await ofTenant(id)).map(({ isPending }) => isPending)).toEqual([false, false, false])

    const { file } = await save(key)
    const verdict = await verify(file, '--public-key', keyFile, '--checkpoints', outside)
    expect(verdict).toMatchObject({ code: 0, stdout: expect.stringContaining('3 checkpoints from outside agree') })
  })

  test('kept outside show what an owner of the database did: entries rewritten, or the newest taken away', async () => {
    const { id, key } = await house()
    await fill(id, 6)
    await run()
    const tamper = (statement: ReturnType<typeof sql>) =>
      server.database.db.transaction(async (tx) => {
        for (const table of [sql`audit_log`, sql`audit_chain`])
          await tx.execute(sql`alter table ${table} disable trigger append_only`)
        await tx.execute(statement)
        for (const table of [sql`audit_log`, sql`audit_chain`])
          await tx.execute(sql`alter table ${table} enable trigger append_only`)
      })
    const judge = async () => verify((await save(key)).file, '--public-key', keyFile, '--checkpoints', outside)
    expect((await judge()).code).toBe(0)
    // Its hashes computed anew, to the end, as the server itself would: the newest checkpoint is signed over them.
    const entries = await auditOf(server, id)
    await tamper(sql`update audit_log set actor_name = 'Somebody else' where tenant_id = ${id} and entity_name = 'Agent 4'`)
    await tamper(sql`delete from audit_chain where tenant_id = ${id}`)
    for (const entry of entries) await tamper(sql`select mate_chain(l) from audit_log l where l.id = ${entry.id}`)
    expect(await judge()).toMatchObject({ code: 1, stdout: expect.stringContaining('rewritten') })
    await tamper(sql`delete from audit_chain where tenant_id = ${id} and seq > 4`)
    expect(await judge()).toMatchObject({ code: 1, stdout: expect.stringContaining('sequence 5 is missing') })
  })

  test('are signed by a key that is given, else by one that is made once; the public halves of both stay', async () => {
    const { db } = server.database
    const own = await loadAuditSigner(server.database, readEnv({}), await loadSecret(server.database, readEnv({})))
    const seed = '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'
    const der = Buffer.from(`302e020100300506032b657004220420${seed}`, 'hex')
    const pem = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ format: 'pem', type: 'pkcs8' }).toString()
    const MATE_AUDIT_KEY = pem.replaceAll('\n', '\\n')
    const given = await loadAuditSigner(server.database, readEnv({ MATE_AUDIT_KEY }), 'x')
    // The public key of RFC 8032, section 7.1, test 1, and its thumbprint of RFC 8037, appendix A.3.
    expect(given.keyId).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k')
    const { keys } = (await (await server.request('/.well-known/mate-audit-key')).json()) as { keys: { kid: string }[] }
    expect(keys.map(({ kid }) => kid)).toEqual([given.keyId, own.keyId])
    expect(keys[0]).toMatchObject({ kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' })
    const [row] = await db.select().from(settings).where(eq(settings.name, 'audit_key'))
    expect(Buffer.from(row?.value ?? '', 'base64').toString('latin1')).not.toContain('MC4CAQ')
    const wrong = loadAuditSigner(server.database, readEnv({ MATE_AUDIT_KEY: 'bm9uc2Vuc2U=' }), 'x')
    await expect(wrong).rejects.toThrow('openssl genpkey')
  })
})

describe('what is older than a tenant keeps', () => {
  const firstSeq = async (key: string) => {
    const response = await server.request('/api/admin/audit-log?limit=1&after=0', { key })
    return ((await response.json()) as { items: { seq: number }[] }).items[0]?.seq
  }
  const minute = async () => {
    await server.database.db.delete(settings).where(eq(settings.name, 'audit_minute'))
    await runAuditMinute(server.database)
  }
  const keep = (id: string, days: number | null) =>
    server.database.db.update(tenants).set({ auditRetentionDays: days }).where(eq(tenants.id, id))

  test('is cut off behind a signed statement, is audited, and an export of the rest is intact', async () => {
    const { id, key } = await house()
    await fill(id, 12, 100)
    await fill(id, 8, 10)
    await minute()
    const before = await save(key)
    expect(
      (await server.request('/api/admin/audit-log/retention', { method: 'PUT', key, json: { retentionDays: 30 } })).status,
    ).toBe(200)
    await cutOldEntries(server.database)
    expect(await firstSeq(key)).toBe(13)
    expect(await auditOf(server, id)).toHaveLength(8 + 3)
    expect((await auditOf(server, id)).at(-1)).toMatchObject({
      action: 'audit_log.cut',
      actorKind: 'system',
      details: { after: { firstSeq: 13 } },
    })
    const { file, text } = await save(key)
    expect(
      parse(text)
        .filter(({ type }) => type !== 'key')
        .map(({ type, seq }) => type ?? seq),
    ).toEqual(['cut', 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 'checkpoint', 'export'])
    const verdict = await verify(file, '--public-key', keyFile, '--checkpoints', outside)
    expect(verdict).toMatchObject({ code: 0, stdout: expect.stringContaining('cut off') })
    // The export of before and the statement meet.
    expect(parse(before.text).find(({ seq }) => seq === 12)?.hash).toBe(parse(text)[0]?.hash)
    // Without the statement, or with fewer entries behind it, it is no export.
    writeFileSync(file, text.split('\n').slice(1).join('\n'))
    expect(await verify(file, '--public-key', keyFile)).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('sequence 1 is missing'),
    })
    writeFileSync(file, text.split('\n').toSpliced(1, 1).join('\n'))
    expect(await verify(file, '--public-key', keyFile)).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('sequence 13 is missing'),
    })
    const chain = await (await server.request('/api/admin/audit-log/chain', { key })).json()
    expect(chain).toMatchObject({ cut: { seq: 12 }, retentionDays: 30 })
  })

  test('stays while nothing signed covers it, and so does the newest entry, however old', async () => {
    const { id, key } = await house()
    await fill(id, 5, 100)
    await keep(id, 30)
    await cutOldEntries(server.database)
    expect(await firstSeq(key)).toBe(1)
    await minute()
    await cutOldEntries(server.database)
    expect(await firstSeq(key)).toBe(5)
    await fill(id, 1)
    expect(await verify((await save(key)).file, '--public-key', keyFile)).toMatchObject({ code: 0 })
  })

  test('is cut by that function alone, and it refuses what is younger or what no signed cut covers', async () => {
    const { id } = await house()
    await fill(id, 5, 100)
    await fill(id, 5, 1)
    const cut = (upTo: number) => server.database.db.execute(sql`select mate_cut_audit(${id}::uuid, ${upTo}::bigint, 100)`)
    await expect(cut(3)).rejects.toMatchObject({ cause: { message: 'No signed cut covers sequence 3.' } })
    await minute()
    await keep(id, 30)
    await cutOldEntries(server.database)
    await expect(cut(8)).rejects.toMatchObject({ cause: { message: 'No signed cut covers sequence 8.' } })
    const row = {
      tenantId: id,
      type: 'cut',
      seq: 9,
      hash: new Uint8Array(),
      at: new Date(),
      keyId: '',
      signature: new Uint8Array(),
      isPending: false,
    } as const
    await server.database.db.insert(auditCheckpoints).values(row)
    await expect(cut(8)).rejects.toMatchObject({ cause: { message: 'The tenant keeps entries up to sequence 8.' } })
    expect((await auditOf(server, id)).length).toBe(5 + 1)
  })

  test.each([29, 0, -1, 1.5, 36_501, '30', undefined])('an age of %s days is refused', async (retentionDays) => {
    const { key } = await house()
    const response = await server.request('/api/admin/audit-log/retention', { method: 'PUT', key, json: { retentionDays } })
    expect(response.status).toBe(400)
  })
})
