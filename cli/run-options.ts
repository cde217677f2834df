// What `mate run` is asked to do: its options, and the settings that it reads from the environment.
import { constants } from 'node:fs'
import { access, mkdir } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { type CiTokenSource, findCiTokenSource } from './ci-token.ts'
import { UsageError } from './command-error.ts'

export const runHelp = `npx mate run --suite SUITE --agent AGENT      runs the cases of a suite on an agent; each by its id or name

  --case CASE         only this case; may be repeated
  --wait              waits for the end: the default
  --no-wait           starts the run, prints its id, and ends; the exit status says nothing of a verdict then
  --timeout MINUTES   cancels the run when it has not ended by then (60)
  --junit FILE        writes the results as JUnit XML
  --json              prints the run and its results as JSON, and everything else on standard error
  --url URL           address of the server; or MATE_URL (http://localhost:3000)

The key comes from MATE_API_KEY: the list of processes shows options. It needs the role Tester. Without it, in a pipeline, the
token of the CI provider is exchanged for a key by the trust rule MATE_TRUST_RULE: that of GitHub Actions (id-token: write), for
the audience MATE_AUDIENCE or the server’s address; or the token in MATE_ID_TOKEN.
Exit status: 0 the run completed and its pass rate reached the suite’s threshold; 1 it did not; 2 the command was not
understood, was refused, or the server can’t be reached. Ctrl-C cancels the run.
`

export interface RunOptions {
  suite: string
  agent: string
  cases: string[]
  isWaiting: boolean
  timeoutMs: number
  junit: string | undefined
  isJson: boolean
  /** Without a slash at the end. */
  url: string
  /** Missing where `ciToken` is there. */
  apiKey: string | undefined
  ciToken: CiTokenSource | undefined
}

const options = {
  suite: { type: 'string' },
  agent: { type: 'string' },
  case: { type: 'string', multiple: true },
  wait: { type: 'boolean' },
  'no-wait': { type: 'boolean' },
  timeout: { type: 'string' },
  junit: { type: 'string' },
  json: { type: 'boolean' },
  url: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const

const maxMinutes = 7 * 24 * 60

/** @returns undefined when its help is asked for. @throws UsageError before anything is asked of the server. */
export function readRunOptions(args: string[], env: NodeJS.ProcessEnv): RunOptions | undefined {
  const values = parse(args)
  if (values.help) return undefined
  const isWaiting = !values['no-wait']
  if (!isWaiting && values.wait) throw new UsageError('--wait and --no-wait: only one of them.')
  if (!isWaiting && values.junit !== undefined) throw new UsageError('--junit needs the end of the run: leave out --no-wait.')
  if (!isWaiting && values.timeout !== undefined) throw new UsageError('--timeout is about waiting: leave out --no-wait.')
  const url = readUrl(values.url ?? (env.MATE_URL || 'http://localhost:3000'))
  const ciToken = env.MATE_API_KEY?.trim() ? undefined : findCiTokenSource(env, url)
  return {
    suite: need(values.suite, '--suite'),
    agent: need(values.agent, '--agent'),
    cases: (values.case ?? []).map((each) => need(each, '--case')),
    isWaiting,
    timeoutMs: readMinutes(values.timeout ?? '60') * 60_000,
    junit: values.junit === undefined ? undefined : resolve(need(values.junit, '--junit')),
    isJson: values.json ?? false,
    url,
    apiKey: ciToken ? undefined : readKey(env.MATE_API_KEY),
    ciToken,
  }
}

function parse(args: string[]) {
  try {
    return parseArgs({ args, options }).values
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause })
  }
}

function need(value: string | undefined, option: string): string {
  if (value?.trim()) return value.trim()
  throw new UsageError(`${option} is ${value === undefined ? 'missing' : 'empty'}.`)
}

function readMinutes(text: string): number {
  const minutes = /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0
  if (minutes > 0 && minutes <= maxMinutes) return minutes
  throw new UsageError(`--timeout: must be minutes, more than 0 and at most ${maxMinutes}.`)
}

function readUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isAddress = url && /^https?:$/.test(url.protocol) && !url.username && !url.password && !/[?#]/.test(text)
  if (!isAddress) throw new UsageError('--url: must be an http or https address such as https://mate.example.com, nothing more.')
  return `${url.origin}${url.pathname}`.replace(/(?<!\/)\/+$/, '')
}

/** A line break at the end comes from a file that it was read from. */
function readKey(text: string | undefined): string {
  const key = text?.trim()
  if (!key)
    throw new UsageError(
      'MATE_API_KEY is not set: it has to be an API key of the role Tester. In a pipeline, a trust rule and the ID token of the CI provider do instead.',
    )
  if (/^[\x21-\x7e]+$/.test(key)) return key
  throw new UsageError('MATE_API_KEY is no API key: it has spaces, line breaks or other characters.')
}

/** @throws UsageError when the report could not be written at the end: better said before the run than after it. */
export async function prepareReport(path: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true })
    await access(dirname(path), constants.W_OK)
  } catch (cause) {
    throw new UsageError(`--junit: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
}
