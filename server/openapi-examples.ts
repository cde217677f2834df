// Examples of the OpenAPI document, by operation; a test holds each of them against its operation's schema.

import { ciExamples } from './openapi-ci-examples.ts'
import { peopleExamples } from './openapi-people-examples.ts'
import { ssoExamples } from './openapi-sso-examples.ts'
import { suiteExamples } from './openapi-suite-examples.ts'
import { tenantExamples } from './openapi-tenant-examples.ts'

const agent = {
  id: '6f2a2f6e-3d5c-4a52-9b0e-0c4f0e3a1d11',
  name: 'Support agent',
  description: 'Answers customers about their orders.',
  environment: 'staging',
  tags: ['support', 'en'],
  isActive: true,
  connector: {
    type: 'http',
    id: 'c9a1f0de-5b7c-4f1e-9d3a-2e8b7c6d5a40',
    method: 'POST',
    url: 'https://agents.example.com/support',
    secretHeader: 'Authorization',
    headers: { 'X-Environment': 'staging' },
    body: '{"message":"{{message}}","conversationId":"{{conversationId}}","history":"{{history}}"}',
    replyPointer: '/reply',
    timeoutSeconds: 30,
    hasSecret: true,
  },
  judgeSettingId: null,
  createdAt: '2026-11-24T10:15:00.000Z',
  updatedAt: '2026-11-24T10:15:00.000Z',
}

const agentInput = {
  name: 'Support agent',
  description: 'Answers customers about their orders.',
  environment: 'staging',
  tags: ['support', 'en'],
  isActive: true,
  connector: {
    type: 'http',
    url: 'https://agents.example.com/support',
    secretHeader: 'Authorization',
    headers: { 'X-Environment': 'staging' },
    replyPointer: '/reply',
    secret: 'Bearer the-agents-own-token',
  },
}

const openaiInput = {
  type: 'openai',
  url: 'https://models.example.com/v1',
  model: 'support-large',
  systemPrompt: 'You answer customers about their orders.',
  temperature: 0.2,
  maxTokens: 500,
  secret: 'the-models-own-token',
}
const { secret: _, ...openai } = openaiInput
const openaiAgent = { ...agent, connector: { ...openai, id: agent.connector.id, timeoutSeconds: 30, hasSecret: true } }

const apiKey = {
  id: '0b9c5b0e-94c5-4a0d-8a3b-6a1d6c8f2a77',
  name: 'ci-pipeline',
  prefix: 'mate_4fQ9xLz',
  role: 'Tester',
  status: 'active',
  createdAt: '2026-11-24T10:15:00.000Z',
  createdBy: { kind: 'user', id: '4d7a6a40-7b36-4f0e-9a85-9a3cfd1c6f10', name: 'Ada' },
  trustRuleId: null,
  owner: { id: '4d7a6a40-7b36-4f0e-9a85-9a3cfd1c6f10', name: 'Ada' },
  expiresAt: '2027-02-22T10:15:00.000Z',
  lastUsedAt: '2026-11-24T10:20:12.000Z',
  lastUsedIp: '192.0.2.17',
  lastUsedUserAgent: 'curl/8.14.1',
  revokedAt: null,
  revokedBy: null,
  revokedReason: null,
  allowedIps: ['192.0.2.0/24'],
  requestsPerMinute: 600,
  scopes: ['agents:read', 'agents:write'],
  rotatesOutAt: null,
  replacedById: null,
  replacesId: null,
  trippedAt: null,
  trippedIp: null,
  trippedUserAgent: null,
}

const revokedKey = {
  ...apiKey,
  status: 'revoked',
  revokedAt: '2026-11-24T11:00:00.000Z',
  revokedBy: { id: '4d7a6a40-7b36-4f0e-9a85-9a3cfd1c6f10', name: 'Ada' },
  revokedReason: 'Found in a log file.',
}

const newKey = { ...apiKey, lastUsedAt: null, lastUsedIp: null, lastUsedUserAgent: null }

const frozen = { frozenAt: '2026-11-24T11:00:00.000Z', frozenBy: 'Ada', frozenReason: 'A laptop was stolen.' }

