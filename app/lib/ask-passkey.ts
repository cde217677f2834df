// Talks with the browser's authenticator: asks the server for a challenge, and answers what the authenticator said to it.
import type { RegistrationOptions, RequestOptions } from '#server/people-pages.ts'
import type { Problem } from '../context.ts'

export type Purpose = 'sign-in' | 'second-factor' | 'again' | 'add'

/** What went wrong, for people. */
export class PasskeyTrouble extends Error {}

async function ask<T>(purpose: Purpose): Promise<T> {
  const response = await fetch('/passkeys/ask', { method: 'POST', body: new URLSearchParams({ purpose }) })
  if (response.ok) return (await response.json()).options
  const problem: Partial<Problem> = await response.json().catch(() => ({}))
  throw new PasskeyTrouble(problem.detail ?? 'The server did not answer. Try again.')
}

/** The authenticator's answer, as JSON. @throws PasskeyTrouble */
export async function showPasskey(purpose: Exclude<Purpose, 'add'>): Promise<string> {
  const optionsJSON = await ask<RequestOptions>(purpose)
  const { startAuthentication } = await import('@simplewebauthn/browser')
  return JSON.stringify(await startAuthentication({ optionsJSON }).catch(explain))
}

/** A new passkey, as JSON. @throws PasskeyTrouble */
export async function makePasskey(): Promise<string> {
  const optionsJSON = await ask<RegistrationOptions>('add')
  const { startRegistration } = await import('@simplewebauthn/browser')
  return JSON.stringify(await startRegistration({ optionsJSON }).catch(explain))
}

function explain(error: unknown): never {
  const name = error instanceof Error ? error.name : ''
  if (name === 'InvalidStateError') throw new PasskeyTrouble('This device has a passkey for your account already.')
  if (name === 'NotAllowedError' || name === 'AbortError')
    throw new PasskeyTrouble('No passkey was used: it was cancelled, or took too long.')
  throw new PasskeyTrouble('Your browser could not use a passkey here. Try another way.')
}
