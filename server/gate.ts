// The gate: who calls, in which tenant, with which role, in one transaction, with its audit entry. Every door leads here.
import { TRPCError } from '@trpc/server'
import { getHTTPStatusCodeFromError } from '@trpc/server/http'
import type { Span, Tx } from '#db/client.ts'
import { AuditRecorder, writeAudit, writeFoldedAudit } from './audit.ts'
import type { Call } from './call.ts'
import { findForbidden, Id } from './input.ts'
import { observeCall } from './metrics.ts'
import { actIn, findPrincipal, type Principal, RefusedPrincipal, requireCredential } from './principal.ts'
import { asTrpcError, badField, databaseErrorCode } from './problem.ts'
import { isRoleAtLeast } from './roles.ts'
import { getRuntime } from './runtime.ts'
import { type Meta, t } from './trpc.ts'
import { isFirstRefusal, noteRefusalWritten, noteUse } from './usage.ts'

/** What a procedure is given. */
export interface GateContext {
  /** As the restricted role, in `tenant`: a change's transaction, or a read's connection. */
  tx: Tx
  principal: Principal
  tenant: { id: string; name: string }
  /** A mutation calls exactly one of its methods before it returns. */
  audit: AuditRecorder
}

const gate = t.middleware(async ({ ctx: call, meta, path, type, next, getRawInput }) => {
  if (!meta) throw new Error(`${path} declares no metadata.`)
  const credential = requireCredential(call)
  const isChange = type === 'mutation'

  const { database } = getRuntime()
  const work = async (tx: Tx, span: Span) => {
    const principal = await findPrincipal(tx, span, credential, call, isChange)
    if (principal.kind === 'key') noteUse(principal.id, { at: new Date(), ip: call.ip, userAgent: call.userAgent })
    const tenant = await enterTenant(tx, span, principal, call)
    requireRole(principal, meta, path)
    requireCleanInput(await getRawInput())
    const audit = new AuditRecorder()
    const context: GateContext = { tx, principal, tenant, audit }
    const result = await next({ ctx: { ...call, ...context } })
    if (!result.ok) throw result.error instanceof Refusal ? result.error : asRefusal(result.error, principal, tenant.id)
    if (isChange) await writeChange(context, meta, call)
    return result
  }
  const attempt = () => (isChange ? database.transaction((tx) => work(tx, 'transaction')) : database.read(work))

  const from = performance.now()
  const observe = (status: number) => observeCall(path, call.door, status, (performance.now() - from) / 1_000)
  try {
    const result = await withRetries(attempt).catch(async (error) => {
      await recordRefusal(error, call, path)
      throw error
    })
    observe(meta.openapi.status ?? 200)
    return result
  } catch (error) {
    const known = asTrpcError(error)
    observe(getHTTPStatusCodeFromError(known))
    throw known
  }
})

/** The base of every procedure. */
export const procedure = t.procedure.use(gate)

/** A call of a known principal that may not do this: audited after the transaction was rolled back. */
class Refusal extends TRPCError {
  readonly principal: Principal
  readonly tenantId: string

  constructor(message: string, principal: Principal, tenantId: string) {
    super({ code: 'FORBIDDEN', message })
    this.principal = principal
    this.tenantId = tenantId
  }
}

function asRefusal(error: TRPCError, principal: Principal, tenantId: string): TRPCError {
  return error.code === 'FORBIDDEN' ? new Refusal(error.message, principal, tenantId) : error
}

async function enterTenant(tx: Tx, span: Span, principal: Principal, call: Call): Promise<GateContext['tenant']> {
  const home = { id: principal.tenantId, name: principal.tenantName }
  if (call.tenantId === null) return home
  if (!Id.safeParse(call.tenantId).success) throw badField('X-Tenant-Id', 'Must be a UUID.')
  const wanted = call.tenantId.toLowerCase()
  if (wanted === home.id) return home
  if (!isRoleAtLeast(principal.role, 'SuperAdmin')) {
    const message = `Only a SuperAdmin may act in another tenant; this ${principal.kind} is ${principal.role} of ${home.id}. Leave X-Tenant-Id out.`
    throw new Refusal(message, principal, home.id)
  }
  const [tenant] = await actIn(tx, span, wanted)
  if (!tenant) throw new TRPCError({ code: 'NOT_FOUND', message: 'There is no tenant with the id in X-Tenant-Id.' })
  return tenant
}

function requireRole(principal: Principal, meta: Meta, path: string): void {
  if (isRoleAtLeast(principal.role, meta.role)) return
  const message = `${path} needs the role ${meta.role}; this ${principal.kind} has ${principal.role}.`
  throw new Refusal(message, principal, principal.tenantId)
}

function requireCleanInput(input: unknown): void {
  const found = findForbidden(input)
  if (found) throw badField(found.path, found.message)
}

async function writeChange({ tx, principal, tenant, audit }: GateContext, meta: Meta, call: Call): Promise<void> {
  const { change } = audit
  if (change === 'unchanged') return
  if (!change || !meta.audit) throw new Error('A mutation has to say what it changed, and declare its audit event.')
  await writeAudit(tx, { ...change, tenantId: tenant.id, actor: principal, action: meta.audit, outcome: 'success', origin: call })
}

const maxAttempts = 3

/** Two principals that end each other's rights at once deadlock by design; one of them is told to try again. */
async function withRetries<T>(attempt: () => Promise<T>): Promise<T> {
  for (let count = 1; ; count++) {
    try {
      return await attempt()
    } catch (error) {
      const code = databaseErrorCode(error)
      if ((code !== '40P01' && code !== '40001') || count >= maxAttempts) throw error
    }
  }
}

/** Audits a refusal of a known principal: one entry a principal, operation and minute, with a count. */
async function recordRefusal(error: unknown, call: Call, operation: string): Promise<void> {
  const refused = describeRefusal(error)
  if (!refused) return
  const { principal, tenantId, reason } = refused
  const minute = Math.floor(Date.now() / 60_000)
  const foldKey = `${principal.kind}:${principal.id}:${operation}:${minute}`
  if (!isFirstRefusal(tenantId, foldKey, minute)) return
  const entity = { type: principal.kind === 'key' ? 'api_key' : 'user', id: principal.id, name: principal.name } as const
  const action = `${entity.type}.refused`
  await getRuntime().database.transaction(async (tx) => {
    await actIn(tx, 'transaction', tenantId)
    await writeFoldedAudit(
      tx,
      { tenantId, actor: principal, action, entity, outcome: 'refused', origin: call, reason, operation },
      foldKey,
      1,
    )
  })
  noteRefusalWritten(foldKey, minute)
}

function describeRefusal(error: unknown): { principal: Principal; tenantId: string; reason: string } | undefined {
  if (error instanceof Refusal) return { principal: error.principal, tenantId: error.tenantId, reason: error.message }
  if (error instanceof TRPCError && error.cause instanceof RefusedPrincipal) {
    const { principal, reason } = error.cause
    return { principal, tenantId: principal.tenantId, reason: `The ${principal.kind} is ${reason}.` }
  }
}
