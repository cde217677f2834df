// The only bridge from the pages to the server: it sets this for each request, and a loader or action reads it.
import { createContext } from 'react-router'
import type { Api } from '#server/pages.ts'
import type { Problem } from '#server/problem.ts'
import type { Role } from '#server/roles.ts'

export type { Problem, Role }

export interface SignedInUser {
  id: string
  name: string
  email: string
  role: Role
  tenant: { id: string; name: string }
}

/** An expected failure, for the form to show; anything else is thrown. */
export type FormResult<T> = ({ ok: true } & T) | { ok: false; problem: Problem }

export interface PageContext {
  requestId: string
  /** For inline scripts: the Content-Security-Policy of the answer names it. */
  nonce: string
  user: SignedInUser | null
  /**
   * Every procedure, as the signed-in user, through the gate: `api.apiKeys.list({ … })`.
   * A failure is thrown as `data(problem, { status })`, so it may simply pass to an ErrorBoundary; see `problemOf`.
   */
  api: Api
  /** Headers hold the session cookie to set. */
  signIn(input: { email: string; password: string }): Promise<FormResult<{ headers: Headers }>>
  /** Headers clear the session cookie. */
  signOut(): Promise<Headers>
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
  /** Where people reach this deployment, without a slash at the end; for examples. */
  origin: string
  /** The deployment's longest life of a key in days; null when keys may live for ever. */
  maxKeyDays: number | null
  /** Every action that the audit log can hold, sorted. */
  auditActions: string[]
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
