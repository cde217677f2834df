// Every table, once. Row-level security, grants and functions are in the hand-written migration beside the generated ones.
import { sql } from 'drizzle-orm'
import {
  type AnyPgColumn,
  bigint,
  boolean,
  check,
  customType,
  date,
  doublePrecision,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
  uuid,
  varchar,
} from 'drizzle-orm/pg-core'

const bytea = customType<{ data: Uint8Array; driverData: Uint8Array }>({ dataType: () => 'bytea' })
const instant = (name: string) => timestamp(name, { withTimezone: true, precision: 6, mode: 'date' })
const createdAt = () => instant('created_at').notNull().defaultNow()
const anyRoleOf = (name: string) => text(name, { enum: ['Viewer', 'Tester', 'TenantAdmin', 'SuperAdmin'] })
const roleOf = (name: string) => anyRoleOf(name).notNull()
const count = (name: string) => bigint(name, { mode: 'number' }).notNull().default(0)
const textList = (name: string) => text(name).array().notNull().default(sql`'{}'::text[]`)
const nameColumn = () => text('name').notNull()
const updatedAt = () => instant('updated_at').notNull().defaultNow()

export const tenants = pgTable('tenants', {
  id: uuid('id').primaryKey().defaultRandom(),
  name: text('name').notNull(),
  isActive: boolean('is_active').notNull().default(true),
  /** While set, every key of the tenant is refused. */
  keysFrozenAt: instant('keys_frozen_at'),
  keysFrozenByName: text('keys_frozen_by_name'),
  keysFrozenReason: text('keys_frozen_reason'),
  /** Age at which audit entries are cut off; null keeps them for ever. */
  auditRetentionDays: integer('audit_retention_days'),
  /** Quotas; null is none. */
  maxUsers: integer('max_users'),
  maxApiKeys: integer('max_api_keys'),
  maxAgents: integer('max_agents'),
  maxTestSuites: integer('max_test_suites'),
  maxRunsPerMonth: integer('max_runs_per_month'),
  /** Whether admins need a second factor to sign in. */
  requiresSecondFactor: boolean('requires_second_factor').notNull().default(false),
  /** Whether people sign in by an identity provider alone. */
  isSsoOnly: boolean('is_sso_only').notNull().default(false),
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
    /** Its one connector has an id of its own, so that it can be replaced without the rest. */
    connectorId: uuid('connector_id').notNull().defaultRandom(),
    connector: jsonb('connector').notNull().$type<ConnectorSettings>(),
    /** AES-256-GCM, see server/secret-box.ts; never selected by a procedure that answers. */
    connectorSecret: bytea('connector_secret'),
    judgeSettingId: uuid('judge_setting_id').references((): AnyPgColumn => judgeSettings.id, { onDelete: 'set null' }),
    createdAt: createdAt(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
  },
  (t) => [
    index('agents_tenant_created').on(t.tenantId, t.createdAt, t.id),
    uniqueIndex('agents_tenant_name').on(t.tenantId, sql`lower(${t.name})`),
  ],
)

/** How an agent is talked to; what is missing in a row has the default that server/execution/connector.ts gives it. */
export type ConnectorSettings =
  | {
      type: 'http'
      method?: 'POST' | 'PUT'
      url: string
      /** The header that the secret is sent in. */
      secretHeader: string
      headers?: Record<string, string>
      /** JSON with placeholders. */
      body?: string
      /** Where in the answer the text is: a JSON pointer, RFC 6901. */
      replyPointer?: string
      timeoutSeconds?: number
    }
  | {
      type: 'openai'
      /** Up to, without, `/chat/completions`. */
      url: string
      model: string
      systemPrompt?: string
      temperature?: number
      maxTokens?: number
      timeoutSeconds?: number
    }

/** How answers are judged: by rules, by a model, or by rules first. */
export const judgeSettings = pgTable(
  'judge_settings',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    tenantId: tenantId(),
    name: nameColumn(),
    provider: text('provider', { enum: ['rubrics', 'model', 'hybrid'] }).notNull(),
    weights: jsonb('weights').notNull().$type<Scores>(),
    passThreshold: doublePrecision('pass_threshold').notNull(),
    criteria: jsonb('criteria').notNull().$type<JudgeCriterion[]>(),
    /** Null for rubrics alone. */
    model: jsonb('model').$type<JudgeModel>(),
    /** The model's API key. AES-256-GCM, see server/secret-box.ts; never selected by a procedure that answers. */
    modelSecret: bytea('model_secret'),
    isDefault: boolean('is_default').notNull().default(false),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
  },
  (t) => [
    index('judge_settings_tenant_created').on(t.tenantId, t.createdAt, t.id),
    uniqueIndex('judge_settings_tenant_name').on(t.tenantId, sql`lower(${t.name})`),
    uniqueIndex('judge_settings_default').on(t.tenantId).where(sql`is_default`),
  ],
)

