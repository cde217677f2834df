// Examples of the OpenAPI document for people: users and invitations.
const user = {
  id: '4d7a6a40-7b36-4f0e-9a85-9a3cfd1c6f10',
  name: 'Ada',
  email: 'ada@example.com',
  role: 'TenantAdmin',
  isActive: true,
  createdAt: '2026-11-24T10:15:00.000Z',
  lastSignedInAt: '2026-11-25T08:02:11.000Z',
  sessionCount: 1,
  keyCount: 2,
}
const gone = { ...user, isActive: false, sessionCount: 0, keyCount: 0 }
const key = {
  id: '0b8c6c1e-5f2f-4d0f-8a5b-2f6f0c1d9e77',
  name: 'Nightly runs',
  prefix: 'mate_4fZk1Qx',
  role: 'TenantAdmin',
  lastUsedAt: '2026-11-25T08:00:00.000Z',
}
const digest = 'n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg'
const invitation = {
  id: '9f1d3b6a-2c44-4f8e-b0a7-6d5e4c3b2a19',
  email: 'grace@example.com',
  role: 'Tester',
  createdAt: '2026-11-25T09:00:00.000Z',
  expiresAt: '2026-11-28T09:00:00.000Z',
  isExpired: false,
  createdBy: { kind: 'user', id: user.id, name: user.name },
}
const page = (item: unknown) => ({ items: [item], nextCursor: null })

export const peopleExamples = {
  'users.list': { response: page(user) },
  'users.get': { response: user },
  'users.listKeys': { response: { digest, keys: [key] } },
  'users.update': {
    request: { role: 'Tester', keys: 'lower' },
    response: { ...user, role: 'Tester', sessionCount: 0, keys: [{ id: key.id, name: key.name, fate: 'lower' }] },
  },
  'users.deactivate': {
    request: { keys: 'revoke', reason: 'Left the company.' },
    response: { ...gone, keys: [{ id: key.id, name: key.name, fate: 'revoke' }] },
  },
  'users.reactivate': { response: { ...user, sessionCount: 0, keyCount: 0 } },
  'users.resetSecondFactor': { request: { reason: 'Lost her phone.' }, response: { ...user, sessionCount: 0 } },
  'users.delete': {},
  'invitations.list': { response: page(invitation) },
  // Cut short, as keys are.
  'invitations.create': {
    request: { email: invitation.email, role: invitation.role },
    response: { ...invitation, link: 'https://mate.example.com/invitation?token=…', mail: 'sent' },
  },
  'invitations.revoke': {},
}
