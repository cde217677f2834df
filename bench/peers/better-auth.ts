// better-auth's API-key plugin before the query for the agents: on its database, or with "memory" on its secondary storage.
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { apiKey } from '@better-auth/api-key'
import { betterAuth } from 'better-auth'
import { getMigrations } from 'better-auth/db/migration'
import pg from 'pg'
import postgres from 'postgres'

const isInMemory = process.argv[2] === 'memory'
const keysFile = process.argv[3] ?? ''
const sql = postgres(process.env.DATABASE_URL ?? '', { max: 8, onnotice: () => {} })
const store = new Map<string, string>()

const options = {
  database: new pg.Pool({ connectionString: process.env.PEER_DATABASE_URL, max: 8 }),
  secret: 'a secret of the benchmark, which protects nothing',
  baseURL: 'http://127.0.0.1',
  emailAndPassword: { enabled: true },
  logger: { disabled: true },
  ...(isInMemory
    ? {
        secondaryStorage: {
          get: (key: string) => store.get(key) ?? null,
          set: (key: string, value: string) => void store.set(key, value),
          delete: (key: string) => void store.delete(key),
        },
      }
    : {}),
  plugins: [apiKey({ rateLimit: { enabled: false }, ...(isInMemory ? { storage: 'secondary-storage' as const } : {}) })],
}
const { runMigrations } = await getMigrations(options)
await runMigrations()
const auth = betterAuth(options)
const email = `${crypto.randomUUID()}@example.com`
const { user } = await auth.api.signUpEmail({ body: { email, name: 'bench', password: 'correct horse battery' } })
const keys: string[] = []
for (let i = 0; i < 1_000; i++) keys.push((await auth.api.createApiKey({ body: { userId: user.id, name: `key ${i}` } })).key)
writeFileSync(keysFile, JSON.stringify(keys))
const [tenant] = await sql`select id from tenants order by created_at limit 1`

const server = createServer(async (request, response) => {
  const { valid } = await auth.api.verifyApiKey({ body: { key: String(request.headers['x-api-key']) } })
  if (!valid) {
    response.writeHead(401).end()
    return
  }
  const items = await sql`
    select id, name, description, environment, tags, is_active, connector, created_at, updated_at
    from agents where tenant_id = ${tenant?.id} order by created_at desc, id desc limit 51`
  const body = JSON.stringify({ items, nextCursor: null })
  response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }).end(body)
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.stdout.write(`at http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}\n`)
})
process.once('SIGTERM', () => process.exit(0))