export const scoreNames = ['taskSuccess', 'intentMatch', 'factuality', 'helpfulness', 'safety'] as const
/** Each 0–1; as weights they sum to 1. */
export type Scores = Record<(typeof scoreNames)[number], number>

export interface JudgeCriterion {
  name: string
  type: 'contains' | 'notContains' | 'regex'
  pattern: string
  weight: number
  /** Whether failing it alone fails the case. */
  isMandatory: boolean
}

/** An OpenAI-compatible endpoint, up to and without `/chat/completions`. */
export interface JudgeModel {
  url: string
  name: string
  temperature: number
  maxTokens: number
  timeoutSeconds: number
}

export const testSuites = pgTable(
  'test_suites',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    tenantId: tenantId(),
    name: nameColumn(),
    description: text('description').notNull().default(''),
    /** Share of the cases judged that must pass for a run to have passed. */
    passThreshold: doublePrecision('pass_threshold').notNull(),
    delayBetweenTestsMs: integer('delay_between_tests_ms').notNull(),
    tags: textList('tags'),
    judgeSettingId: uuid('judge_setting_id').references(() => judgeSettings.id, { onDelete: 'set null' }),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
  },
  (t) => [
    index('test_suites_tenant_created').on(t.tenantId, t.createdAt, t.id),
    uniqueIndex('test_suites_tenant_name').on(t.tenantId, sql`lower(${t.name})`),
  ],
)

export const testCases = pgTable(
  'test_cases',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    tenantId: tenantId(),
    suiteId: uuid('suite_id')
      .notNull()
      .references(() => testSuites.id, { onDelete: 'cascade' }),
    name: nameColumn(),
    description: text('description').notNull().default(''),
    /** What is said to the agent, one entry a turn; never empty. */
    userInput: text('user_input').array().notNull(),
    acceptanceCriteria: text('acceptance_criteria').notNull().default(''),
    expectedIntent: text('expected_intent'),
    expectedEntities: textList('expected_entities'),
    referenceAnswer: text('reference_answer'),
    tags: textList('tags'),
    isActive: boolean('is_active').notNull().default(true),
    sortOrder: integer('sort_order').notNull().default(0),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
  },
  (t) => [
    index('test_cases_suite').on(t.tenantId, t.suiteId, t.sortOrder, t.id),
    uniqueIndex('test_cases_suite_name').on(t.suiteId, sql`lower(${t.name})`),
  ],
)

/** A suite executed against an agent. It keeps what it needs of both: they may change or go while it lasts. */
export const runs = pgTable(
  'runs',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    tenantId: tenantId(),
    suiteId: uuid('suite_id').references(() => testSuites.id, { onDelete: 'set null' }),
    suiteName: text('suite_name').notNull(),
    agentId: uuid('agent_id').references(() => agents.id, { onDelete: 'set null' }),
    agentName: text('agent_name').notNull(),
    passThreshold: doublePrecision('pass_threshold').notNull(),
    delayBetweenTestsMs: integer('delay_between_tests_ms').notNull(),
    status: text('status', { enum: ['pending', 'running', 'completed', 'failed', 'cancelled'] })
      .notNull()
      .default('pending'),
    total: integer('total').notNull(),
    passed: integer('passed').notNull().default(0),
    failed: integer('failed').notNull().default(0),
    skipped: integer('skipped').notNull().default(0),
    errors: integer('errors').notNull().default(0),
    averageLatencyMs: doublePrecision('average_latency_ms'),
    medianLatencyMs: doublePrecision('median_latency_ms'),
    p95LatencyMs: doublePrecision('p95_latency_ms'),
    requestedByKind: text('requested_by_kind', { enum: ['user', 'key', 'console'] }).notNull(),
    requestedById: text('requested_by_id').notNull(),
    requestedByName: text('requested_by_name').notNull(),
    createdAt: instant('created_at').notNull().default(sql`clock_timestamp()`),
    startedAt: instant('started_at'),
    completedAt: instant('completed_at'),
    errorMessage: text('error_message'),
  },
  (t) => [
    index('runs_tenant_created').on(t.tenantId, t.createdAt, t.id),
    index('runs_suite').on(t.suiteId, t.createdAt, t.id),
    index('runs_agent').on(t.agentId, t.createdAt, t.id),
    index('runs_unfinished').on(t.tenantId, t.createdAt, t.id).where(sql`status in ('pending', 'running')`),
  ],
)

