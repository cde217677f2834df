// Starts the real server on a real database, and seeds what a test needs. Each test seeds its own tenant.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { eq, sql } from 'drizzle-orm'
import postgres from 'postgres'
import { afterAll, beforeAll, inject } from 'vitest'
import { type Database, openDatabase } from '#db/client.ts'
import { agents, apiKeys, auditLog, sessions, tenants, users } from '#db/schema.ts'
import { generateApiKey } from '#server/api-key.ts'
import type { App } from '#server/app.ts'
import { readEnv } from '#server/env.ts'
import type { Role } from '#server/roles.ts'

export const serverUrl = inject('serverUrl')
export const isPostgres = serverUrl !== ''

export interface TestServer {
  url: string
  database: Database
  app: App
  /** A fetch on this server; `key` goes into X-API-Key, `json` is the body. */
  request(path: string, options?: RequestOptions): Promise<Response>
  stop(): Promise<void>
}

export interface RequestOptions extends Omit<RequestInit, 'body'> {
  key?: string
  json?: unknown
  body?: BodyInit
}

/** A database of its own, migrated: on PostgreSQL its connection string, on PGlite an open database. */
export async function createTestDatabase(): Promise<{ database: Database; url: string | undefined }> {
  const template = inject('template')
  if (!isPostgres) {
    return { database: await openDatabase({ loadDataDir: new Blob([readFileSync(template)]) }), url: undefined }
  }
  const name = `mate_test_${process.ppid}_${randomBytes(6).toString('hex')}`
  const admin = postgres(serverUrl, { max: 1, onnotice: () => {} })
  try {
    // Two copies of one template at once are refused by PostgreSQL: wait for the other.
    for (let tries = 0; ; tries++) {
      try {
        await admin.unsafe(`create database ${name} template ${template}`)
        break
      } catch (error) {
        if (tries > 50 || !String(error).includes('being accessed')) throw error
        await new Promise((resolve) => setTimeout(resolve, 200))
      }
    }
  } finally {
    await admin.end()
  }
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return { database: await openDatabase({ url: url.href, maxConnections: 20 }), url: url.href }
}

/** A fetch on the server at `url`, which follows no redirect. */
export function requester(url: string): TestServer['request'] {
  return (path, { key, json, headers, ...init } = {}) =>
    fetch(url + path, {
      redirect: 'manual',
      ...init,
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
      headers: {
        ...(json === undefined ? {} : { 'content-type': 'application/json' }),
        ...(key === undefined ? {} : { 'x-api-key': key }),
        ...(headers as Record<string, string>),
      },
    })
}

export async function startTestServer(settings: Record<string, string> = {}, existing?: Database): Promise<TestServer> {
  const database = existing ?? (await createTestDatabase()).database
  // The build, and not the sources: the pages exist only there, and it is what users run.
  const { startServer } = await import(new URL('../build/server/index.js', import.meta.url).href)
  const app: App = await startServer(readEnv({ PORT: '0', HOST: '127.0.0.1', ...settings }), database)
  const url = app.url
  return {
    url,
    database,
    app,
    request: requester(url),
    stop: () => app.stop(),
  }
}

/** One server for all tests of a file. */
export function useServer(settings: Record<string, string> = {}): TestServer {
  const holder: { server?: TestServer } = {}
  beforeAll(async () => {
    holder.server = await startTestServer(settings)
  })
  afterAll(() => holder.server?.stop())
  return new Proxy({} as TestServer, { get: (_, name) => Reflect.get(holder.server ?? {}, name) })
}

let counter = 0

export async function seedTenant({ database }: Pick<TestServer, 'database'>): Promise<{ id: string; name: string }> {
  const name = `Tenant ${++counter} ${randomBytes(3).toString('hex')}`
  const [tenant] = await database.db.insert(tenants).values({ name }).returning({ id: tenants.id, name: tenants.name })
  if (!tenant) throw new Error('no tenant')
  return tenant
}

export interface SeededKey {
  id: string
  key: string
  name: string
}

export async function seedKey(
  { database }: Pick<TestServer, 'database'>,
  tenantId: string,
  role: Role,
  fields: Partial<typeof apiKeys.$inferInsert> = {},
): Promise<SeededKey> {
  const { key, hash, prefix } = generateApiKey()
  const name = fields.name ?? `${role} ${++counter} ${randomBytes(3).toString('hex')}`
  const [row] = await database.db
    .insert(apiKeys)
    .values({
      tenantId,
      name,
      prefix,
      keyHash: hash,
      role,
      createdByKind: 'console',
      createdById: 'test',
      createdByName: 'test',
      ...fields,
    })
    .returning({ id: apiKeys.id })
  if (!row) throw new Error('no key')
  return { id: row.id, key, name }
}

export async function seedAgent(
  { database }: Pick<TestServer, 'database'>,
  tenantId: string,
): Promise<{ id: string; name: string }> {
  const name = `Agent ${++counter} ${randomBytes(3).toString('hex')}`
  const connector = { type: 'http', url: 'https://agent.example.com/', secretHeader: 'Authorization' } as const
  const [row] = await database.db
    .insert(agents)
    .values({ tenantId, name, environment: 'test', connector })
    .returning({ id: agents.id })
  if (!row) throw new Error('no agent')
  return { id: row.id, name }
}

export interface SeededUser {
  id: string
  name: string
  email: string
  /** A signed session cookie, as the browser sends it. */
  cookie: string
}

/** A user with a session: what a sign-in would leave, without its password. */
export async function seedUser(server: Pick<TestServer, 'database' | 'app'>, tenantId: string, role: Role): Promise<SeededUser> {
  const name = `${role} ${++counter}`
  const email = `${role.toLowerCase()}-${randomBytes(4).toString('hex')}@example.com`
  const { db } = server.database
  const [user] = await db.insert(users).values({ name, email, tenantId, role, emailVerified: true }).returning({ id: users.id })
  if (!user) throw new Error('no user')
  const token = randomBytes(24).toString('base64url')
  await db.insert(sessions).values({ userId: user.id, token, expiresAt: new Date(Date.now() + 86_400_000) })
  const [row] = await db.select({ value: sql<string>`value` }).from(sql`settings`).where(sql`name = 'secret'`)
  return { id: user.id, name, email, cookie: await sessionCookie(row?.value ?? '', token) }
}

/** better-auth's signed cookie: the token, a dot, base64 of HMAC-SHA-256. */
async function sessionCookie(secret: string, token: string): Promise<string> {
  const key = await crypto.subtle.importKey('raw', Buffer.from(secret), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
  const signature = Buffer.from(await crypto.subtle.sign('HMAC', key, Buffer.from(token))).toString('base64')
  return `mate.session_token=${encodeURIComponent(`${token}.${signature}`)}`
}

/** A form's POST, as a browser of this origin sends it. */
export function postForm(server: TestServer, path: string, cookie: string, fields: Record<string, string>): Promise<Response> {
  return server.request(path, {
    method: 'POST',
    headers: { cookie, origin: server.url, 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(fields).toString(),
  })
}

export async function countAudit({ database }: Pick<TestServer, 'database'>, tenantId: string): Promise<number> {
  return database.db.$count(auditLog, eq(auditLog.tenantId, tenantId))
}

export async function auditOf({ database }: Pick<TestServer, 'database'>, tenantId: string) {
  return database.db.select().from(auditLog).where(eq(auditLog.tenantId, tenantId)).orderBy(auditLog.id)
}
