// The whole API. A resource is added here, and only here.
import { defineOperations } from '../operations.ts'
import { t } from '../trpc.ts'
import { agentsRouter } from './agents.ts'
import { apiKeysRouter } from './api-keys.ts'
import { auditLogRouter } from './audit-log.ts'
import { meRouter } from './me.ts'

export const appRouter = t.router({
  me: meRouter,
  agents: agentsRouter,
  apiKeys: apiKeysRouter,
  auditLog: auditLogRouter,
})

export type AppRouter = typeof appRouter

defineOperations(appRouter)
