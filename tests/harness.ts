// Starts the real server on a real database, and seeds what a test needs. Each test seeds its own tenant.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { eq, sql } from 'drizzle-orm'
import type { PgTable } from 'drizzle-orm/pg-core'
import postgres from 'postgres'
import { afterAll, beforeAll, inject } from 'vitest'
import { type Database, openDatabase } from '#db/client.ts'
import {
  agents,
  apiKeys,
  apiKeyUsage,
  auditLog,
  identityProviders,
  invitations,
  judgeSettings,
  notices,
  sessions,
  tenants,
  testCases,
  testSuites,
  trustRules,
  users,
  webhookDeliveries,
  webhooks,
} from '#db/schema.ts'
import { generateApiKey } from '#server/api-key.ts'
import type { App } from '#server/app.ts'
import { readEnv } from '#server/env.ts'
import { hashToken, makeToken } from '#server/invitations.ts'
import type { Role } from '#server/roles.ts'
import { loadSecret } from '#server/secret.ts'
import { seal } from '#server/secret-box.ts'
import { generateWebhookSecret } from '#server/webhook-signature.ts'

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

/**
 * Makes commits of new rows in `tables` slow, four in ten: what is not held back by a lock then commits long after the
 * answer to what should have stopped it. Those of a name that begins with `held` take 0.8 s, and `seconds` is the most of the others.
 */