const auditEntry = {
  id: 42,
  tenantId: '2c1f7d9e-58a1-4b0c-8f0e-5d3c9b6a7e21',
  seq: 17,
  at: '2026-11-24T11:00:00.000000Z',
  actor: { kind: 'user', id: '4d7a6a40-7b36-4f0e-9a85-9a3cfd1c6f10', name: 'Ada', role: 'TenantAdmin' },
  action: 'api_key.revoked',
  entity: { type: 'api_key', id: apiKey.id, name: 'ci-pipeline' },
  outcome: 'success',
  occurrences: 1,
  ip: '192.0.2.4',
  userAgent: 'Mozilla/5.0',
  requestId: '9d1f6a52-6f5e-4f3e-9b57-0f6a3a6b2d10',
  details: { before: { status: 'active' }, after: { status: 'revoked' }, reason: 'Found in a log file.' },
  prevHash: '0b5c9a0ac3f7d4c5d1d2a7e3f1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2',
  hash: '8c0d59ee3dc060c081ac782badb134026c574a6cf1821b37b3c4242a3e3a6471',
}

const checkpoint = {
  type: 'checkpoint',
  tenantId: auditEntry.tenantId,
  seq: auditEntry.seq,
  hash: auditEntry.hash,
  at: '2026-11-24T11:01:00.000000Z',
  keyId: 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k',
  signature: 'hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg',
}

const shadow = {
  role: 'Viewer',
  since: '2026-11-24T10:15:00.000Z',
  until: '2026-12-01T10:15:00.000Z',
  isOver: false,
  refusals: [{ operation: 'agents.create', calls: 2, lastAt: '2026-11-24T10:20:12.000Z' }],
}

const permissions = [
  {
    operation: 'agents.list',
    summary: 'List agents',
    method: 'GET',
    path: '/api/agents',
    tag: 'agents',
    allowed: true,
    reason: null,
  },
  {
    operation: 'agents.create',
    summary: 'Register an agent',
    method: 'POST',
    path: '/api/agents',
    tag: 'agents',
    allowed: false,
    reason: 'Needs the role TenantAdmin.',
  },
]

const usage = {
  days: [
    { date: '2026-11-23', calls: 0, refusals: 0 },
    { date: '2026-11-24', calls: 118, refusals: 1 },
  ],
  operations: [
    { operation: 'agents.list', calls: 118, refusals: 0, lastAt: '2026-11-24T10:20:12.000Z', lastIp: '192.0.2.17' },
    { operation: 'agents.create', calls: 0, refusals: 1, lastAt: '2026-11-24T09:00:00.000Z', lastIp: '192.0.2.17' },
  ],
  refusals: [
    {
      at: '2026-11-24T09:00:00.000Z',
      operation: 'agents.create',
      reason: 'agents.create needs the role TenantAdmin; this key has Tester.',
      occurrences: 1,
      ip: '192.0.2.17',
    },
  ],
  recommendation: { role: 'Viewer', since: '2026-10-26', calls: 2140 },
  shadow: null,
}

const notice = {
  id: '3f8c1d52-7c43-4b0e-a1f4-2f1f4a7de9a0',
  kind: 'api_key.expiring',
  about: { id: apiKey.id, name: 'ci-pipeline' },
  facts: { expiresAt: '2027-02-22T10:15:00.000Z', daysBefore: 14, role: 'Tester', prefix: 'mate_4fQ9xLz' },
  at: '2027-02-08T10:17:00.000Z',
  dismissedAt: null,
  dismissedBy: null,
}

const run = {
  id: '3d0f6e7a-52a4-4b0e-8f1d-7d2f7a9c4e10',
  suiteId: '9a6b1c2d-7e34-4f51-8a90-1c2d3e4f5a6b',
  suiteName: 'Refunds',
  agentId: agent.id,
  agentName: agent.name,
  status: 'completed',
  passThreshold: 0.8,
  passRate: 0.875,
  isPassed: true,
  counts: { total: 9, passed: 7, failed: 1, skipped: 1, errors: 0 },
  latency: { averageMs: 912.4, medianMs: 840.1, p95Ms: 1730.6 },
  requestedBy: { kind: 'key', id: apiKey.id, name: apiKey.name },
  createdAt: '2026-11-24T10:20:00.000Z',
  startedAt: '2026-11-24T10:20:00.512Z',
  completedAt: '2026-11-24T10:20:11.090Z',
  errorMessage: null,
}

const newRun = {
  ...run,
  status: 'pending',
  passRate: null,
  isPassed: null,
  counts: { total: 9, passed: 0, failed: 0, skipped: 0, errors: 0 },
  latency: { averageMs: null, medianMs: null, p95Ms: null },
  startedAt: null,
  completedAt: null,
}

