import type { Problem } from '../context.ts'

/** A text field of a form; a missing field or a file is ''. */
export function textOf(form: FormData, name: string): string {
  const value = form.get(name)
  return typeof value === 'string' ? value : ''
}

export function errorOf(problem: Problem | undefined, path: string): string | undefined {
  return problem?.errors?.find((error) => error.path === path)?.message
}

/** A problem that the page itself finds in its form, before any procedure is called. */
export function fieldProblem(requestId: string, path: string, message: string): Problem {
  return {
    type: 'urn:mate:problem:bad_request',
    title: 'Bad request',
    status: 400,
    detail: 'The form is not complete yet.',
    code: 'bad_request',
    requestId,
    errors: [{ path, message }],
  }
}
