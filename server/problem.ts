// Every error that leaves the server, on every door: TRPCError → problem details (RFC 9457). Nothing internal passes.
import { TRPCError } from '@trpc/server'
import { getHTTPStatusCodeFromError } from '@trpc/server/http'
import { z } from 'zod'

export const Problem = z
  .object({
    type: z.string().describe('A URI that names the kind of problem.'),
    title: z.string(),
    status: z.number().int(),
    detail: z.string().describe('What went wrong and what to do about it.'),
    code: z.string().describe('The kind of problem, for programs.'),
    requestId: z.string().describe('Quote it when you report the problem.'),
    quota: z.string().optional().describe('Of `quota_exceeded`: which one is full. Waiting does not help.'),
    errors: z
      .array(z.object({ path: z.string(), message: z.string() }))
      .optional()
      .describe('What is wrong with the input, field by field.'),
  })
  .meta({ id: 'Problem' })
export type Problem = z.infer<typeof Problem>

/** The cause of a TRPCError that carries field errors of its own. */
export class FieldErrors extends Error {
  readonly errors: { path: string; message: string }[]

  constructor(errors: { path: string; message: string }[]) {
    super('field errors')
    this.errors = errors
  }
}

/** The cause of METHOD_NOT_SUPPORTED: what the path does take. */
export class AllowedMethods extends Error {
  readonly methods: string[]

  constructor(methods: string[]) {
    super('method not allowed')
    this.methods = methods.includes('GET') ? [...methods, 'HEAD'] : methods
  }
}

/** The cause of a TRPCError that is a kind of problem of its own, such as `sign_in_again`; its message stays public. */
export class ProblemKind extends Error {
  readonly kind: string

  constructor(kind: string) {
    super(kind)
    this.kind = kind
  }
}

/** The cause of a 429 that no waiting ends: the tenant has as many as it may have. */
export class QuotaExceeded extends ProblemKind {
  readonly quota: string

  constructor(quota: string) {
    super('quota_exceeded')
    this.quota = quota
  }
}

/** BAD_REQUEST about one field. */
export function badField(path: string, message: string): TRPCError {
  return new TRPCError({ code: 'BAD_REQUEST', message: inputIsWrong, cause: new FieldErrors([{ path, message }]) })
}

const inputIsWrong = 'The input is not valid. See errors for each field.'

const titles: Record<number, string> = {
  400: 'Bad request',
  401: 'Not authenticated',
  403: 'Forbidden',
  404: 'Not found',
  405: 'Method not allowed',
  408: 'Request timeout',
  409: 'Conflict',
  413: 'Content too large',
  415: 'Unsupported media type',
  422: 'Unprocessable content',
  429: 'Too many requests',
  500: 'Internal error',
  503: 'Service unavailable',
}

/** How long a client should wait before it tries again after a 503, in seconds. */
export const retryAfterSeconds = 2

/** Any error as what its callers may learn of it; what the database said stays in the cause. */
export function asTrpcError(error: unknown): TRPCError {
  if (error instanceof TRPCError && error.cause === undefined) return error // nothing behind it: most refusals
  if (isDatabaseUnavailable(error)) return new TRPCError({ code: 'SERVICE_UNAVAILABLE', message: noDatabase, cause: error })
  const code = databaseErrorCode(error)
  // deadlock_detected, serialization_failure: tried again already, and in vain.
  if (code === '40P01' || code === '40001') return new TRPCError({ code: 'SERVICE_UNAVAILABLE', message: busy, cause: error })
  // unique_violation, in one place for every table; the constraint's name stays inside.
  if (code === '23505') return new TRPCError({ code: 'CONFLICT', message: nameIsTaken, cause: error })
  // Class 22, data exception: what passed every schema and is still no value to the database, such as an edited cursor.
  if (code && /^22[0-9A-Z]{3}$/.test(code)) return new TRPCError({ code: 'BAD_REQUEST', message: badValue, cause: error })
  return error instanceof TRPCError ? error : new TRPCError({ code: 'INTERNAL_SERVER_ERROR', cause: error })
}

