// Examples of the OpenAPI document, by operation; a test holds each of them against its operation's schema.
const agent = {
  id: '6f2a2f6e-3d5c-4a52-9b0e-0c4f0e3a1d11',
  name: 'Support agent',
  description: 'Answers customers about their orders.',
  environment: 'staging',
  tags: ['support', 'en'],
  isActive: true,
  connector: { type: 'http', url: 'https://agents.example.com/support', secretHeader: 'Authorization', hasSecret: true },
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
    secret: 'Bearer the-agents-own-token',
  },
}

const apiKey = {
  id: '0b9c5b0e-94c5-4a0d-8a3b-6a1d6c8f2a77',
  name: 'ci-pipeline',
  prefix: 'mate_4fQ9xLz',
  role: 'Tester',
  status: 'active',
  createdAt: '2026-11-24T10:15:00.000Z',
  createdBy: { kind: 'user', id: '4d7a6a40-7b36-4f0e-9a85-9a3cfd1c6f10', name: 'Ada' },
  expiresAt: '2027-02-22T10:15:00.000Z',
  lastUsedAt: '2026-11-24T10:20:12.000Z',
  lastUsedIp: '192.0.2.17',
  lastUsedUserAgent: 'curl/8.14.1',
  revokedAt: null,
  revokedBy: null,
  revokedReason: null,
}

const revokedKey = {
  ...apiKey,
  status: 'revoked',
  revokedAt: '2026-11-24T11:00:00.000Z',
  revokedBy: { id: '4d7a6a40-7b36-4f0e-9a85-9a3cfd1c6f10', name: 'Ada' },
  revokedReason: 'Found in a log file.',
}

const auditEntry = {
  id: 42,
  at: '2026-11-24T11:00:00.000Z',
  actor: { kind: 'user', id: '4d7a6a40-7b36-4f0e-9a85-9a3cfd1c6f10', name: 'Ada', role: 'TenantAdmin' },
  action: 'api_key.revoked',
  entity: { type: 'api_key', id: apiKey.id, name: 'ci-pipeline' },
  outcome: 'success',
  occurrences: 1,
  ip: '192.0.2.4',
  userAgent: 'Mozilla/5.0',
  requestId: '9d1f6a52-6f5e-4f3e-9b57-0f6a3a6b2d10',
  details: { before: { status: 'active' }, after: { status: 'revoked' }, reason: 'Found in a log file.' },
}

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
      operations: ['me.get', 'agents.list', 'agents.get'],
    },
  },
  'agents.list': { response: page(agent) },
  'agents.get': { response: agent },
  'agents.create': { request: agentInput, response: agent },
  'agents.update': { request: agentInput, response: agent },
  'agents.delete': {},
  'apiKeys.list': { response: page(apiKey) },
  'apiKeys.get': { response: apiKey },
  'apiKeys.create': {
    request: { name: 'ci-pipeline', role: 'Tester', expiresAt: '2027-02-22T10:15:00Z' },
    // Cut short: an example must not be taken for a key by a scanner.
    response: { ...apiKey, lastUsedAt: null, lastUsedIp: null, lastUsedUserAgent: null, key: 'mate_4fQ9xLz…' },
  },
  'apiKeys.update': { request: { name: 'nightly-pipeline' }, response: { ...apiKey, name: 'nightly-pipeline' } },
  'apiKeys.revoke': { request: { reason: 'Found in a log file.' }, response: revokedKey },
  'apiKeys.delete': {},
  'auditLog.list': { response: page(auditEntry) },
}

export function exampleOf(operation: string): Example {
  return examples[operation] ?? {}
}