/** One case of a run, made with it; its verdict is null until it was executed, and written once. */
export const results = pgTable(
  'results',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    tenantId: tenantId(),
    runId: uuid('run_id')
      .notNull()
      .references(() => runs.id, { onDelete: 'cascade' }),
    position: integer('position').notNull(),
    testCaseId: uuid('test_case_id').references(() => testCases.id, { onDelete: 'set null' }),
    /** The case as it was when the run was asked for. */
    testCase: jsonb('test_case').notNull().$type<TestCaseSnapshot>(),
    verdict: text('verdict', { enum: ['pass', 'fail', 'skipped', 'error'] }),
    /** Null where nothing was judged. */
    scores: jsonb('scores').$type<Scores>(),
    overallScore: doublePrecision('overall_score'),
    rationale: text('rationale'),
    /** Of the agent's answers, together. */
    latencyMs: doublePrecision('latency_ms'),
    executedAt: instant('executed_at'),
    humanVerdict: text('human_verdict', { enum: ['pass', 'fail'] }),
    humanNote: text('human_note'),
    humanById: text('human_by_id'),
    humanByName: text('human_by_name'),
    humanAt: instant('human_at'),
  },
  (t) => [
    uniqueIndex('results_run').on(t.runId, t.position),
    index('results_case').on(t.testCaseId),
    index('results_pending').on(t.runId, t.position).where(sql`verdict is null`),
  ],
)

export interface TestCaseSnapshot {
  name: string
  userInput: string[]
  acceptanceCriteria: string
  expectedIntent: string | null
  expectedEntities: string[]
  referenceAnswer: string | null
  tags: string[]
}

