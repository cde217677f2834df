// The gate: who calls, in which tenant, with which role, in one transaction, with its audit entry. Every door leads here.
import { setTimeout as sleep } from 'node:timers/promises'
import { TRPCError } from '@trpc/server'
import { getHTTPStatusCodeFromError } from '@trpc/server/http'
import type { RunLast, Span, Tx } from '#db/client.ts'
import { AfterCommit } from './after-commit.ts'
import { AuditRecorder, writeAudit } from './audit.ts'
import type { Call } from './call.ts'
import { noteCall } from './call-counts.ts'
import { findAnswer, keepAnswer, type Repeatable } from './idempotency.ts'
import { findForbidden, Id } from './input.ts'
import { countedFirst, requireScope, requireUsable, Uncounted } from './key-checks.ts'
import { observeCall } from './metrics.ts'
import { scopeOf } from './operations.ts'
import { actIn, findPrincipal, holdsRole, lockKeysOf, neededRoleOf, type Principal, requireCredential } from './principal.ts'
import { asTrpcError, badField, databaseErrorCode, ProblemKind } from './problem.ts'
import { Refusal, recordRefusal, refusedPrincipal } from './refusal.ts'
import { getRuntime } from './runtime.ts'
import { enterNamedTenant, holdTenant, requireChangeable, writeElsewhere } from './tenant-entry.ts'
import { callerFacts, startCallSpan } from './tracing.ts'
import { type Meta, t } from './trpc.ts'
import { noteUse } from './usage.ts'

/** What a procedure is given. */
export interface GateContext {
  /** As the restricted role, in `tenant`: a change's transaction, or a read's connection. */
  tx: Tx
  principal: Principal
  tenant: { id: string; name: string }
  /** A mutation records what it changed, thing by thing, or says that it changed nothing, before it returns. */
  audit: AuditRecorder
  /** Says what a change does once it is committed, such as to send a message, and what answers in place of `meanwhile`. */
  afterCommit: <T>(work: () => Promise<T>, meanwhile: T) => T
}

const gate = t.middleware(async ({ ctx: call, meta, path, type, next, getRawInput }) => {
  if (!meta) throw new Error(`${path} declares no metadata.`)
  const credential = requireCredential(call)
  const isChange = type === 'mutation'
  const scope = scopeOf({ kind: isChange ? 'mutation' : 'query', meta })

  const { database } = getRuntime()
  const trace = startCallSpan(path, call)
  let caller: Principal | undefined
  let after: AfterCommit | undefined
  const work = async (tx: Tx, span: Span, isCounted: boolean, runLast?: RunLast) => {
    if (meta.locksKeys) await lockKeysOf(tx, credential)
    const principal = await findPrincipal(tx, span, credential, call, isChange)
    caller = principal
    if (principal.kind === 'key') requireUsable(principal, call)
    if (principal.limits.requestsPerMinute !== null && !isCounted && !call.isContinued) throw new Uncounted(principal)
    if (principal.kind === 'key') noteUse(principal.id, { at: new Date(), ip: call.ip, userAgent: call.userAgent })
    const entered = await enterTenant(tx, span, principal, call, isChange && !meta.actsIn)
    trace?.set(callerFacts(principal, entered.id))
    requireRole(principal, meta, path)
    requireScope(principal, scope, path)
    const input = await getRawInput()
    requireCleanInput(input)
    const tenant = (meta.actsIn && (await enterNamedTenant(tx, span, input, meta.actsIn))) || entered
    const audit = new AuditRecorder()
    after = undefined
    const afterCommit: GateContext['afterCommit'] = (planned, meanwhile) => {
      after = new AfterCommit(planned)
      return meanwhile
    }
    const context: GateContext = { tx, principal, tenant, audit, afterCommit }
    const run = async () => {
      const result = await next({ ctx: context })
      if (!result.ok) throw result.error instanceof Refusal ? result.error : asRefusal(result.error, principal, tenant.id)
      if (runLast) await recordChanges(context, meta, call, runLast)
      return result
    }
    const { idempotencyKey: key } = call
    if (key === undefined || !isChange) return run()
    const request = { tenantId: tenant.id, principalId: principal.id, key, operation: path, input }
    return runOnce(tx, request, run, meta, call, () => after)
  }
  const attempt = (isCounted: boolean) =>
    isChange
      ? database.transaction((tx, runLast) => work(tx, 'transaction', isCounted, runLast))
      : database.read((tx, span) => work(tx, span, isCounted))

  const looks = meta.repeatUntil && !isChange ? waitFor(meta.repeatUntil, call, getRawInput) : undefined
  let from = performance.now()
  const observe = (status: number) => observeCall(path, call.door, status, (performance.now() - from) / 1_000)
  try {
    const look = (isCounted: boolean) => {
      from = performance.now()
      return withRetries(() => attempt(isCounted))
    }
    const first = countedFirst(look, call)
    const result = await (looks ? looks(first, () => look(true)) : first).catch(async (error) => {
      countCall(caller, meta, call, path, refusedPrincipal(error))
      await recordRefusal(error, call, path)
      throw error
    })
    countCall(caller, meta, call, path)
    const answer = after ? await after.answer(result) : result
    observe(meta.openapi.status ?? 200)
    trace?.end()
    return answer
  } catch (error) {
    const known = asTrpcError(error)
    const status = getHTTPStatusCodeFromError(known)
    observe(status)
    trace?.end({ type: known.code, isOurs: status >= 500 })
    throw known
  }
})

