// Every operation there is, read from the metadata: for REST, the pages, /api/me and the tests.
import type { z } from 'zod'
import type { Meta, t } from './trpc.ts'

export interface Operation {
  /** As tRPC names it, e.g. `apiKeys.create`. */
  name: string
  kind: 'query' | 'mutation'
  meta: Meta
  scope: string
  input: z.ZodObject
}

/** What tRPC keeps of a procedure; its own types hide the input's schema. */
interface Definition {
  type: string
  meta?: Partial<Meta>
  inputs: z.ZodObject[]
}

let operations: Operation[] = []

/**
 * Reads a router's procedures.
 * @throws Error that names each procedure without a role, without a REST path, or that changes something unaudited.
 */
export function defineOperations(router: ReturnType<typeof t.router>): void {
  const found: Operation[] = []
  const faults: string[] = []
  for (const [name, procedure] of Object.entries(router._def.procedures)) {
    const { type, meta, inputs } = procedure._def as unknown as Definition
    if (!meta?.role) faults.push(`${name} declares no role`)
    if (!meta?.openapi) faults.push(`${name} declares no REST path`)
    if (type === 'mutation' && !meta?.audit) faults.push(`${name} changes something and declares no audit event`)
    if (type === 'query' && meta?.audit) faults.push(`${name} only reads and declares an audit event`)
    if (type !== 'query' && type !== 'mutation') faults.push(`${name} is a ${type}, which the gate does not serve`)
    const [input] = inputs
    if (!input) faults.push(`${name} declares no input`)
    else if (meta?.openapi) {
      const operation = { name, kind: type as Operation['kind'], meta: meta as Meta, input }
      found.push({ ...operation, scope: scopeOf(operation) })
    }
  }
  if (faults.length > 0) throw new Error(`The procedures are incomplete: ${faults.join('; ')}.`)
  operations = found
}

export function listOperations(): readonly Operation[] {
  return operations
}

/** The scope that a narrowed key needs for an operation. */
export function scopeOf({ kind, meta }: Pick<Operation, 'kind' | 'meta'>): string {
  return meta.scope ?? `${meta.openapi.tags[0]}:${kind === 'query' ? 'read' : 'write'}`
}

/** Every scope that a key can have, sorted. */
export function listScopes(): string[] {
  return [...new Set(operations.flatMap(({ meta, scope }) => (meta.role === 'Public' ? [] : scope)))].sort()
}

// Written outside procedures: by the gate, by sign-in, by the first run and the console.
const otherActions = [
  'api_key.kept',
  'api_key.refused',
  'api_key.transferred',
  'api_key.tripwire',
  'audit_log.cut',
  'identity_provider.sign_in_refused',
  'run.completed',
  'run.failed',
  'tenant.created',
  'tenant.sign_in_mapped',
  'tenant.sign_in_unmapped',
  'token.refused',
  'user.created',
  'user.joined',
  'user.entered_tenant',
  'user.left_tenant',
  'user.factor_added',
  'user.factor_removed',
  'user.password_changed',
  'user.linked',
  'user.password_reset',
  'user.recovery_codes_made',
  'user.refused',
  'user.renamed',
  'user.second_factor_failed',
  'user.sessions_ended',
  'user.role_mapped',
  'user.sign_in_failed',
  'user.signed_in',
  'user.signed_in_again',
  'user.signed_out',
  'webhook.deactivated',
]

/** Every action that an audit entry can have, sorted. */
export function listAuditActions(): string[] {
  return [...new Set([...otherActions, ...operations.flatMap((operation) => operation.meta.audit ?? [])])].sort()
}