/** What was said in a case, in order; written with its result. */
export const transcriptMessages = pgTable(
  'transcript_messages',
  {
    tenantId: tenantId(),
    resultId: uuid('result_id')
      .notNull()
      .references(() => results.id, { onDelete: 'cascade' }),
    position: integer('position').notNull(),
    role: text('role', { enum: ['user', 'agent'] }).notNull(),
    content: text('content').notNull(),
    /** The agent's answer as it came, cut at 64 KiB. */
    raw: text('raw'),
    turnIndex: integer('turn_index').notNull(),
    latencyMs: doublePrecision('latency_ms'),
    at: instant('at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.resultId, t.position] })],
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
    createdByKind: text('created_by_kind', { enum: ['user', 'key', 'console', 'trust_rule'] }).notNull(),
    createdById: text('created_by_id').notNull(),
    createdByName: text('created_by_name').notNull(),
    /** The rule that it was given out by, for a token of a CI provider; it ends with that. */
    trustRuleId: uuid('trust_rule_id').references((): AnyPgColumn => trustRules.id, { onDelete: 'set null' }),
    /** Whose it is: of the person who made it, or whose key made it; null is the tenant's. Decides what their leaving ends. */
    ownerId: uuid('owner_id').references((): AnyPgColumn => users.id, { onDelete: 'set null' }),
    expiresAt: instant('expires_at'),
    lastUsedAt: instant('last_used_at'),
    lastUsedIp: text('last_used_ip'),
    lastUsedUserAgent: text('last_used_user_agent'),
    revokedAt: instant('revoked_at'),
    revokedById: text('revoked_by_id'),
    revokedByName: text('revoked_by_name'),
    revokedReason: text('revoked_reason'),
    /** Limits below the role; null is none. CIDRs as server/key-limits.ts writes them. */
    allowedIps: text('allowed_ips').array(),
    requestsPerMinute: integer('requests_per_minute'),
    scopes: text('scopes').array(),
    /** Set when it was rotated: until then it works beside its successor. */
    rotatesOutAt: instant('rotates_out_at'),
    replacedById: uuid('replaced_by_id').references((): AnyPgColumn => apiKeys.id, { onDelete: 'set null' }),
    replacesId: uuid('replaces_id').references((): AnyPgColumn => apiKeys.id, { onDelete: 'set null' }),
    /** The last use after its end: somebody still has it. */
    trippedAt: instant('tripped_at'),
    trippedIp: text('tripped_ip'),
    trippedUserAgent: text('tripped_user_agent'),
    /** The form that made it: a form sent twice makes one key. */
    formId: uuid('form_id'),
    /** The role on trial, from one instant until another: what it would refuse is counted, and passes. */
    shadowRole: anyRoleOf('shadow_role'),
    shadowSince: instant('shadow_since'),
    shadowUntil: instant('shadow_until'),
  },
  (t) => [
    uniqueIndex('api_keys_hash').on(t.keyHash),
    uniqueIndex('api_keys_form').on(t.tenantId, t.formId),
    index('api_keys_tenant_created').on(t.tenantId, t.createdAt, t.id),
    index('api_keys_tenant_name').on(t.tenantId, sql`lower(${t.name})`),
    index('api_keys_replaced_by').on(t.replacedById).where(sql`replaced_by_id is not null`),
    index('api_keys_owner').on(t.ownerId).where(sql`owner_id is not null`),
    index('api_keys_trust_rule').on(t.trustRuleId).where(sql`trust_rule_id is not null`),
    index('api_keys_ci_expiry').on(t.expiresAt).where(sql`created_by_kind = 'trust_rule'`),
    index('api_keys_replaces').on(t.replacesId).where(sql`replaces_id is not null`),
    // An empty list is nobody's wish, and must never be read as no limit.
    check(
      'api_keys_limits',
      sql`cardinality(allowed_ips) is distinct from 0 and cardinality(scopes) is distinct from 0 and requests_per_minute >= 1`,
    ),
  ],
)

/** What each key did on each day, in UTC; it goes with its key, and after 400 days. Written in batches by server/usage.ts. */
export const apiKeyUsage = pgTable(
  'api_key_usage',
  {
    tenantId: tenantId(),
    keyId: uuid('key_id')
      .notNull()
      .references(() => apiKeys.id, { onDelete: 'cascade' }),
    day: date('day', { mode: 'string' }).notNull(),
    operation: text('operation').notNull(),
    /** The least role with which these calls pass: the operation's, or above it for what stands above it. */
    neededRole: roleOf('needed_role'),
    /** Calls that were let in, whatever came of them. */
    calls: count('calls'),
    refusals: count('refusals'),
    /** Of the calls, those that the role on trial would have refused. */
    shadowRefusals: count('shadow_refusals'),
    shadowLastAt: instant('shadow_last_at'),
    lastAt: instant('last_at').notNull(),
    lastIp: text('last_ip'),
  },
  (t) => [primaryKey({ columns: [t.keyId, t.day, t.operation, t.neededRole] }), index('api_key_usage_day').on(t.day)],
)

export const auditLog = pgTable(
  'audit_log',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    tenantId: tenantId(),
    at: instant('at').notNull().default(sql`clock_timestamp()`),
    actorKind: text('actor_kind', { enum: ['user', 'key', 'console', 'system', 'trust_rule'] }).notNull(),
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
  // Read backwards, newest first. The index for searches stands in the hand-written migration, see decision 0014.
  (t) => [
    index('audit_log_tenant_id').on(t.tenantId, t.id),
    index('audit_log_tenant_action').on(t.tenantId, t.action, t.id),
    index('audit_log_tenant_entity_type').on(t.tenantId, t.entityType, t.id),
    index('audit_log_tenant_entity').on(t.tenantId, t.entityId, t.id),
    index('audit_log_tenant_actor').on(t.tenantId, t.actorId, t.id),
    index('audit_log_tenant_request').on(t.tenantId, t.requestId),
    index('audit_log_tenant_at').on(t.tenantId, t.at),
    uniqueIndex('audit_log_fold').on(t.tenantId, t.foldKey).where(sql`fold_key is not null`),
  ],
)

/** What an entry adds to who, what and when: the fields that changed, never a secret or a hash. */
export interface AuditDetails {
  before?: Record<string, unknown>
  after?: Record<string, unknown>
  reason?: string
  operation?: string
}

/** Where an entry stands in its tenant's chain; written by a trigger at the commit, see decision 0013. */
export const auditChain = pgTable(
  'audit_chain',
  {
    entryId: bigint('entry_id', { mode: 'number' }).primaryKey(),
    tenantId: uuid('tenant_id').notNull(),
    /** 1, 2, 3 … in the tenant, without gaps. */
    seq: bigint('seq', { mode: 'number' }).notNull(),
    prevHash: bytea('prev_hash').notNull(),
    hash: bytea('hash').notNull(),
  },
  (t) => [uniqueIndex('audit_chain_tenant_seq').on(t.tenantId, t.seq)],
)

/** Signed statements on a chain: how far it went when, and how far it was cut off. */
export const auditCheckpoints = pgTable(
  'audit_checkpoints',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    tenantId: tenantId(),
    type: text('type', { enum: ['checkpoint', 'cut'] }).notNull(),
    seq: bigint('seq', { mode: 'number' }).notNull(),
    hash: bytea('hash').notNull(),
    at: instant('at').notNull(),
    keyId: text('key_id').notNull(),
    signature: bytea('signature').notNull(),
    /** Waits to be written outside the database. */
    isPending: boolean('is_pending').notNull(),
  },
  (t) => [
    index('audit_checkpoints_tenant').on(t.tenantId, t.type, t.id),
    index('audit_checkpoints_pending').on(t.id).where(sql`is_pending`),
  ],
)

