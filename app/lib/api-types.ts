// The answers of the procedures, as the components name them.
import type { Api } from '#server/pages.ts'

type ItemOf<T extends (...input: never[]) => Promise<{ items: unknown[] }>> = Awaited<ReturnType<T>>['items'][number]

export type ApiKey = ItemOf<Api['apiKeys']['list']>
export type KeyStatus = ApiKey['status']
export type KeyQuery = NonNullable<Parameters<Api['apiKeys']['list']>[0]>
export type AuditEntry = ItemOf<Api['auditLog']['list']>
export type KeyFreeze = Awaited<ReturnType<Api['apiKeys']['getFreeze']>>
export type BulkRevocation = Awaited<ReturnType<Api['apiKeys']['bulkRevoke']>>
export type KeyUsage = Awaited<ReturnType<Api['apiKeys']['getUsage']>>
export type Permission = ItemOf<Api['apiKeys']['listPermissions']>
export type AuditChain = Awaited<ReturnType<Api['auditLog']['getChain']>>
export type Notice = ItemOf<Api['notices']['list']>
export type Webhook = ItemOf<Api['webhooks']['list']>
export type WebhookEvent = Webhook['events'][number]
export type TrustRule = ItemOf<Api['trustRules']['list']>
export type Delivery = ItemOf<Api['webhooks']['listDeliveries']>
export type IdentityProvider = ItemOf<Api['identityProviders']['list']>
export type Agent = ItemOf<Api['agents']['list']>
export type ConnectionTest = Awaited<ReturnType<Api['agents']['testConnection']>>
export type TestSuite = ItemOf<Api['testSuites']['list']>
export type TestCase = ItemOf<Api['testCases']['list']>
export type JudgeSetting = ItemOf<Api['judgeSettings']['list']>
export type Run = ItemOf<Api['runs']['list']>
export type Result = ItemOf<Api['results']['list']>
export type Verdict = NonNullable<Result['verdict']>
export type TranscriptMessage = ItemOf<Api['results']['getTranscript']>
export type User = ItemOf<Api['users']['list']>
export type AffectedKeys = Awaited<ReturnType<Api['users']['listKeys']>>
export type KeyFate = Awaited<ReturnType<Api['users']['deactivate']>>['keys'][number]['fate']
export type Invitation = ItemOf<Api['invitations']['list']>
export type MetricsSummary = Awaited<ReturnType<Api['metrics']['getSummary']>>
export type Tenant = ItemOf<Api['tenants']['list']>
export type TenantUsage = Awaited<ReturnType<Api['tenants']['get']>>
