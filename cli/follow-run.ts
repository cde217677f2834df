// Follows a run to its end: asks again when nobody answers, and stops when it is told to.
import { setTimeout as sleep } from 'node:timers/promises'
import type { MateClient } from '../client/index.ts'
import { isPassing } from './command-error.ts'
import type { Run } from './junit.ts'

export interface FollowOptions {
  /** Ends the waiting; the run goes on. */
  signal: AbortSignal
  /** How long the server holds one request. */
  waitSeconds: number
  onProgress: (run: Run) => void
  /** The server did not answer; it is asked again. */
  onTrouble: (error: unknown) => void
}

const patienceMs = 120_000
const firstPauseMs = 500
const longestPauseMs = 10_000
/** For a server, or a proxy before it, that answers at once all the same. */
const shortestRoundMs = 500

export const isEnded = ({ status }: Run) => status !== 'pending' && status !== 'running'

/** @returns the run once it has ended. @throws what the server refuses, its silence of two minutes, or the signal's reason. */
export async function followRun(mate: MateClient, first: Run, options: FollowOptions): Promise<Run> {
  const { signal, waitSeconds, onProgress } = options
  let run = first
  while (!isEnded(run)) {
    const round = sleep(shortestRoundMs)
    run = await patiently((within) => mate.runs.get.query({ id: run.id, wait: waitSeconds }, { signal: within }), options)
    onProgress(run)
    if (!isEnded(run)) await unlessStopped(round, signal)
  }
  return run
}

/** Asks until there is an answer; a refusal is one. */
export async function patiently<T>(
  ask: (signal: AbortSignal) => Promise<T>,
  { signal, onTrouble }: Pick<FollowOptions, 'signal' | 'onTrouble'>,
): Promise<T> {
  const from = Date.now()
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    try {
      signal.throwIfAborted()
      return await ask(signal)
    } catch (error) {
      signal.throwIfAborted()
      if (!isPassing(error) || Date.now() - from > patienceMs) throw error
      onTrouble(error)
      await unlessStopped(sleep(pauseMs), signal)
    }
  }
}

/** @throws the signal's reason as soon as it is given. */
async function unlessStopped(work: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  let stop = () => {}
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    await Promise.race([work, stopped])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