/** Every key that ever signed a checkpoint: its public half, so that old checkpoints stay verifiable. */
export const auditKeys = pgTable('audit_keys', {
  /** JWK thumbprint, RFC 7638. */
  id: text('id').primaryKey(),
  publicKey: bytea('public_key').notNull(),
  createdAt: createdAt(),
})

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

/** What a POST with an Idempotency-Key was answered, for a day: written with the change itself. See docs/decisions/0015. */
export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    tenantId: tenantId(),
    principalId: text('principal_id').notNull(),
    key: text('key').notNull(),
    /** HMAC of the operation and its input, so that it tells nothing of a secret in it. */
    fingerprint: bytea('fingerprint').notNull(),
    /** JSON without what is shown once; text, so that it comes back byte for byte. */
    output: text('output').notNull(),
    createdAt: instant('created_at').notNull().default(sql`clock_timestamp()`),
  },
  (t) => [primaryKey({ columns: [t.tenantId, t.principalId, t.key] }), index('idempotency_keys_created').on(t.createdAt)],
)

/** Requests of limited keys in their minute, as rate-limiter-flexible counts them. Unlogged: a crash may forget a minute. */
export const keyRates = pgTable('key_rates', {
  key: varchar('key', { length: 255 }).primaryKey(),
  points: integer('points').notNull().default(0),
  expire: bigint('expire', { mode: 'number' }),
})

/** Jobs asked for in the transaction of a change; server/jobs.ts moves them to the queue once that is committed. */
export const outbox = pgTable('outbox', {
  id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
  tenantId: tenantId(),
  queue: text('queue').notNull(),
  data: jsonb('data').notNull().$type<Record<string, unknown>>(),
  /** Jobs of one group run one after the other on a node. */
  groupId: text('group_id').notNull(),
  startAfter: instant('start_after'),
})

