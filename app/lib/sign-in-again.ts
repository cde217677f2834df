// What is dangerous asks for a fresh sign-in: how a page leads there, and what it brings back.
import { redirect } from 'react-router'
import type { Problem } from '../context.ts'

/** @param here where to come back to, with what was typed in its query: never anything secret. */
export function signInAgain(here: string) {
  return redirect(`/sign-in/again?redirectTo=${encodeURIComponent(here)}`)
}

/** Leads to a fresh sign-in when that is what a form was refused for. */
export function leadToSignIn(problem: Problem, here: string): void {
  if (problem.code === 'sign_in_again') throw signInAgain(here)
}

/** A path with what a form holds, so that the form can be shown again as it was. */
export function withForm(path: string, form: FormData, left: readonly string[] = []): string {
  const fields = [...form].filter((field): field is [string, string] => typeof field[1] === 'string' && !left.includes(field[0]))
  return `${path}?${new URLSearchParams(fields)}`
}
