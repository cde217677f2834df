// Every table, once. Row-level security, grants and functions are in the hand-written migration beside the generated ones.
import { sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  customType,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'

const bytea = customType<{ data: Uint8Array; driverData: Uint8Array }>({ dataType: () => 'bytea' })
const instant = (name: string) => timestamp(name, { withTimezone: true, precision: 6, mode: 'date' })
const createdAt = () => instant('created_at').notNull().defaultNow()
const roleOf = (name: string) => text(name, { enum: ['Viewer', 'Tester', 'TenantAdmin', 'SuperAdmin'] }).notNull()

export const tenants = pgTable('tenants', {
  id: uuid('id').primaryKey().defaultRandom(),
  name: text('name').notNull(),
  isActive: boolean('is_active').notNull().default(true),
  createdAt: createdAt(),
})

const tenantId = () =>
  uuid('tenant_id')
    .notNull()
    .references(() => tenants.id)

export const agents = pgTable(
  'agents',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    tenantId: tenantId(),
    name: text('name').notNull(),
    description: text('description').notNull().default(''),
    environment: text('environment', { enum: ['dev', 'test', 'staging', 'production'] }).notNull(),
    tags: text('tags').array().notNull().default(sql`'{}'::text[]`),
    isActive: boolean('is_active').notNull().default(true),
    connector: jsonb('connector').notNull().$type<{ type: 'http'; url: string; secretHeader: string }>(),
    /** AES-256-GCM, see server/secret-box.ts; never selected by a procedure that answers. */
    connectorSecret: bytea('connector_secret'),
    createdAt: createdAt(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
  },
  (t) => [
    index('agents_tenant_created').on(t.tenantId, t.createdAt.desc(), t.id.desc()),
    uniqueIndex('agents_tenant_name').on(t.tenantId, sql`lower(${t.name})`),
  ],
)

export const apiKeys = pgTable(
  'api_keys',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    tenantId: tenantId(),
    name: text('name').notNull(),
    prefix: text('prefix').notNull(),
    /** SHA-256 of the whole key. The server's restricted role may insert this column but not read it. */
    keyHash: bytea('key_hash').notNull(),
    role: roleOf('role'),
    createdAt: createdAt(),
    createdByKind: text('created_by_kind', { enum: ['user', 'key', 'console'] }).notNull(),
    createdById: text('created_by_id').notNull(),
    createdByName: text('created_by_name').notNull(),
    expiresAt: instant('expires_at'),
    lastUsedAt: instant('last_used_at'),
    lastUsedIp: text('last_used_ip'),
    lastUsedUserAgent: text('last_used_user_agent'),
    revokedAt: instant('revoked_at'),
    revokedById: text('revoked_by_id'),
    revokedByName: text('revoked_by_name'),
    revokedReason: text('revoked_reason'),
    /** The form that made it: a form sent twice makes one key. */
    formId: uuid('form_id'),
  },
  (t) => [
    uniqueIndex('api_keys_hash').on(t.keyHash),
    uniqueIndex('api_keys_form').on(t.tenantId, t.formId),
    index('api_keys_tenant_created').on(t.tenantId, t.createdAt.desc(), t.id.desc()),
    index('api_keys_tenant_name').on(t.tenantId, sql`lower(${t.name})`),
  ],
)

export const auditLog = pgTable(
  'audit_log',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    tenantId: tenantId(),
    at: instant('at').notNull().default(sql`clock_timestamp()`),
    actorKind: text('actor_kind', { enum: ['user', 'key', 'console', 'system'] }).notNull(),
    actorId: text('actor_id').notNull(),
    actorName: text('actor_name').notNull(),
    actorRole: text('actor_role'),
    action: text('action').notNull(),
    entityType: text('entity_type').notNull(),
    entityId: text('entity_id').notNull(),
    entityName: text('entity_name').notNull(),
    outcome: text('outcome', { enum: ['success', 'refused'] }).notNull(),
    ip: text('ip'),
    userAgent: text('user_agent'),
    requestId: text('request_id').notNull(),
    details: jsonb('details').notNull().$type<AuditDetails>(),
    foldKey: text('fold_key'),
  },
  (t) => [
    index('audit_log_tenant_id').on(t.tenantId, t.id.desc()),
    index('audit_log_tenant_action').on(t.tenantId, t.action, t.id.desc()),
    index('audit_log_tenant_entity').on(t.tenantId, t.entityType, t.id.desc()),
    index('audit_log_tenant_at').on(t.tenantId, t.at.desc()),
    uniqueIndex('audit_log_fold').on(t.tenantId, t.foldKey),
  ],
)

/** What an entry adds to who, what and when: the fields that changed, never a secret or a hash. */
export interface AuditDetails {
  before?: Record<string, unknown>
  after?: Record<string, unknown>
  reason?: string
  operation?: string
}

/** How often a folded refusal happened: beside the log, so that the log itself is only ever inserted into. */
export const auditFolds = pgTable(
  'audit_folds',
  {
    tenantId: tenantId(),
    foldKey: text('fold_key').notNull(),
    occurrences: integer('occurrences').notNull(),
  },
  (t) => [primaryKey({ columns: [t.tenantId, t.foldKey] })],
)

/** One-time links of the first run; all of them are gone once there is a user. */
export const setupLinks = pgTable('setup_links', {
  tokenHash: bytea('token_hash').primaryKey(),
  createdAt: createdAt(),
})

/** What the server keeps for itself, such as the secret it made at its first start. */
export const settings = pgTable('settings', {
  name: text('name').primaryKey(),
  value: text('value').notNull(),
})

// People: better-auth's models under our names, with the two fields that authorisation needs.
export const users = pgTable('users', {
  id: uuid('id').primaryKey().defaultRandom(),
  name: text('name').notNull(),
  email: text('email').notNull().unique(),
  emailVerified: boolean('email_verified').notNull().default(false),
  image: text('image'),
  tenantId: tenantId(),
  role: roleOf('role'),
  isActive: boolean('is_active').notNull().default(true),
  createdAt: createdAt(),
  updatedAt: instant('updated_at').notNull().defaultNow(),
})

export const sessions = pgTable(
  'sessions',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    token: text('token').notNull().unique(),
    expiresAt: instant('expires_at').notNull(),
    ipAddress: text('ip_address'),
    userAgent: text('user_agent'),
    createdAt: createdAt(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
  },
  (t) => [index('sessions_user').on(t.userId)],
)

export const accounts = pgTable(
  'accounts',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    accountId: text('account_id').notNull(),
    providerId: text('provider_id').notNull(),
    accessToken: text('access_token'),
    refreshToken: text('refresh_token'),
    idToken: text('id_token'),
    accessTokenExpiresAt: instant('access_token_expires_at'),
    refreshTokenExpiresAt: instant('refresh_token_expires_at'),
    scope: text('scope'),
    password: text('password'),
    createdAt: createdAt(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
  },
  (t) => [index('accounts_user').on(t.userId)],
)

export const verifications = pgTable('verifications', {
  id: uuid('id').primaryKey().defaultRandom(),
  identifier: text('identifier').notNull(),
  value: text('value').notNull(),
  expiresAt: instant('expires_at').notNull(),
  createdAt: createdAt(),
  updatedAt: instant('updated_at').notNull().defaultNow(),
})

export const rateLimits = pgTable('rate_limits', {
  id: uuid('id').primaryKey().defaultRandom(),
  key: text('key').notNull().unique(),
  count: integer('count').notNull(),
  lastRequest: bigint('last_request', { mode: 'number' }).notNull(),
})