// A connection that broke during a commit leaves it open whether the change was made.
const noDatabase = 'The database does not answer. Try again in a moment; look first whether a change that you sent was made.'
const busy = 'Others are changing the same at this moment, and nothing was changed. Try again in a moment.'
const badValue = 'A value in the input is none that can be stored or compared. If it has a cursor, leave that out.'
const nameIsTaken = 'Another one with this name exists already. Choose another name.'

export function toProblem(error: unknown, requestId: string): Problem {
  const known = asTrpcError(error)
  const status = getHTTPStatusCodeFromError(known)
  const quota = known.cause instanceof QuotaExceeded ? known.cause.quota : undefined
  const code = known.cause instanceof ProblemKind ? known.cause.kind : known.code.toLowerCase()
  return {
    type: `urn:mate:problem:${code}`,
    title: quota === undefined ? (titles[status] ?? 'Error') : 'Quota exceeded',
    status,
    detail: publicDetail(known, status, requestId),
    code,
    requestId,
    ...(quota === undefined ? {} : { quota }),
    ...(known.code === 'BAD_REQUEST' || known.code === 'CONFLICT' ? fieldErrors(known.cause) : {}),
  }
}

function publicDetail(error: TRPCError, status: number, requestId: string): string {
  // tRPC's own parser makes it BAD_REQUEST, with a message that quotes the input.
  const isSyntax = status === 400 && error.cause instanceof SyntaxError
  if (error.code === 'PARSE_ERROR' || isSyntax) return 'The request is not well-formed JSON.'
  if (error.cause instanceof z.ZodError) return inputIsWrong
  if (status === 500) return `Something went wrong on our side. Report request ${requestId} to your operator.`
  return error.message
}

/** More would help nobody, and answer a body of nonsense with one as large. */
const maxFieldErrors = 100

function fieldErrors(cause: unknown): Pick<Problem, 'errors'> {
  if (cause instanceof FieldErrors) return { errors: cause.errors }
  if (cause instanceof z.ZodError) {
    return { errors: cause.issues.flatMap(fieldsOf).slice(0, maxFieldErrors) }
  }
  return {}
}

function fieldsOf(issue: z.core.$ZodIssue): { path: string; message: string }[] {
  if (issue.code !== 'unrecognized_keys') return [{ path: issue.path.join('.'), message: issue.message }]
  return issue.keys.map((key) => ({ path: [...issue.path, key].join('.'), message: 'Is not a field.' }))
}

/** The error and what caused it, outermost first. */
function* causesOf(error: unknown): Generator<Error> {
  for (let at = error, depth = 0; at instanceof Error && depth < 6; at = at.cause, depth++) yield at
}

/** The SQLSTATE or driver code of a failed query: tRPC and drizzle each wrap it once. */
export function databaseErrorCode(error: unknown): string | undefined {
  for (const each of causesOf(error)) {
    if ('code' in each && typeof each.code === 'string' && !(each instanceof TRPCError)) return each.code
  }
}

// Class 08 (connection), 28 and 3D (refused sign-in, no such database), 53 (resources), 55000 (accepts no connections),
// 57 (operator intervention), and what the driver and the socket say.
const unavailable =
  /^(08|28|3D|53|57)...$|^55000$|^(CONNECTION_|CONNECT_TIMEOUT|ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND|EAI_AGAIN|ENOENT$)/

/** True when the database did not answer, as opposed to answering with an error. */
function isDatabaseUnavailable(error: unknown): boolean {
  const code = databaseErrorCode(error)
  if (code !== undefined) return unavailable.test(code)
  // PGlite's own errors have no code: "is closed", "is closing".
  return [...causesOf(error)].some((each) => each.message.startsWith('PGlite is clos'))
}