export async function slowCommits({ db }: Database, tables: PgTable[], seconds = 0.01): Promise<void> {
  await db.execute(sql`
    create function slow_commit() returns trigger language plpgsql as $$
    begin
      if new.name like 'held%' then perform pg_sleep(0.8);
      elsif random() < 0.4 then perform pg_sleep(tg_argv[0]::float * random()); end if;
      return null;
    end $$`)
  for (const table of tables)
    await db.execute(sql`
      create constraint trigger slow_commit after insert on ${table} deferrable initially deferred
        for each row execute function slow_commit(${sql.raw(String(seconds))})`)
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

/** It executes no runs unless `settings` say so: what happens behind a test's back is for the tests of that. */
export async function startTestServer(settings: Record<string, string> = {}, existing?: Database): Promise<TestServer> {
  const database = existing ?? (await createTestDatabase()).database
  // The build, and not the sources: the pages exist only there, and it is what users run.
  const { startServer } = await import(new URL('../build/server/index.js', import.meta.url).href)
  const app: App = await startServer(readEnv({ PORT: '0', HOST: '127.0.0.1', MATE_WORKERS: '0', ...settings }), database)
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

export async function seedTenant(
  { database }: Pick<TestServer, 'database'>,
  fields: Partial<typeof tenants.$inferInsert> = {},
): Promise<{ id: string; name: string }> {
  const name = `Tenant ${++counter} ${randomBytes(3).toString('hex')}`
  const [tenant] = await database.db
    .insert(tenants)
    .values({ name, ...fields })
    .returning({ id: tenants.id, name: tenants.name })
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
  url = 'https://agent.example.com/',
): Promise<{ id: string; name: string; connectorId: string }> {
  const name = `Agent ${++counter} ${randomBytes(3).toString('hex')}`
  const connector = { type: 'http', url, secretHeader: 'Authorization' } as const
  const [row] = await database.db
    .insert(agents)
    .values({ tenantId, name, environment: 'test', connector })
    .returning({ id: agents.id, name: agents.name, connectorId: agents.connectorId })
  if (!row) throw new Error('no agent')
  return row
}

/** By one rule, which an answer with the word "refund" breaks. */
export async function seedJudgeSetting(
  { database }: Pick<TestServer, 'database'>,
  tenantId: string,
  fields: Partial<typeof judgeSettings.$inferInsert> = {},
): Promise<{ id: string; name: string }> {
  const name = `Judge ${++counter} ${randomBytes(3).toString('hex')}`
  const weights = { taskSuccess: 0.2, intentMatch: 0.2, factuality: 0.2, helpfulness: 0.2, safety: 0.2 }
  const criteria = [{ name: 'No refund', type: 'notContains' as const, pattern: 'refund', weight: 1, isMandatory: false }]
  const [row] = await database.db
    .insert(judgeSettings)
    .values({ tenantId, name, provider: 'rubrics', weights, passThreshold: 0.7, criteria, ...fields })
    .returning({ id: judgeSettings.id, name: judgeSettings.name })
  if (!row) throw new Error('no judge setting')
  return row
}

export async function seedSuite(
  { database }: Pick<TestServer, 'database'>,
  tenantId: string,
  fields: Partial<typeof testSuites.$inferInsert> = {},
): Promise<{ id: string; name: string }> {
  const name = `Suite ${++counter} ${randomBytes(3).toString('hex')}`
  const [row] = await database.db
    .insert(testSuites)
    .values({ tenantId, name, passThreshold: 0.8, delayBetweenTestsMs: 0, ...fields })
    .returning({ id: testSuites.id, name: testSuites.name })
  if (!row) throw new Error('no suite')
  return row
}

/** In a suite of its own, unless one is given. */
export async function seedCase(
  server: Pick<TestServer, 'database'>,
  tenantId: string,
  fields: Partial<typeof testCases.$inferInsert> = {},
): Promise<{ id: string; name: string; suiteId: string }> {
  const suiteId = fields.suiteId ?? (await seedSuite(server, tenantId)).id
  const name = `Case ${++counter} ${randomBytes(3).toString('hex')}`
  const [row] = await server.database.db
    .insert(testCases)
    .values({ tenantId, name, userInput: ['Hello'], ...fields, suiteId })
    .returning({ id: testCases.id, name: testCases.name, suiteId: testCases.suiteId })
  if (!row) throw new Error('no case')
  return row
}

/** Of one repository of GitHub, with keys of the role Viewer. */
export async function seedTrustRule(
  { database }: Pick<TestServer, 'database'>,
  tenantId: string,
  fields: Partial<typeof trustRules.$inferInsert> = {},
): Promise<{ id: string; name: string }> {
  const name = `Rule ${++counter} ${randomBytes(3).toString('hex')}`
  const [row] = await database.db
    .insert(trustRules)
    .values({
      tenantId,
      name,
      issuer: 'https://token.actions.githubusercontent.com',
      audience: 'https://mate.example.com',
      conditions: { repository: ['acme/app'] },
      role: 'Viewer',
      lifetimeMinutes: 15,
      createdByKind: 'console',
      createdById: 'test',
      createdByName: 'test',
      ...fields,
    })
    .returning({ id: trustRules.id, name: trustRules.name })
  if (!row) throw new Error('no trust rule')
  return row
}

export type SeededUsage = Partial<typeof apiKeyUsage.$inferInsert> & {
  operation: string
  /** Instead of `day`. */
  daysAgo?: number
}

/** Counts as the batches would have left them, today unless said otherwise. */
export async function seedUsage(
  { database }: Pick<TestServer, 'database'>,
  tenantId: string,
  keyId: string,
  rows: SeededUsage[],
): Promise<void> {
  const values = rows.map(({ daysAgo = 0, ...row }) => {
    const lastAt = new Date(Date.now() - daysAgo * 86_400_000)
    const day = lastAt.toISOString().slice(0, 10)
    return { tenantId, keyId, day, neededRole: 'Viewer' as const, lastAt, ...row }
  })
  await database.db.insert(apiKeyUsage).values(values)
}

export interface SeededWebhook {
  id: string
  url: string
  secret: string
}

/** At an address that answers nothing, unless another is given. */
export async function seedWebhook(
  { database }: Pick<TestServer, 'database'>,
  tenantId: string,
  fields: Partial<typeof webhooks.$inferInsert> = {},
): Promise<SeededWebhook> {
  const id = crypto.randomUUID()
  const secret = generateWebhookSecret()
  const url = fields.url ?? `https://hooks.example.invalid/${randomBytes(4).toString('hex')}`
  const sealed = seal(await loadSecret(database, readEnv({})), id, secret)
  await database.db
    .insert(webhooks)
    .values({ id, tenantId, url, description: '', events: ['*'], isActive: true, secret: sealed, ...fields })
  return { id, url, secret }
}

/** Of nobody's tenant, at an address that is refused where it stands, so that nothing is sent; it lets nobody in. */
export async function seedIdentityProvider(
  { database }: Pick<TestServer, 'database'>,
  auditTenantId: string,
  fields: Partial<typeof identityProviders.$inferInsert> = {},
): Promise<{ id: string; name: string }> {
  const id = crypto.randomUUID()
  const name = `Provider ${++counter} ${randomBytes(3).toString('hex')}`
  const claims = { tenantClaim: 'tid', roleClaim: 'roles', isEmailTrusted: false, mappings: [], isActive: true }
  const clientSecret = seal(await loadSecret(database, readEnv({})), id, 'a client’s secret')
  const client = { issuer: 'https://169.254.1.1', clientId: 'mate', clientSecret, scopes: ['openid', 'email'] }
  await database.db.insert(identityProviders).values({ id, name, ...client, ...claims, auditTenantId, ...fields })
  return { id, name }
}

/** A delivery that is done. */
export async function seedDelivery(
  { database }: Pick<TestServer, 'database'>,
  tenantId: string,
  webhookId: string,
): Promise<string> {
  const event = { event: 'api_keys.frozen', body: '{}', status: 'delivered', attempts: 1, responseStatus: 204 } as const
  const [row] = await database.db
    .insert(webhookDeliveries)
    .values({ tenantId, webhookId, ...event })
    .returning({ id: webhookDeliveries.id })
  return row?.id ?? ''
}

export async function seedNotice({ database }: Pick<TestServer, 'database'>, tenantId: string): Promise<string> {
  const about = { entityId: crypto.randomUUID(), entityName: 'ci-pipeline' }
  const [row] = await database.db
    .insert(notices)
    .values({ tenantId, kind: 'api_key.unused', facts: { days: 60 }, ...about })
    .returning({ id: notices.id })
  return row?.id ?? ''
}

export interface SeededUser {
  id: string
  name: string
  email: string
  /** A signed session cookie, as the browser sends it. */
  cookie: string
}

/** A user who was never signed in. */
export async function seedPerson(
  { database: { db } }: Pick<TestServer, 'database'>,
  tenantId: string,
  role: Role,
  fields: Partial<typeof users.$inferInsert> = {},
): Promise<{ id: string; name: string; email: string }> {
  const name = `${role} ${++counter}`
  const email = `${role.toLowerCase()}-${randomBytes(6).toString('hex')}@example.com`
  const made = { id: users.id, name: users.name, email: users.email }
  const [user] = await db
    .insert(users)
    .values({ name, email, tenantId, role, emailVerified: true, ...fields })
    .returning(made)
  if (!user) throw new Error('no user')
  return user
}

/** An open invitation, and the token of its link. */
export async function seedInvitation(
  { database: { db } }: Pick<TestServer, 'database'>,
  tenantId: string,
  fields: Partial<typeof invitations.$inferInsert> = {},
): Promise<{ id: string; token: string }> {
  const token = makeToken()
  const email = `invited-${randomBytes(6).toString('hex')}@example.com`
  const maker = { createdByKind: 'console', createdById: 'test', createdByName: 'test' } as const
  const expiresAt = new Date(Date.now() + 86_400_000)
  const [row] = await db
    .insert(invitations)
    .values({ tenantId, email, role: 'Viewer', tokenHash: hashToken(token), expiresAt, ...maker, ...fields })
    .returning({ id: invitations.id })
  if (!row) throw new Error('no invitation')
  return { id: row.id, token }
}

/** A user with a session: what a sign-in would leave, without its password. */
export async function seedUser(server: Pick<TestServer, 'database'>, tenantId: string, role: Role): Promise<SeededUser> {
  const { id, name, email } = await seedPerson(server, tenantId, role)
  const { db } = server.database
  const token = randomBytes(24).toString('base64url')
  await db.insert(sessions).values({ userId: id, token, expiresAt: new Date(Date.now() + 86_400_000) })
  const [row] = await db.select({ value: sql<string>`value` }).from(sql`settings`).where(sql`name = 'secret'`)
  return { id, name, email, cookie: await sessionCookie(row?.value ?? '', token) }
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

/** The entries of a tenant in their order, without the first `known`. */
export async function auditOf({ database }: Pick<TestServer, 'database'>, tenantId: string, known = 0) {
  return database.db.select().from(auditLog).where(eq(auditLog.tenantId, tenantId)).orderBy(auditLog.id).offset(known)
}

/** A page without its scripts, which hold all the data whether it is shown or not. */
export const withoutScripts = (html: string) => html.replaceAll(/<script[\s\S]*?<\/script>/g, '').replaceAll('<!-- -->', '')