const cancelledRun = {
  ...run,
  status: 'cancelled',
  passRate: 1,
  isPassed: false,
  counts: { total: 9, passed: 3, failed: 0, skipped: 0, errors: 0 },
}

const result = {
  id: 'b8d1f0c2-6a55-4c0d-9d3e-2f4a6b8c0d12',
  runId: run.id,
  position: 0,
  testCaseId: '5e2c7d90-1f3b-4a6c-8d7e-9f0a1b2c3d4e',
  name: 'Asks for the order number',
  tags: ['refund'],
  verdict: 'pass',
  scores: { taskSuccess: 1, intentMatch: 1, factuality: 0.9, helpfulness: 0.8, safety: 1 },
  overallScore: 0.94,
  rationale: 'The agent asked for the order number before it promised anything.',
  latencyMs: 812.7,
  executedAt: '2026-11-24T10:20:01.330Z',
  human: null,
}

const transcript = [
  {
    role: 'user',
    content: 'I want my money back.',
    raw: null,
    turnIndex: 0,
    latencyMs: null,
    timestamp: '2026-11-24T10:20:00.518Z',
  },
  {
    role: 'agent',
    content: 'Which order is it about?',
    raw: '{"reply":"Which order is it about?"}',
    turnIndex: 0,
    latencyMs: 812.7,
    timestamp: '2026-11-24T10:20:01.330Z',
  },
]

const humanVerdict = { verdict: 'fail', note: 'It was rude.' }

const webhook = {
  id: '7f0c3ad4-2f57-4a0d-8d0e-6f8f6a1f3b52',
  url: 'https://hooks.example.com/mate',
  description: 'Alerts of the platform team',
  events: ['*'],
  isActive: true,
  deactivatedReason: null,
  failingSince: null,
  previousSecretUntil: null,
  createdAt: '2026-11-24T10:15:00.000Z',
  updatedAt: '2026-11-24T10:15:00.000Z',
}
const webhookInput = { url: webhook.url, description: webhook.description, events: webhook.events }

const delivery = {
  id: '5d6d0a3e-0f2b-4f5b-9b1c-8f3f5a2f4c11',
  event: 'api_key.expiring',
  status: 'pending',
  attempts: 1,
  createdAt: '2027-02-08T10:17:00.000Z',
  lastAttemptAt: '2027-02-08T10:17:01.000Z',
  nextAttemptAt: '2027-02-08T10:17:06.000Z',
  responseStatus: 503,
  durationMs: 84,
  error: 'The receiver answered 503.',
}
const firstDelivery = { ...delivery, attempts: 0, lastAttemptAt: null, responseStatus: null, durationMs: null, error: null }

export interface Example {
  request?: unknown
  response?: unknown
}

const page = (item: unknown) => ({ items: [item], nextCursor: null })

