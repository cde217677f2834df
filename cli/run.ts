// `mate run`: runs a suite on an agent, and says by its exit status whether the pass rate reached the threshold.
import { writeFile } from 'node:fs/promises'
import { createMateClient, type MateClient, problemOf } from '../client/index.ts'
import { openCiKey } from './ci-token.ts'
import { CommandError, explain, UsageError } from './command-error.ts'
import { collect, pick } from './find-target.ts'
import { followRun, isEnded, patiently } from './follow-run.ts'
import { type Result, type Run, toJunit } from './junit.ts'
import { plain } from './plain.ts'
import { prepareReport, type RunOptions, readRunOptions, runHelp } from './run-options.ts'
import { createProgress, type Progress, summaryOf } from './run-report.ts'

const timeout = Symbol('timeout')
const interrupt = Symbol('interrupt')

/** `args` are those behind `run`. Never throws. @returns the exit status. */
export async function runCommand(args: string[], env: NodeJS.ProcessEnv = process.env): Promise<number> {
  let url = ''
  const progress = createProgress(process.stderr)
  try {
    const options = readRunOptions(args, env)
    if (!options) {
      process.stdout.write(runHelp)
      return 0
    }
    url = options.url
    if (options.junit !== undefined) await prepareReport(options.junit)
    return await perform(options, progress)
  } catch (error) {
    progress.note(explain(error, url))
    if (error instanceof UsageError) progress.note('See: npx mate run --help')
    return 2
  }
}

async function perform(options: RunOptions, progress: Progress): Promise<number> {
  const mate = await openClient(options)
  const input = await readTarget(mate, options)
  if (!options.isWaiting) return startOnly(await mate.runs.create.mutate(input), options, progress)
  const stop = new AbortController()
  const release = stopOnSignal(stop, progress)
  const timer = setTimeout(() => stop.abort(timeout), options.timeoutMs)
  try {
    // Without the signal: what may have been started has to be known, to be cancelled.
    const run = await mate.runs.create.mutate(input)
    progress.note(`Run ${run.id}: “${plain(run.suiteName)}” on “${plain(run.agentName)}”, ${run.counts.total} cases`)
    return await report(mate, await follow(mate, run, stop.signal, progress, options), options, progress)
  } finally {
    clearTimeout(timer)
    release()
  }
}

async function openClient({ url, apiKey, ciToken }: RunOptions): Promise<MateClient> {
  return createMateClient({ url, ...(ciToken ? await openCiKey(url, ciToken) : { apiKey: apiKey ?? '' }) })
}

async function readTarget(mate: MateClient, { suite, agent, cases }: RunOptions) {
  const [suites, agents] = await Promise.all([
    collect((page) => mate.testSuites.list.query(page)),
    collect((page) => mate.agents.list.query(page)),
  ])
  const suiteId = pick('suite', suite, suites).id
  const agentId = pick('agent', agent, agents).id
  if (cases.length === 0) return { suiteId, agentId }
  const known = await collect((page) => mate.testCases.list.query({ suiteId, ...page }))
  return { suiteId, agentId, testCaseIds: [...new Set(cases.map((each) => pick('case', each, known).id))] }
}

function startOnly(run: Run, { isJson, url }: RunOptions, progress: Progress): number {
  process.stdout.write(isJson ? `${JSON.stringify({ run }, null, 2)}\n` : `${run.id}\n`)
  progress.note(`Started, and not waited for: see ${pageOf(url, run)}`)
  return 0
}

async function follow(mate: MateClient, run: Run, signal: AbortSignal, progress: Progress, { url }: RunOptions): Promise<Run> {
  let isTroubled = false
  try {
    return await followRun(mate, run, {
      signal,
      waitSeconds: process.stderr.isTTY ? 3 : 10,
      onProgress: (each) => {
        isTroubled = false
        progress.show(each)
      },
      onTrouble: (error) => {
        if (!isTroubled) progress.note(`${explain(error, url)} Asking again …`)
        isTroubled = true
      },
    })
  } catch (error) {
    if (error !== timeout && error !== interrupt) throw new CommandError(`${explain(error, url)}\n${mayGoOn(url, run)}`)
    progress.note(error === timeout ? 'The time is up: cancelling the run …' : 'Interrupted: cancelling the run …')
    return cancel(mate, run, url)
  }
}

const cancelWithinMs = 5_000

/** @returns the run as it ended, which may have been before. @throws CommandError when that can't be had. */
async function cancel(mate: MateClient, run: Run, url: string): Promise<Run> {
  const signal = AbortSignal.timeout(cancelWithinMs)
  try {
    return await patiently((within) => mate.runs.cancel.mutate({ id: run.id }, { signal: within }), {
      signal,
      onTrouble: () => {},
    })
  } catch (error) {
    if (problemOf(error)?.status === 409) return mate.runs.get.query({ id: run.id }, { signal })
    throw new CommandError(
      `The run could not be cancelled. ${signal.aborted ? `${url} does not answer.` : explain(error, url)}\n${mayGoOn(url, run)}`,
    )
  }
}

const mayGoOn = (url: string, run: Run) => `The run may go on without this command: see ${pageOf(url, run)}`

const pageOf = (url: string, { id }: Run) => `${url}/runs/${id}`

async function report(mate: MateClient, run: Run, { url, isJson, junit }: RunOptions, progress: Progress): Promise<number> {
  const page = pageOf(url, run)
  const results: Result[] = await collect((next) => mate.results.list.query({ id: run.id, ...next }))
  progress.clear()
  if (junit !== undefined) await writeFile(junit, toJunit(run, results, page))
  const summary = `${summaryOf(run, results, page)}\n`
  if (isJson) process.stdout.write(`${JSON.stringify({ run, results }, null, 2)}\n`)
  ;(isJson ? process.stderr : process.stdout).write(summary)
  return isEnded(run) && run.status === 'completed' && run.isPassed ? 0 : 1
}

/** npm hands on a Ctrl-C that the terminal has sent to everybody already: what follows at once is no second one. */
const sameSignalMs = 1_000

/** The first SIGINT or SIGTERM stops the waiting; a later one ends the process as it is. @returns what takes this back. */
function stopOnSignal(stop: AbortController, progress: Progress): () => void {
  let firstAt = 0
  const listen = () => {
    if (firstAt === 0) {
      firstAt = Date.now()
      stop.abort(interrupt)
    } else if (Date.now() - firstAt > sameSignalMs) {
      progress.note('Ended before the server had answered: the run may go on.')
      process.exit(1)
    }
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, listen)
  return () => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, listen)
  }
}
