// The only bridge from the pages to the server: it sets this for each request, and a loader or action reads it.
import { createContext } from 'react-router'
import type { Api, AuditExportInput } from '#server/pages.ts'
import type { PeoplePages } from '#server/people-pages.ts'
import type { Problem } from '#server/problem.ts'
import type { Role } from '#server/roles.ts'

export type { Problem, Role }

export interface SignedInUser {
  id: string
  name: string
  email: string
  role: Role
  /** Their own. */
  tenant: { id: string; name: string }
  /** Of a SuperAdmin who acts in another tenant: every page, and everything that is done on it, is of that one. */
  actingTenant: { id: string; name: string; isActive: boolean } | null
}

/** A procedure by its tRPC name, e.g. `runs.create`. */
export type OperationName = { [R in keyof Api & string]: `${R}.${keyof Api[R] & string}` }[keyof Api & string]

/** An expected failure, for the form to show; anything else is thrown. */
export type FormResult<T> = ({ ok: true } & T) | { ok: false; problem: Problem }

export interface PageContext extends PeoplePages {
  requestId: string
  /** Writes a failure of the page itself to the log; what `api` and the others throw is there already. */
  logFailure(error: unknown): void
  /** For inline scripts: the Content-Security-Policy of the answer names it. */
  nonce: string
  user: SignedInUser | null
  /**
   * Every procedure, as the signed-in user, through the gate: `api.apiKeys.list({ … })`.
   * A failure is thrown as `data(problem, { status })`, so it may simply pass to an ErrorBoundary; see `problemOf`.
   */
  api: Api
  /** Whether the user's role allows the operation: a page offers nothing else. The gate is what decides. */
  may(operation: OperationName): boolean
  /** For the page of a form: a 403 before it is filled in, by the words of the role that it takes. */
  requireMay(operation: OperationName): void
  /** An export as a file, streamed; a failure before its first byte is thrown as `api` does. */
  exportAuditLog(input: AuditExportInput): Promise<Response>
  /** Headers hold the session cookie to set. */
  signIn(input: { email: string; password: string }): Promise<FormResult<{ headers: Headers }>>
  /** Headers clear the session cookie. */
  signOut(): Promise<Headers>
  /** Which tenant a SuperAdmin's pages act in, until they leave it or their session ends. */
  tenantSwitch: {
    /** @returns its name. A failure is thrown as `api` does. */
    enter(tenantId: string): Promise<string>
    leave(): Promise<void>
  }
  /** Sign-in through an identity provider. */
  sso: {
    list(): Promise<{ id: string; name: string }[]>
    /** Where the browser goes now; the headers hold the cookie that it has to come back with. */
    begin(input: { providerId: string; redirectTo: string }): Promise<FormResult<{ name: string; url: string; headers: Headers }>>
    /** By the query that the provider sent the browser back with; the headers hold the session cookie to set. */
    finish(search: URLSearchParams): Promise<FormResult<{ headers: Headers; redirectTo: string }>>
    /** Set-Cookie that ends a sign-in which came to nothing. */
    clearCookie: string
  }
  setup: {
    /** True while there is no user and the token is that of a set-up link. */
    isOpen(token: string): Promise<boolean>
    /** Makes the first tenant and its SuperAdmin, and signs them in. */
    complete(input: {
      token: string
      tenantName: string
      name: string
      email: string
      password: string
    }): Promise<FormResult<{ headers: Headers }>>
  }
  invitation: {
    /** What the link's token invites to; null when it is open no more. */
    find(token: string): Promise<{ email: string; role: Role; tenant: string } | null>
    /** Makes the user of an open invitation, and signs them in. */
    accept(input: { token: string; name: string; password: string }): Promise<FormResult<{ headers: Headers }>>
  }
  /** Where people reach this deployment, without a slash at the end; for examples. */
  origin: string
  /** The deployment's longest life of a key in days; null when keys may live for ever. */
  maxKeyDays: number | null
  /** Every action that the audit log can hold, sorted. */
  auditActions: string[]
  /** Every scope that a key can be narrowed to, sorted. */
  scopes: string[]
  /** The four roles, least first, with what each permits and whether the user may grant it. */
  roles: { role: Role; permits: string; isGrantable: boolean }[]
}

export const pageContext = createContext<PageContext>()

/** The problem that an `api` call threw when it is one that a form can show (4xx but 401 and 404); else throws it again. */
export function problemOf(thrown: unknown): Problem {
  if (typeof thrown === 'object' && thrown !== null && 'data' in thrown && 'type' in thrown) {
    const problem = thrown.data as Problem // api throws nothing else with data
    if (problem.status >= 400 && problem.status < 500 && problem.status !== 401 && problem.status !== 404) return problem
  }
  throw thrown
}
