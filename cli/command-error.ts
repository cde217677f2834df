// Why a command can't go on, in words for whoever called it.
import { problemOf } from '../client/index.ts'
import { plain } from './plain.ts'

/** Its message is the whole answer: the command ends with status 2. */
export class CommandError extends Error {}

/** The command was not understood: its help is pointed to. */
export class UsageError extends CommandError {}

/** One line (or one for each field) that says what went wrong, and nothing of the key. */
export function explain(error: unknown, url: string): string {
  if (error instanceof CommandError) return error.message
  const problem = problemOf(error)
  if (problem) {
    const fields = (problem.errors ?? []).map(({ path, message }) => `\n  ${plain(path)}: ${plain(message)}`)
    return `${plain(problem.detail)} (${problem.status}, request ${plain(problem.requestId)})${fields.join('')}`
  }
  const answer = statusOf(error)
  if (answer !== undefined) return `${url} answered ${answer}, and not as a mate server does. Is the address right?`
  return `${url} can’t be reached: ${plain(rootOf(error).message)}`
}

/** True when the same question may well be answered later: nobody answered, or a server that is busy or restarts. */
export function isPassing(error: unknown): boolean {
  if (error instanceof CommandError) return false
  const status = problemOf(error)?.status ?? statusOf(error)
  return status === undefined || status === 429 || status >= 500
}

/** Of an answer that was there, and was not understood. */
function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('meta' in error)) return undefined
  const { response } = (error.meta ?? {}) as { response?: unknown } // tRPC has it as a record of anything
  return response instanceof Response ? response.status : undefined
}

/** The first cause: `fetch failed` says nothing. */
function rootOf(error: unknown): Error {
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return rootOf(error.errors[0])
  if (error instanceof Error) return error.cause instanceof Error ? rootOf(error.cause) : error
  return new Error(String(error))
}
