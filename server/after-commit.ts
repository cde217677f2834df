// What a change does once it is committed, with no transaction open: it may take long, and its value is the answer.
import { keepAnswer, type Repeatable } from './idempotency.ts'
import { actIn } from './principal.ts'
import { getRuntime } from './runtime.ts'

type Work = () => Promise<unknown>

export class AfterCommit {
  readonly #work: Work
  /** Set when the call has an Idempotency-Key: the answer is kept as soon as there is one. */
  request: Repeatable | undefined

  constructor(work: Work) {
    this.#work = work
  }

  /**
   * What a procedure's result is in the end.
   * A repeat by Idempotency-Key that comes before the work is done does it too: nothing holds a lock meanwhile.
   */
  async answer<R extends { data: unknown }>(result: R): Promise<R> {
    const data = await this.#work()
    if (this.request) await keep(this.request, data)
    return { ...result, data }
  }
}

async function keep(request: Repeatable, output: unknown): Promise<void> {
  await getRuntime().database.transaction(async (tx) => {
    await actIn(tx, 'transaction', request.tenantId)
    await keepAnswer(tx, request, output, undefined)
  })
}
