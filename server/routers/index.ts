// The whole API. A resource is added here, and only here.
import { defineOperations } from '../operations.ts'
import { t } from '../trpc.ts'
import { agentsRouter } from './agents.ts'
import { apiKeyEmergenciesRouter } from './api-key-emergencies.ts'
import { apiKeyLeaksRouter } from './api-key-leaks.ts'
import { apiKeyRotationRouter } from './api-key-rotation.ts'
import { apiKeyShadowRouter } from './api-key-shadow.ts'
import { apiKeyUsageRouter } from './api-key-usage.ts'
import { apiKeysRouter } from './api-keys.ts'
import { auditLogRouter } from './audit-log.ts'
import { identityProvidersRouter } from './identity-providers.ts'
import { invitationsRouter } from './invitations.ts'
import { judgeSettingsRouter } from './judge-settings.ts'
import { meRouter } from './me.ts'
import { metricsRouter } from './metrics.ts'
import { noticesRouter } from './notices.ts'
import { resultsRouter } from './results.ts'
import { rolesRouter } from './roles.ts'
import { runsRouter } from './runs.ts'
import { signInPolicyRouter } from './sign-in-policy.ts'
import { tenantsRouter } from './tenants.ts'
import { testCasesRouter } from './test-cases.ts'
import { testConnectionRouter } from './test-connection.ts'
import { testSuitesRouter } from './test-suites.ts'
import { tokensRouter } from './tokens.ts'
import { trustRulesRouter } from './trust-rules.ts'
import { userFactorsRouter } from './user-factors.ts'
import { usersRouter } from './users.ts'
import { webhooksRouter } from './webhooks.ts'

export const appRouter = t.router({
  me: meRouter,
  agents: t.mergeRouters(agentsRouter, testConnectionRouter),
  testSuites: testSuitesRouter,
  testCases: testCasesRouter,
  judgeSettings: judgeSettingsRouter,
  metrics: metricsRouter,
  apiKeys: t.mergeRouters(
    apiKeysRouter,
    apiKeyRotationRouter,
    apiKeyEmergenciesRouter,
    apiKeyUsageRouter,
    apiKeyShadowRouter,
    apiKeyLeaksRouter,
  ),
  roles: rolesRouter,
  tenants: tenantsRouter,
  runs: runsRouter,
  results: resultsRouter,
  auditLog: auditLogRouter,
  notices: noticesRouter,
  webhooks: webhooksRouter,
  users: t.mergeRouters(usersRouter, userFactorsRouter),
  invitations: invitationsRouter,
  identityProviders: identityProvidersRouter,
  signInPolicy: signInPolicyRouter,
  trustRules: trustRulesRouter,
  tokens: tokensRouter,
})

export type AppRouter = typeof appRouter

defineOperations(appRouter)