const lookEveryMs = 500

/**
 * Repeats a call as a whole, so that nothing is held in between, and what is refused by then is refused.
 * @returns what answers the first look when it says enough or must not be waited for, else the last.
 */
function waitFor(isEnough: (output: unknown) => boolean, call: Call, getRawInput: () => Promise<unknown>) {
  return async <R extends { ok: boolean }>(first: Promise<R>, again: () => Promise<R>): Promise<R> => {
    const from = performance.now()
    let result = await first
    // Valid by now: the schema has passed it.
    const { wait = 0 } = (await getRawInput()) as { wait?: number }
    const isOver = () => performance.now() - from + lookEveryMs > wait * 1_000
    while (!isEnough(Reflect.get(result, 'data')) && !isOver() && !call.isHurried?.()) {
      await sleep(lookEveryMs)
      result = await again()
    }
    return result
  }
}

/** The base of every procedure. */
export const procedure = t.procedure.use(gate)

function asRefusal(error: TRPCError, principal: Principal, tenantId: string): TRPCError {
  // What says how to go on, as a sign-in that is too old does, is no refusal of a right.
  return error.code === 'FORBIDDEN' && !(error.cause instanceof ProblemKind)
    ? new Refusal(error.message, principal, tenantId)
    : error
}

async function enterTenant(
  tx: Tx,
  span: Span,
  principal: Principal,
  call: Call,
  mayChange: boolean,
): Promise<GateContext['tenant']> {
  const home = { id: principal.tenantId, name: principal.tenantName }
  if (call.tenantId === null) return home
  if (!Id.safeParse(call.tenantId).success) throw badField('X-Tenant-Id', 'Must be a UUID.')
  const wanted = call.tenantId.toLowerCase()
  if (wanted === home.id) return home
  if (!holdsRole(principal, 'SuperAdmin')) {
    const message = `Only a SuperAdmin may act in another tenant; this ${principal.kind} is ${principal.role} of ${home.id}. Leave X-Tenant-Id out.`
    throw new Refusal(message, principal, home.id)
  }
  if (mayChange) await holdTenant(tx, wanted)
  const [tenant] = await actIn(tx, span, wanted)
  if (!tenant) throw new TRPCError({ code: 'NOT_FOUND', message: 'There is no tenant with the id in X-Tenant-Id.' })
  if (mayChange) await requireChangeable(tx, principal, tenant)
  return tenant
}

function requireRole(principal: Principal, meta: Meta, path: string): void {
  if (meta.role === 'Public') throw new Error(`${path} needs no credential, and has to be a publicProcedure.`)
  if (holdsRole(principal, meta.role)) return
  const message = `${path} needs the role ${meta.role}; this ${principal.kind} has ${principal.role}.`
  throw new Refusal(message, principal)
}

/** Counts a call for its key's usage: let in, whatever came of it, or `refused`. */
function countCall(caller: Principal | undefined, { role }: Meta, call: Call, operation: string, refused?: Principal): void {
  const key = refused ?? caller
  if (key?.kind !== 'key' || role === 'Public' || (call.isContinued && !refused)) return
  const neededRole = (refused ? undefined : neededRoleOf(key)) ?? role
  noteCall({ keyId: key.id, operation, neededRole, isRefused: refused !== undefined, ip: call.ip })
}

export function requireCleanInput(input: unknown): void {
  const found = findForbidden(input)
  if (found) throw badField(found.path, found.message)
}

/** Runs a change that may be asked for twice, or answers what it answered the first time. */
async function runOnce<R extends { data: unknown }>(
  tx: Tx,
  request: Repeatable,
  run: () => Promise<R>,
  meta: Meta,
  call: Call,
  afterOf: () => AfterCommit | undefined,
): Promise<R> {
  const answer = await findAnswer(tx, request)
  if (answer) {
    call.setHeader?.('Idempotency-Replayed', 'true')
    // What next() returns, but for its marker, which only reminds a middleware to return it.
    return { ok: true, data: answer.output } as unknown as R
  }
  const result = await run()
  const after = afterOf()
  if (after) after.request = request
  else await keepAnswer(tx, request, result.data, meta.shownOnce)
  return result
}

/** The audit entries of the call's tenant are the transaction's last statement; those of another tenant go before them. */
async function recordChanges(context: GateContext, meta: Meta, call: Call, runLast: RunLast): Promise<void> {
  const { tx, principal, tenant, audit } = context
  const { changes } = audit
  if (changes === 'unchanged') return
  if (changes.length === 0 || !meta.audit) throw new Error('A mutation has to say what it changed, and declare its audit event.')
  const entry = { tenantId: tenant.id, actor: principal, action: meta.audit, outcome: 'success', origin: call } as const
  const entries = changes.map((change) => ({ ...entry, ...change }))
  const here = entries.filter(({ tenantId }) => tenantId === tenant.id)
  if (here.length < entries.length) await writeElsewhere(tx, entries, tenant.id)
  if (here.length > 0) runLast(() => writeAudit(tx, ...here))
}

const maxAttempts = 3

/** Two principals that end each other's rights at once deadlock by design; one of them is told to try again. */
export async function withRetries<T>(attempt: () => Promise<T>): Promise<T> {
  for (let count = 1; ; count++) {
    try {
      return await attempt()
    } catch (error) {
      const code = databaseErrorCode(error)
      if ((code !== '40P01' && code !== '40001') || count >= maxAttempts) throw error
    }
  }
}
