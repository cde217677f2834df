// Tells a database that is slow from one that is gone: a frozen one refuses nothing, and would hold every request for ever.

/** The database did not answer a ping in time, while the work was under way. */
export class NoAnswer extends Error {
  readonly code = 'CONNECTION_NO_ANSWER'

  constructor(cause?: unknown) {
    super('the database does not answer', { cause })
  }
}

const pingWithinMs = 700
const lookAfterMs = 500

export interface Liveness {
  /** Rejects within 0.7 seconds unless the database answers. All who ask meanwhile share one question. */
  ping(): Promise<void>
  /**
   * What `work` comes to, however long it takes while the database answers pings; rejects with NoAnswer within 1.2 seconds
   * when it does not. `work` asks `isAbandoned` before it begins or commits anything.
   */
  watch<T>(work: (isAbandoned: () => boolean) => Promise<T>): Promise<T>
}

/** `ask` sends a question on a connection of its own. */
export function createLiveness(ask: () => PromiseLike<unknown>): Liveness {
  let question: Promise<unknown> | undefined

  const ping = async () => {
    question ??= Promise.resolve(ask()).finally(() => {
      question = undefined
    })
    let timer: NodeJS.Timeout | undefined
    const tooLate = new Promise<never>((_, reject) => {
      // Not at once: after a long pause of this process the answer may be there already, and only unread.
      timer = setTimeout(() => setImmediate(() => reject(new NoAnswer())), pingWithinMs)
    })
    try {
      await Promise.race([question, tooLate])
    } catch (error) {
      throw error instanceof NoAnswer ? error : new NoAnswer(error)
    } finally {
      clearTimeout(timer)
    }
  }

  return {
    ping,
    watch: (work) =>
      new Promise((resolve, reject) => {
        let isAbandoned = false
        let timer: NodeJS.Timeout
        let isSettled = false
        const look = async () => {
          try {
            await ping()
            if (!isSettled) timer.refresh()
          } catch (error) {
            isAbandoned = true
            reject(error)
          }
        }
        timer = setTimeout(look, lookAfterMs)
        work(() => isAbandoned)
          .then(resolve, reject)
          .finally(() => {
            isSettled = true
            clearTimeout(timer)
          })
      }),
  }
}
