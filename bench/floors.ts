// What a request costs without us. a: SHA-256 and a Map; b: one indexed SELECT of 10 rows; c: the key looked up by its hash, then b.
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import postgres from 'postgres'

const floor = process.argv[2] ?? 'a'
const url = process.env.DATABASE_URL ?? ''
const sql = postgres(url, { max: 10, onnotice: () => {} })

const headers = { 'Content-Type': 'application/json' }
const readAgents = (tenantId: string) => sql`
  select id, name, description, environment, tags, is_active, connector, connector_secret is not null as has_secret,
    created_at, updated_at
  from agents where tenant_id = ${tenantId} order by created_at desc, id desc limit 51`

// The same bytes as ours answers: what it answers is fetched once, from the database.
const [tenant] = await sql<{ id: string }[]>`select id from tenants order by created_at limit 1`
const tenantId = tenant?.id ?? ''
const toBody = (rows: readonly Record<string, unknown>[]) =>
  JSON.stringify({
    items: rows.map((row) => ({
      id: row.id,
      name: row.name,
      description: row.description,
      environment: row.environment,
      tags: row.tags,
      isActive: row.is_active,
      connector: { ...(row.connector as object), hasSecret: row.has_secret },
      createdAt: row.created_at,
      updatedAt: row.updated_at,
    })),
    nextCursor: null,
  })
const fixedBody = toBody(await readAgents(tenantId))
const keys = new Map<string, string>()
for (const { hash } of await sql<{ hash: string }[]>`select encode(key_hash, 'hex') as hash from api_keys`)
  keys.set(hash, tenantId)

const server = createServer(async (request, response) => {
  const key = String(request.headers['x-api-key'] ?? '')
  const hash = createHash('sha256').update(key).digest()
  let found: string | undefined
  if (floor === 'c') {
    const [row] = await sql<{ tenant_id: string }[]>`select tenant_id from api_keys where key_hash = ${hash}`
    found = row?.tenant_id
  } else {
    found = keys.get(hash.toString('hex'))
  }
  if (found === undefined) {
    response.writeHead(401, { 'Content-Length': 0 }).end()
    return
  }
  const body = floor === 'a' ? fixedBody : toBody(await readAgents(found))
  response.writeHead(200, { ...headers, 'Content-Length': Buffer.byteLength(body) }).end(body)
})

server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.stdout.write(`at http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}\n`)
})
process.once('SIGTERM', () => process.exit(0))
