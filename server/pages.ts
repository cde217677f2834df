// What a page is given for one request: the session's user, and a caller of every procedure that answers problems.
import { Readable } from 'node:stream'
import { TRPCError } from '@trpc/server'
import { data, RouterContextProvider } from 'react-router'
import type { z } from 'zod'
import { type FormResult, type OperationName, type PageContext, pageContext } from '#app/context.ts'
import { type AuditExport, openAuditExport } from './audit-export.ts'
import type { Auth, PageSession } from './auth.ts'
import { errorHeaders } from './body.ts'
import type { Call } from './call.ts'
import { completeSetup, isSetupOpen, SetupInput } from './first-run.ts'
import { AcceptInput, acceptInvitation, findInvitation } from './invitations.ts'
import { logFailure } from './log.ts'
import { listAuditActions, listOperations, listScopes } from './operations.ts'
import { createPeoplePages } from './people-pages.ts'
import { whyNot } from './permissions.ts'
import { toProblem } from './problem.ts'
import { grantableRoles, type Role, rolePermissions, roles } from './roles.ts'
import { appRouter } from './routers/index.ts'
import { getRuntime } from './runtime.ts'
import { beginSso, clearSsoCookie, finishSso, listSignInProviders } from './sso.ts'
import { enterTenant, leaveTenant } from './tenant-switch.ts'
import { t } from './trpc.ts'

const createCaller = t.createCallerFactory(appRouter)

export type Api = ReturnType<typeof createCaller>

export type AuditExportInput = NonNullable<Parameters<Api['auditLog']['export']>[0]>

export interface PageRequest {
  /** Of the request but for its credential, which is the cookie's. */
  call: Omit<Call, 'credential' | 'door' | 'tenantId'>
  cookie: string | undefined
  nonce: string
  origin: string
  session: PageSession | undefined
}

export function createPageContext(auth: Auth, page: PageRequest): RouterContextProvider {
  const { session, nonce, origin, cookie } = page
  const { env, database } = getRuntime()
  const credential = session ? ({ kind: 'session', sessionId: session.sessionId } as const) : ({ kind: 'none' } as const)
  const call: Call = { ...page.call, door: 'page', credential, tenantId: session?.user.actingTenant?.id ?? null }
  const { requestId } = call
  const expected = expectedIn(requestId)
  const grantable = session ? grantableRoles(session.user.role) : []

  const value: PageContext = {
    requestId,
    nonce,
    origin,
    user: session?.user ?? null,
    api: answerProblems(createCaller(call), requestId),
    may: (operation) => session !== undefined && refusalOf(operation, session.user.role) === null,
    requireMay: (operation) => {
      const refusal = session ? refusalOf(operation, session.user.role) : 'Needs a session.'
      if (refusal) throw asResponse(new TRPCError({ code: 'FORBIDDEN', message: refusal }), requestId, operation)
    },
    exportAuditLog: (input) =>
      orProblem(requestId, 'auditLog.export', async () => toResponse(await openAuditExport(call, input))),
    logFailure: (error) => logFailure(requestId, error),
    signIn: (input) => expected('sign in', async () => ({ headers: await auth.signIn(input, call) })),
    signOut: () =>
      orProblem(requestId, 'sign out', async () => {
        if (!session || !cookie) return new Headers()
        // Whoever reads that tenant's log sees them go.
        if (session.user.actingTenant) await leaveTenant(call)
        return auth.signOut(cookie, session, call)
      }),
    tenantSwitch: {
      enter: (tenantId) => orProblem(requestId, 'enter a tenant', () => enterTenant(call, tenantId)),
      leave: () => orProblem(requestId, 'leave a tenant', () => leaveTenant(call)),
    },
    sso: {
      list: () => orProblem(requestId, 'sign in', listSignInProviders),
      begin: (input) => expected('sign in', () => beginSso(input, { origin }, call)),
      finish: (search) => expected('sign in', () => finishSso(auth, search, cookie, { origin }, call)),
      clearCookie: clearSsoCookie(origin),
    },
    setup: {
      isOpen: (token) => orProblem(requestId, 'set up', () => isSetupOpen(database.db, token)),
      complete: (input) =>
        expected('set up', async () => {
          const setup = await parse(SetupInput, input)
          await completeSetup(database, setup, call)
          return { headers: await auth.signIn(setup, call) }
        }),
    },
    invitation: {
      find: (token) => orProblem(requestId, 'invitation', async () => (await findInvitation(database.db, token)) ?? null),
      accept: (input) =>
        expected('take an invitation', async () => {
          const accepted = await parse(AcceptInput, input)
          const email = await acceptInvitation(database, accepted, call)
          return { headers: await auth.signIn({ email, password: accepted.password }, call) }
        }),
    },
    ...createPeoplePages({ auth, database, call, page, expected, orProblem }),
    maxKeyDays: env.MATE_MAX_KEY_DAYS ?? null,
    auditActions: listAuditActions(),
    scopes: listScopes(),
    roles: roles.map((role) => ({ role, permits: rolePermissions[role], isGrantable: grantable.includes(role) })),
  }
  const context = new RouterContextProvider()
  context.set(pageContext, value)
  return context
}

/** Why the gate would refuse the operation to people of this role; null when it would not. */
function refusalOf(name: OperationName, role: Role): string | null {
  const operation = listOperations().find((each) => each.name === name)
  const reason = operation ? whyNot(operation, { role }) : 'There is no such operation.'
  return reason && `${reason} Yours is ${role}.`
}

function toResponse({ headers, chunks }: AuditExport): Response {
  return new Response(Readable.toWeb(Readable.from(chunks)) as ReadableStream, { headers }) // the same, by two declarations
}

async function parse<T>(schema: z.ZodType<T>, input: unknown): Promise<T> {
  const parsed = await schema.safeParseAsync(input)
  if (parsed.success) return parsed.data
  throw new TRPCError({ code: 'BAD_REQUEST', cause: parsed.error })
}

/** Turns what a caller throws into what React Router shows: a problem with its status, and nothing internal. */
function answerProblems<T extends object>(caller: T, requestId: string, path: string[] = []): T {
  return new Proxy(caller, {
    get: (target, name) => answerProblems(Reflect.get(target, name) as object, requestId, [...path, String(name)]),
    apply: (target, self, args) => orProblem(requestId, path.join('.'), async () => Reflect.apply(target as never, self, args)),
  })
}

/** Watched here, not around the whole page: the log then names the operation that a silent database held up. */
const whileAlive = <T>(work: () => Promise<T>) => getRuntime().database.whileAlive(work)

async function orProblem<T>(requestId: string, operation: string, work: () => Promise<T>): Promise<T> {
  try {
    return await whileAlive(work)
  } catch (error) {
    throw asResponse(error, requestId, operation)
  }
}

/** What a page throws for an error: its problem, with nothing internal; what is ours to mend is logged. */
function asResponse(error: unknown, requestId: string, operation: string) {
  const problem = toProblem(error, requestId)
  if (problem.status >= 500) logFailure(requestId, error, operation)
  return data(problem, { status: problem.status, headers: errorHeaders(problem.status) })
}

/** Runs a form's work; a failure below 500 is a result for the form, anything else is thrown as a problem. */
function expectedIn(requestId: string) {
  return async <T>(operation: string, work: () => Promise<T>): Promise<FormResult<T>> => {
    try {
      return { ok: true, ...(await whileAlive(work)) }
    } catch (error) {
      const problem = toProblem(error, requestId)
      if (problem.status < 500) return { ok: false, problem }
      throw asResponse(error, requestId, operation)
    }
  }
}
