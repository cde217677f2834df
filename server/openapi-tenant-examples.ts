// Examples of the OpenAPI document for tenants.
const quotas = { maxUsers: 25, maxApiKeys: 50, maxAgents: 10, maxTestSuites: null, maxRunsPerMonth: 2000 }
const tenant = {
  id: '2c1f7d9e-58a1-4b0c-8f0e-5d3c9b6a7e21',
  name: 'Acme',
  isActive: true,
  ...quotas,
  createdAt: '2026-11-24T10:15:00.000Z',
}
const usage = { ...tenant, used: { maxUsers: 7, maxApiKeys: 12, maxAgents: 10, maxTestSuites: 31, maxRunsPerMonth: 640 } }

export const tenantExamples = {
  'tenants.getCurrent': { response: usage },
  'tenants.list': { response: { items: [tenant], nextCursor: null } },
  'tenants.get': { response: usage },
  'tenants.create': { request: { name: 'Acme', ...quotas }, response: tenant },
  'tenants.update': {
    request: { maxAgents: 20, maxRunsPerMonth: null },
    response: { ...tenant, maxAgents: 20, maxRunsPerMonth: null },
  },
  'tenants.deactivate': { request: { reason: 'The contract has ended.' }, response: { ...tenant, isActive: false } },
  'tenants.reactivate': { request: { reason: 'The contract is renewed.' }, response: tenant },
}
