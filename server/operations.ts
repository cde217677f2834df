// Every operation there is, read from the metadata: for REST, the pages, /api/me and the tests.
import type { z } from 'zod'
import { isRoleAtLeast, type Role } from './roles.ts'
import type { Meta, t } from './trpc.ts'

export interface Operation {
  /** As tRPC names it, e.g. `apiKeys.create`. */
  name: string
  kind: 'query' | 'mutation'
  meta: Meta
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
    else found.push({ name, kind: type as Operation['kind'], meta: meta as Meta, input })
  }
  if (faults.length > 0) throw new Error(`The procedures are incomplete: ${faults.join('; ')}.`)
  operations = found
}

export function listOperations(): readonly Operation[] {
  return operations
}

/** The operations that a role may call, by name. */
export function operationsOf(role: Role): string[] {
  return operations.filter((operation) => isRoleAtLeast(role, operation.meta.role)).map((operation) => operation.name)
}

// Written outside procedures: by the gate, by sign-in, by the first run and the console.
const otherActions = [
  'api_key.refused',
  'tenant.created',
  'user.created',
  'user.password_reset',
  'user.refused',
  'user.sign_in_failed',
  'user.signed_in',
  'user.signed_out',
]

/** Every action that an audit entry can have, sorted. */
export function listAuditActions(): string[] {
  return [...new Set([...otherActions, ...operations.flatMap((operation) => operation.meta.audit ?? [])])].sort()
}
