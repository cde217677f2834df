import { type Problem, problemOf } from '../context.ts'

interface Page<Item> {
  items: Item[]
  nextCursor: string | null
}

/** A page of a list; or none, and the problem, when what the address asks for is not understood. Other failures are thrown. */
export async function listOrProblem<Item>(
  list: () => Promise<Page<Item>>,
): Promise<Page<Item> & { problem: Problem | undefined }> {
  try {
    return { ...(await list()), problem: undefined }
  } catch (thrown) {
    const problem = problemOf(thrown)
    if (problem.status !== 400) throw thrown
    return { items: [], nextCursor: null, problem }
  }
}
