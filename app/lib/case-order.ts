import type { Api } from '#server/pages.ts'
import type { TestCase } from './api-types.ts'

/**
 * Moves a case one place up or down in its suite. Each place is one more than the one before it from then on where it has
 * to be; a case that keeps its place is not written.
 */
export async function moveCase({ testCases }: Pick<Api, 'testCases'>, cases: TestCase[], id: string, by: -1 | 1): Promise<void> {
  const from = cases.findIndex((testCase) => testCase.id === id)
  const neighbour = cases[from + by]
  const moved = cases[from]
  if (!moved || !neighbour) return
  const next = cases.with(from, neighbour).with(from + by, moved)
  const isOrdered = cases.every((testCase, i) => i === 0 || (cases[i - 1]?.sortOrder ?? 0) < testCase.sortOrder)
  for (const [i, testCase] of next.entries()) {
    const sortOrder = isOrdered ? (cases[i]?.sortOrder ?? i) : i
    if (sortOrder === testCase.sortOrder) continue
    const { suiteId: _, createdAt: __, updatedAt: ___, ...fields } = testCase
    await testCases.update({ ...fields, sortOrder })
  }
}
