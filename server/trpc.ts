// initTRPC, the metadata that a procedure declares, and the error formatter of the tRPC door.
import { initTRPC } from '@trpc/server'
import type { Call } from './call.ts'
import { toProblem } from './problem.ts'
import type { Role } from './roles.ts'

/** What a procedure is, as data: the gate, REST, OpenAPI, the tests and the pages all read it. */
export interface Meta {
  /** The least role that may call it. */
  role: Role
  /** The audit event of a mutation, `<entity>.<past participle>`. */
  audit?: string
  openapi: {
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
    /** Below /api, parameters in braces. */
    path: `/${string}`
    summary: string
    description: string
    tags: string[]
    /** Of success; 200 when missing. */
    status?: 201 | 202 | 204
    /** Path below /api of what was made, filled from the answer; sent as Location. */
    location?: `/${string}`
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