/** What admins should know of their keys and webhooks, until they dismiss it. */
export const notices = pgTable(
  'notices',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    tenantId: tenantId(),
    kind: text('kind').notNull().$type<NoticeKind>(),
    /** Not a reference: the notice outlives what it is about. */
    entityId: uuid('entity_id'),
    entityName: text('entity_name'),
    facts: jsonb('facts').notNull().$type<NoticeFacts>(),
    at: instant('at').notNull().default(sql`clock_timestamp()`),
    dismissedAt: instant('dismissed_at'),
    dismissedByName: text('dismissed_by_name'),
    /** A notice with the same one is not written twice, whichever node tries. */
    onceKey: text('once_key'),
  },
  (t) => [index('notices_tenant_at').on(t.tenantId, t.at, t.id), uniqueIndex('notices_once').on(t.tenantId, t.onceKey)],
)

export const noticeKinds = [
  'api_key.expiring',
  'api_key.unused',
  'api_key.leaked',
  'api_key.tripwire',
  'api_keys.frozen',
  'api_keys.unfrozen',
  'webhook.deactivated',
] as const
export type NoticeKind = (typeof noticeKinds)[number]
export type NoticeFacts = Record<string, string | number | boolean | null>

export const webhooks = pgTable(
  'webhooks',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    tenantId: tenantId(),
    url: text('url').notNull(),
    description: text('description').notNull(),
    /** Kinds of notices, `*` for all of them, `audit.entry` for the audit log; never empty. */
    events: text('events').array().notNull(),
    isActive: boolean('is_active').notNull(),
    /** AES-256-GCM, see server/secret-box.ts; never selected by a procedure that answers. */
    secret: bytea('secret').notNull(),
    previousSecret: bytea('previous_secret'),
    previousSecretUntil: instant('previous_secret_until'),
    /** When the first of the failures came that no success followed. */
    failingSince: instant('failing_since'),
    /** Why the server set it inactive; null when a person did. */
    deactivatedReason: text('deactivated_reason'),
    /** How far the audit log was handed over for delivery; null when it was never asked for. */
    auditCursor: bigint('audit_cursor', { mode: 'number' }),
    createdAt: createdAt(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
  },
  (t) => [index('webhooks_tenant_created').on(t.tenantId, t.createdAt, t.id)],
)

/** One event on its way to one webhook; its id is the webhook-id of every attempt. */
export const webhookDeliveries = pgTable(
  'webhook_deliveries',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    tenantId: tenantId(),
    webhookId: uuid('webhook_id')
      .notNull()
      .references(() => webhooks.id, { onDelete: 'cascade' }),
    event: text('event').notNull(),
    /** Exactly what is sent and signed. */
    body: text('body').notNull(),
    status: text('status', { enum: ['pending', 'delivered', 'failed'] })
      .notNull()
      .default('pending'),
    attempts: integer('attempts').notNull().default(0),
    /** Retries since it was made or repeated: where it stands in the schedule. */
    retries: integer('retries').notNull().default(0),
    nextAttemptAt: instant('next_attempt_at'),
    lastAttemptAt: instant('last_attempt_at'),
    responseStatus: integer('response_status'),
    durationMs: integer('duration_ms'),
    error: text('error'),
    createdAt: instant('created_at').notNull().default(sql`clock_timestamp()`),
  },
  (t) => [
    index('webhook_deliveries_webhook').on(t.tenantId, t.webhookId, t.createdAt, t.id),
    index('webhook_deliveries_pending').on(t.webhookId).where(sql`status = 'pending'`),
    index('webhook_deliveries_created').on(t.createdAt),
  ],
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
export const users = pgTable(
  'users',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    name: text('name').notNull(),
    email: text('email').notNull().unique(),
    emailVerified: boolean('email_verified').notNull().default(false),
    image: text('image'),
    tenantId: tenantId(),
    role: roleOf('role'),
    isActive: boolean('is_active').notNull().default(true),
    lastSignedInAt: instant('last_signed_in_at'),
    createdAt: createdAt(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
  },
  (t) => [index('users_tenant_created').on(t.tenantId, t.createdAt, t.id)],
)

