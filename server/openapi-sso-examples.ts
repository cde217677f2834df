// Examples of the OpenAPI document for single sign-on.
const input = {
  name: 'Contoso',
  clientId: '0d3c5f10-8a4e-4f8e-9a55-1f1c6a3a7b02',
  scopes: ['openid', 'profile', 'email'],
  tenantClaim: 'tid',
  roleClaim: 'roles',
  isEmailTrusted: false,
  mappings: [
    {
      claimValue: '72f988bf-86f1-41af-91ab-2d7cd011db47',
      tenantId: '2b1f9c58-1c3e-4f7a-8a40-9f6a1f4f5f11',
      defaultRole: null,
      roles: [{ claimValue: 'mate.testers', role: 'Tester' }],
    },
  ],
  isActive: true,
}
const issuer = 'https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0'
const provider = {
  id: '4a7d1ed4-1474-4c0b-bf2c-5a1f0a5d9c33',
  ...input,
  issuer,
  mappings: input.mappings.map((mapping) => ({ ...mapping, tenantName: 'Contoso' })),
  createdAt: '2026-11-24T10:15:00.000Z',
  updatedAt: '2026-11-24T10:15:00.000Z',
}
const policyInput = { isSsoOnly: false, requiresSecondFactor: true }
const policy = { ...policyInput, providers: ['Contoso'] }

export const ssoExamples = {
  'identityProviders.list': { response: { items: [provider], nextCursor: null } },
  'identityProviders.get': { response: provider },
  'identityProviders.create': { request: { ...input, issuer, clientSecret: 'the-clients-secret' }, response: provider },
  'identityProviders.update': { request: input, response: provider },
  'identityProviders.delete': {},
  'identityProviders.test': { response: { ok: false, error: 'The provider was not reached: The host name was not found.' } },
  'signInPolicy.get': { response: policy },
  'signInPolicy.update': { request: policyInput, response: policy },
}
