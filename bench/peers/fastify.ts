// A plain service with the two queries that floor c has; with "writing" it also notes the last use on each request.
import { createHash } from 'node:crypto'
import Fastify from 'fastify'
import postgres from 'postgres'

const isWriting = process.argv[2] === 'writing'
const sql = postgres(process.env.DATABASE_URL ?? '', { max: 10, onnotice: () => {} })
const app = Fastify()

app.get('/api/agents', async (request, reply) => {
  const hash = createHash('sha256').update(String(request.headers['x-api-key'])).digest()
  const [key] = await sql`select id, tenant_id from api_keys where key_hash = ${hash} and revoked_at is null`
  if (!key) return reply.code(401).send({ error: 'unauthorized' })
  if (isWriting) await sql`update api_keys set last_used_at = now() where id = ${key.id}`
  const items = await sql`
    select id, name, description, environment, tags, is_active, connector, created_at, updated_at
    from agents where tenant_id = ${key.tenant_id} order by created_at desc, id desc limit 51`
  return { items, nextCursor: null }
})

await app.listen({ port: 0, host: '127.0.0.1' })
const address = app.server.address()
process.stdout.write(`at http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}\n`)
process.once('SIGTERM', () => process.exit(0))
