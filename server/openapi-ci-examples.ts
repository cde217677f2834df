// Examples of the OpenAPI document for trust rules, and for the keys that they give out.
const ruleInput = {
  name: 'Nightly tests',
  issuer: 'https://token.actions.githubusercontent.com',
  audience: 'https://mate.example.com',
  conditions: { repository: ['acme/app'], ref: ['refs/heads/main', 'refs/heads/release/*'] },
  role: 'Tester',
  allowedIps: null,
  requestsPerMinute: 600,
  scopes: ['agents:read', 'runs:execute', 'runs:read', 'testsuites:read'],
  lifetimeMinutes: 15,
  isActive: true,
}

const rule = {
  id: '5b1e7c90-2f4d-4a6e-8c37-9d0a1b2c3d4e',
  ...ruleInput,
  createdBy: { kind: 'user', id: '3a7d2c1e-9b84-4f60-a5d3-7e6f8a9b0c1d', name: 'Ada Lovelace' },
  ownerId: '3a7d2c1e-9b84-4f60-a5d3-7e6f8a9b0c1d',
  createdAt: '2026-11-24T10:15:00.000Z',
  updatedAt: '2026-11-24T10:15:00.000Z',
  lastUsedAt: null,
}

export const ciExamples = {
  'trustRules.list': { response: { items: [rule], nextCursor: null } },
  'trustRules.get': { response: rule },
  'trustRules.create': { request: ruleInput, response: rule },
  'trustRules.update': { request: ruleInput, response: rule },
  'trustRules.delete': {},
  'tokens.exchange': {
    request: { token: 'eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.…', ruleId: rule.id },
    response: {
      id: '7c6b5a49-3827-4165-9f0e-1d2c3b4a5968',
      key: 'mate_…',
      expiresAt: '2026-11-24T10:30:00.000Z',
      role: 'Tester',
      ruleId: rule.id,
      tenant: { id: '0f1e2d3c-4b5a-4697-8877-665544332211', name: 'Acme' },
    },
  },
}