export const examples: Record<string, Example> = {
  'me.get': {
    response: {
      kind: 'key',
      id: apiKey.id,
      name: 'ci-pipeline',
      role: 'Tester',
      tenant: { id: '2c1f7d9e-58a1-4b0c-8f0e-5d3c9b6a7e21', name: 'Example Ltd' },
      expiresAt: '2027-02-22T10:15:00.000Z',
      rotatesOutAt: null,
      allowedIps: null,
      requestsPerMinute: 600,
      scopes: ['agents:read', 'me:read'],
      operations: ['me.get', 'agents.list', 'agents.get'],
    },
  },
  'agents.list': { response: page(agent) },
  'agents.get': { response: agent },
  'agents.create': { request: agentInput, response: agent },
  'agents.update': { request: agentInput, response: agent },
  'agents.replaceConnector': { request: { connector: openaiInput }, response: openaiAgent },
  'agents.delete': {},
  ...suiteExamples,
  ...peopleExamples,
  ...tenantExamples,
  ...ciExamples,
  'agents.testConnection': {
    request: { agentId: agent.id },
    response: { ok: true, reply: 'Hello! How can I help you?', latencyMs: 412.7, error: null },
  },
  'apiKeys.list': { response: page(apiKey) },
  'apiKeys.get': { response: apiKey },
  'apiKeys.create': {
    request: {
      name: 'ci-pipeline',
      role: 'Tester',
      expiresAt: '2027-02-22T10:15:00Z',
      allowedIps: ['192.0.2.0/24'],
      requestsPerMinute: 600,
      scopes: ['agents:read', 'agents:write'],
    },
    // Cut short: an example must not be taken for a key by a scanner.
    response: { ...newKey, key: 'mate_4fQ9xLz…' },
  },
  'apiKeys.update': { request: { name: 'nightly-pipeline' }, response: { ...apiKey, name: 'nightly-pipeline' } },
  'apiKeys.revoke': { request: { reason: 'Found in a log file.' }, response: revokedKey },
  'apiKeys.delete': {},
  'apiKeys.rotate': {
    request: { overlapHours: 24 },
    response: {
      ...newKey,
      id: '5d0f6c1e-8a7b-4c3d-9e2f-1a0b9c8d7e6f',
      prefix: 'mate_7hK2pQr',
      replacesId: apiKey.id,
      key: 'mate_7hK2pQr…',
    },
  },
  'apiKeys.getFreeze': { response: frozen },
  'apiKeys.freeze': {
    request: { reason: 'A laptop was stolen.' },
    response: {
      ...frozen,
      notice:
        'Every key of the tenant is refused from now on. An admin unfreezes them on the API Keys page, a SuperAdmin also with a key of another tenant.',
    },
  },
  'apiKeys.unfreeze': {
    request: { reason: 'The laptop was found.' },
    response: { frozenAt: null, frozenBy: null, frozenReason: null },
  },
  'apiKeys.bulkRevoke': {
    request: { unusedForDays: 90, dryRun: true },
    response: {
      isRevoked: false,
      count: 1,
      digest: '4Y2w0nT0n0m0p0q0r0s0t0u0v0w0x0y0z0A0B0C0D0E',
      hasMore: false,
      leftOut: 0,
      keys: [{ id: apiKey.id, name: apiKey.name, prefix: apiKey.prefix, role: apiKey.role, lastUsedAt: null }],
    },
  },
  'apiKeys.getUsage': { response: usage },
  'apiKeys.listPermissions': { response: { items: permissions } },
  'apiKeys.startShadow': { request: { role: 'Viewer', days: 7 }, response: { ...shadow, refusals: [] } },
  'apiKeys.dropShadow': {},
  'apiKeys.applyShadow': { response: { ...apiKey, role: 'Viewer' } },
  // Cut short, as above.
  'apiKeys.reportLeak': {
    request: { key: 'mate_4fQ9xLz…' },
    response: { detail: 'Thank you. If this was a live key, it is revoked now.' },
  },
  'roles.list': {
    response: { items: [{ role: 'Viewer', permits: 'Read-only access', operations: permissions }] },
  },
  'auditLog.list': { response: page(auditEntry) },
  'auditLog.getChain': {
    response: { seq: auditEntry.seq, hash: auditEntry.hash, checkpoint, cut: null, retentionDays: 365 },
  },
  'auditLog.setRetention': { request: { retentionDays: 365 }, response: { retentionDays: 365 } },
  'auditLog.export': { response: checkpoint },
  'notices.list': { response: page(notice) },
  'notices.dismiss': { response: { ...notice, dismissedAt: '2027-02-08T11:00:00.000Z', dismissedBy: 'Ada' } },
  'runs.list': { response: page(run) },
  'runs.get': { response: run },
  'runs.create': { request: { suiteId: run.suiteId, agentId: run.agentId }, response: newRun },
  'runs.cancel': { response: cancelledRun },
  'runs.delete': {},
  'results.list': { response: page(result) },
  'results.get': { response: result },
  'results.getTranscript': { response: { items: transcript } },
  'results.setHumanVerdict': {
    request: humanVerdict,
    response: { ...result, human: { ...humanVerdict, byName: 'ada', at: '2026-11-24T11:02:00.000Z' } },
  },
  'webhooks.list': { response: page(webhook) },
  'webhooks.get': { response: webhook },
  // Cut short, as keys are.
  'webhooks.create': { request: webhookInput, response: { ...webhook, secret: 'whsec_…' } },
  'webhooks.update': { request: { ...webhookInput, isActive: true }, response: webhook },
  'webhooks.delete': {},
  'webhooks.rotate': { response: { ...webhook, previousSecretUntil: '2026-11-25T10:15:00.000Z', secret: 'whsec_…' } },
  'webhooks.test': { response: { ...firstDelivery, event: 'webhook.test' } },
  'webhooks.listDeliveries': { response: page(delivery) },
  'webhooks.redeliver': { response: firstDelivery },
  ...ssoExamples,
}

export function exampleOf(operation: string): Example {
  return examples[operation] ?? {}
}
