// The answers of the procedures, as the components name them.
import type { Api } from '#server/pages.ts'

type ItemOf<T extends (...input: never[]) => Promise<{ items: unknown[] }>> = Awaited<ReturnType<T>>['items'][number]

export type ApiKey = ItemOf<Api['apiKeys']['list']>
export type KeyStatus = ApiKey['status']
export type KeyQuery = NonNullable<Parameters<Api['apiKeys']['list']>[0]>
export type AuditEntry = ItemOf<Api['auditLog']['list']>
