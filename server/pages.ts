// What a page is given for one request: the session's user, and a caller of every procedure that answers problems.
import { TRPCError } from '@trpc/server'
import { data, RouterContextProvider } from 'react-router'
import { type FormResult, type PageContext, pageContext } from '#app/context.ts'
import type { Auth, PageSession } from './auth.ts'
import { errorHeaders } from './body.ts'
import type { Call } from './call.ts'
import { completeSetup, isSetupOpen, SetupInput } from './first-run.ts'
import { log } from './log.ts'
import { listAuditActions } from './operations.ts'
import { toProblem } from './problem.ts'
import { grantableRoles, rolePermissions, roles } from './roles.ts'
import { appRouter } from './routers/index.ts'
import { getRuntime } from './runtime.ts'
import { t } from './trpc.ts'

const createCaller = t.createCallerFactory(appRouter)

export type Api = ReturnType<typeof createCaller>

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
  const call: Call = { ...page.call, door: 'page', credential, tenantId: null }
  const expected = expectedIn(call.requestId)
  const grantable = session ? grantableRoles(session.user.role) : []

  const value: PageContext = {
    requestId: call.requestId,
    nonce,
    origin,
    user: session?.user ?? null,
    api: answerProblems(createCaller(call), call.requestId),
    signIn: (input) => expected(async () => ({ headers: await auth.signIn(input, call) })),
    signOut: () =>
      orProblem(call.requestId, async () => (session && cookie ? auth.signOut(cookie, session, call) : new Headers())),
    setup: {
      isOpen: (token) => orProblem(call.requestId, () => isSetupOpen(database.db, token)),
      complete: (input) =>
        expected(async () => {
          const setup = parse(input)
          await completeSetup(database, setup, call)
          return { headers: await auth.signIn(setup, call) }
        }),
    },
    maxKeyDays: env.MATE_MAX_KEY_DAYS ?? null,
    auditActions: listAuditActions(),
    roles: roles.map((role) => ({ role, permits: rolePermissions[role], isGrantable: grantable.includes(role) })),
  }
  const context = new RouterContextProvider()
  context.set(pageContext, value)
  return context
}

function parse(input: unknown) {
  const parsed = SetupInput.safeParse(input)
  if (parsed.success) return parsed.data
  throw new TRPCError({ code: 'BAD_REQUEST', cause: parsed.error })
}

/** Turns what a caller throws into what React Router shows: a problem with its status, and nothing internal. */
function answerProblems<T extends object>(caller: T, requestId: string): T {
  return new Proxy(caller, {
    get: (target, name) => answerProblems(Reflect.get(target, name) as object, requestId),
    apply: (target, self, args) => orProblem(requestId, async () => Reflect.apply(target as never, self, args)),
  })
}

async function orProblem<T>(requestId: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw asResponse(error, requestId)
  }
}

/** What a page throws for an error: its problem, with nothing internal; what is ours to mend is logged. */
function asResponse(error: unknown, requestId: string) {
  const problem = toProblem(error, requestId)
  if (problem.status >= 500) log('error', 'page failed', { requestId, error })
  return data(problem, { status: problem.status, headers: errorHeaders(problem.status) })
}

/** Runs a form's work; a failure below 500 is a result for the form, anything else is thrown as a problem. */
function expectedIn(requestId: string) {
  return async <T>(work: () => Promise<T>): Promise<FormResult<T>> => {
    try {
      return { ok: true, ...(await work()) }
    } catch (error) {
      const problem = toProblem(error, requestId)
      if (problem.status < 500) return { ok: false, problem }
      throw asResponse(error, requestId)
    }
  }
}