/** A link that makes its holder a user, once, until it expires. It goes when it is used. */
export const invitations = pgTable(
  'invitations',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    tenantId: tenantId(),
    email: text('email').notNull(),
    role: roleOf('role'),
    /** SHA-256 of the link's token. */
    tokenHash: bytea('token_hash').notNull(),
    createdAt: createdAt(),
    expiresAt: instant('expires_at').notNull(),
    createdByKind: text('created_by_kind', { enum: ['user', 'key', 'console'] }).notNull(),
    createdById: text('created_by_id').notNull(),
    createdByName: text('created_by_name').notNull(),
    /** The person who sent it, or whose key did: it goes when they leave. */
    ownerId: uuid('owner_id').references(() => users.id, { onDelete: 'cascade' }),
  },
  (t) => [
    uniqueIndex('invitations_token').on(t.tokenHash),
    uniqueIndex('invitations_email').on(t.tenantId, t.email),
    index('invitations_tenant_created').on(t.tenantId, t.createdAt, t.id),
    index('invitations_owner').on(t.ownerId),
  ],
)

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
    /** Until the second factor was shown; such a session opens nothing. */
    isPending: boolean('is_pending').notNull().default(false),
    /** How its person last proved who they are, and when: what is dangerous asks for it anew. */
    method: text('method').notNull().default('password'),
    authenticatedAt: instant('authenticated_at').notNull().default(sql`clock_timestamp()`),
    /** Of a SuperAdmin: the tenant that its pages act in, when it is not their own. */
    actingTenantId: uuid('acting_tenant_id').references(() => tenants.id, { onDelete: 'set null' }),
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
  (t) => [index('accounts_user').on(t.userId), uniqueIndex('accounts_provider').on(t.providerId, t.accountId)],
)

export const verifications = pgTable(
  'verifications',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    identifier: text('identifier').notNull(),
    value: text('value').notNull(),
    expiresAt: instant('expires_at').notNull(),
    createdAt: createdAt(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
  },
  (t) => [index('verifications_identifier').on(t.identifier)],
)

export const rateLimits = pgTable('rate_limits', {
  id: uuid('id').primaryKey().defaultRandom(),
  key: text('key').notNull().unique(),
  count: integer('count').notNull(),
  lastRequest: bigint('last_request', { mode: 'number' }).notNull(),
})

/** How many of a month's runs a tenant has deleted, in UTC: a quota of runs counts them. Written by a trigger. */
export const deletedRuns = pgTable(
  'deleted_runs',
  {
    tenantId: tenantId(),
    /** Its first day. */
    month: date('month', { mode: 'string' }).notNull(),
    runs: integer('runs').notNull(),
  },
  (t) => [primaryKey({ columns: [t.tenantId, t.month] })],
)

/** WebAuthn credentials of people; what verifies them is a public key. */
export const passkeys = pgTable(
  'passkeys',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    name: text('name').notNull(),
    /** Base64url, as the browser tells it. */
    credentialId: text('credential_id').notNull(),
    /** COSE key, RFC 9052. */
    publicKey: bytea('public_key').notNull(),
    /** Of the last signature; an authenticator that counts never goes back. */
    counter: bigint('counter', { mode: 'number' }).notNull(),
    transports: text('transports').array().notNull(),
    /** Whether its provider keeps it on several devices. */
    isBackedUp: boolean('backed_up').notNull(),
    createdAt: createdAt(),
    lastUsedAt: instant('last_used_at'),
  },
  (t) => [uniqueIndex('passkeys_credential').on(t.credentialId), index('passkeys_user').on(t.userId)],
)

/** The secret of a person's authenticator app, once its first code was right. */
export const totpSecrets = pgTable('totp_secrets', {
  userId: uuid('user_id')
    .primaryKey()
    .references(() => users.id, { onDelete: 'cascade' }),
  /** AES-256-GCM, see server/secret-box.ts. */
  secret: bytea('secret').notNull(),
  confirmedAt: instant('confirmed_at').notNull().defaultNow(),
  /** Time step of the last code that was used (RFC 6238, section 5.2: each at most once). */
  lastStep: bigint('last_step', { mode: 'number' }).notNull(),
})

/** What opens a second factor's door when the factor is lost; each of them once. */
export const recoveryCodes = pgTable(
  'recovery_codes',
  {
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    /** SHA-256: a code has 80 random bits. */
    codeHash: bytea('code_hash').notNull(),
    usedAt: instant('used_at'),
  },
  (t) => [primaryKey({ columns: [t.userId, t.codeHash] })],
)

