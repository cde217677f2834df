// initTRPC, the metadata that a procedure declares, and the error formatter of the tRPC door.
import { initTRPC } from '@trpc/server'
import type { Call } from './call.ts'
import { toProblem } from './problem.ts'
import type { NeededRole } from './roles.ts'

/** What a procedure is, as data: the gate, REST, OpenAPI, the tests and the pages all read it. */
export interface Meta {
  /** The least role that may call it; `Public` for a `publicProcedure`, which needs no credential. */
  role: NeededRole
  /** The audit event of a mutation, `<entity>.<past participle>`. */
  audit?: string
  /** What a narrowed key needs, where it is not `<tag>:read` of a query and `<tag>:write` of a mutation. */
  scope?: string
  /** Of a `Public` operation: the setting that says how often an address may call it in a minute. */
  limit?: 'MATE_LEAK_REPORTS' | 'MATE_TOKEN_EXCHANGES'
  /** Set on what ends or stops every key of a tenant: its call holds their lock alone from its first statement on. */
  locksKeys?: true
  /** The field of the input that names the tenant that it is about: the call acts there, and is audited there. SuperAdmin alone. */
  actsIn?: 'id'
  /** Of a query with `wait` in its input: the call is repeated as a whole until this holds, or so many seconds have passed. */
  repeatUntil?: (output: unknown) => boolean
  /** The field of the answer that is shown once, and never again to a repeat. */
  shownOnce?: string
  openapi: {
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
    /** Below /api, parameters in braces. */
    path: `/${string}`
    summary: string
    description: string
    tags: string[]
    /** Of success; 200 when missing. */
    status?: 201 | 202 | 204
    /** Whether it can be refused for what is there: 409. */
    conflicts?: true
    /** Whether its body names what has to be there: 404. What its path names has to be, anyway. */
    finds?: true
    /** Path below /api of what was made, filled from the answer; sent as Location. */
    location?: `/${string}`
    /** Media types of a file that REST streams instead of the answer; see server/rest.ts. */
    stream?: readonly [string, ...string[]]
  }
}

export const t = initTRPC
  .context<Call>()
  .meta<Meta>()
  .create({
    isDev: false,
    errorFormatter: ({ shape, error, ctx }) => {
      const problem = toProblem(error, ctx?.requestId ?? 'unknown')
      const { code, httpStatus, path } = shape.data
      return { code: shape.code, message: problem.detail, data: { code, httpStatus, path, problem } }
    },
  })
