// What one process has exactly one of: its settings, its open database, its secret, its key.
import type { Database } from '#db/client.ts'
import type { AuditSigner } from './audit-signer.ts'
import type { Env } from './env.ts'

export interface Runtime {
  env: Env
  database: Database
  /** Signs cookies and encrypts connector secrets. */
  secret: string
  auditSigner: AuditSigner
}

let current: Runtime | undefined

export function useRuntime(runtime: Runtime): void {
  current = runtime
}

/** @throws Error before the process has started. */
export function getRuntime(): Runtime {
  if (!current) throw new Error('The process has not started.')
  return current
}