/** Who vouches for people by OpenID Connect. Of the deployment: a SuperAdmin's, in no tenant. */
export const identityProviders = pgTable('identity_providers', {
  id: uuid('id').primaryKey().defaultRandom(),
  name: nameColumn(),
  /** Never changed: a person's `sub` means something only together with it. */
  issuer: text('issuer').notNull(),
  clientId: text('client_id').notNull(),
  /** AES-256-GCM, see server/secret-box.ts. The server's restricted role may write this column but not read it. */
  clientSecret: bytea('client_secret').notNull(),
  scopes: text('scopes').array().notNull(),
  /** The claim that says whose tenant it is; `email_domain` is what stands behind the @ of the verified address. */
  tenantClaim: text('tenant_claim').notNull(),
  /** The claim with roles or groups; null when the provider says nothing of roles. */
  roleClaim: text('role_claim'),
  /** Whether its addresses are taken for verified where it does not say so. */
  isEmailTrusted: boolean('is_email_trusted').notNull(),
  mappings: jsonb('mappings').notNull().$type<TenantMapping[]>(),
  isActive: boolean('is_active').notNull(),
  /** Where its entries in the audit log go that are about no tenant: that of the SuperAdmin who added it. */
  auditTenantId: uuid('audit_tenant_id')
    .notNull()
    .references(() => tenants.id),
  createdAt: createdAt(),
  updatedAt: updatedAt(),
})

/** Whom a provider lets into which tenant, and as what. */
export interface TenantMapping {
  /** Of the tenant claim. */
  claimValue: string
  tenantId: string
  /** Of those whom no rule fits; null refuses them. */
  defaultRole: 'Viewer' | 'Tester' | 'TenantAdmin' | null
  /** By values of the role claim; of several that fit, the highest role. */
  roles: { claimValue: string; role: 'Viewer' | 'Tester' | 'TenantAdmin' | 'SuperAdmin' }[]
}

/** Which tokens of a CI provider are given a key for, and which key. See docs/decisions/0024. */
export const trustRules = pgTable(
  'trust_rules',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    tenantId: tenantId(),
    name: nameColumn(),
    /** Both exactly as the token has them: `iss` and `aud`. */
    issuer: text('issuer').notNull(),
    audience: text('audience').notNull(),
    conditions: jsonb('conditions').notNull().$type<TrustConditions>(),
    role: roleOf('role'),
    /** Limits of the keys, as those of `api_keys`. */
    allowedIps: text('allowed_ips').array(),
    requestsPerMinute: integer('requests_per_minute'),
    scopes: text('scopes').array(),
    /** Of the keys. */
    lifetimeMinutes: integer('lifetime_minutes').notNull(),
    isActive: boolean('is_active').notNull().default(true),
    createdByKind: text('created_by_kind', { enum: ['user', 'key', 'console'] }).notNull(),
    createdById: text('created_by_id').notNull(),
    createdByName: text('created_by_name').notNull(),
    /** The person who made it, or whose key did: it can't do more than they, and goes with them. Null is the tenant's. */
    ownerId: uuid('owner_id').references(() => users.id, { onDelete: 'cascade' }),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
    lastUsedAt: instant('last_used_at'),
  },
  (t) => [
    index('trust_rules_tenant_created').on(t.tenantId, t.createdAt, t.id),
    uniqueIndex('trust_rules_tenant_name').on(t.tenantId, sql`lower(${t.name})`),
    index('trust_rules_issuer').on(t.issuer, t.audience),
    index('trust_rules_owner').on(t.ownerId),
    check(
      'trust_rules_limits',
      sql`cardinality(allowed_ips) is distinct from 0 and cardinality(scopes) is distinct from 0 and requests_per_minute >= 1 and lifetime_minutes between 1 and 15`,
    ),
  ],
)

/** For each claim the values that it may have, one of which it has to have; `*` stands for any text. */
export type TrustConditions = Record<string, string[]>

/** Tokens that a key was given for, until they would be refused as too old anyway: each is good once, in all tenants together. */
export const usedTokens = pgTable(
  'used_tokens',
  {
    /** SHA-256 of what the token's signature signs. */
    hash: bytea('hash').primaryKey(),
    expiresAt: instant('expires_at').notNull(),
  },
  (t) => [index('used_tokens_expires').on(t.expiresAt)],
)
