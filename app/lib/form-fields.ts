import type { Problem } from '../context.ts'

/** What a form sent, or what an address holds of one. */
export type Fields = Pick<FormData | URLSearchParams, 'get' | 'getAll'>

/** A text field of a form; a missing field or a file is ''. */
export function textOf(form: Fields, name: string): string {
  const value = form.get(name)
  return typeof value === 'string' ? value : ''
}

/** The text fields of a form by name. */
export function textsOf<Name extends string>(form: FormData, labels: Record<Name, string>): Record<Name, string> {
  const names = Object.keys(labels) as Name[] // labels has no others
  return Object.fromEntries(names.map((name) => [name, textOf(form, name)])) as Record<Name, string>
}

/** One of the options; the first when it is none of them, since a form may send anything. */
export function oneOf<const T extends string>(text: string, options: readonly [T, ...T[]]): T {
  return options.find((option) => option === text) ?? options[0]
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

/** A number field as the API takes it; what is no number stays one that the API refuses, by the field's name. */
export function numberOf(text: string): number {
  return text.trim() === '' ? Number.NaN : Number(text)
}

/** As `numberOf`, of a field that may be empty. */
export function numberOrNull(text: string): number | null {
  return text.trim() === '' ? null : Number(text)
}

export function tagsOf(text: string): string[] {
  return [...new Set(text.split(',').map((tag) => tag.trim()))].filter(Boolean)
}

export function percentOf(fraction: number): string {
  return String(Math.round(fraction * 1e6) / 1e4)
}

export function fractionOf(percent: string): number {
  return Math.round(numberOf(percent) * 1e4) / 1e6
}

/** What lies below a field of the form is told at that field: `tags.3` at `tags`. */
export function foldErrors(problem: Problem, labels: Record<string, string>): Problem {
  const errors = problem.errors?.map(({ path, message }) => {
    const parts = path.split('.')
    const known = parts.map((_, i) => parts.slice(0, parts.length - i).join('.')).find((each) => each in labels)
    return { path: known ?? path, message }
  })
  return errors ? { ...problem, errors } : problem
}
