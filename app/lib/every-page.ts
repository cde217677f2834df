// For choices and statistics, which need a whole list; what is beyond a thousand is left out.

const pageSize = 200
const maxItems = 1_000

interface Page<T> {
  items: T[]
  nextCursor: string | null
}

export async function everyPage<T>(
  list: (page: { limit: number; cursor: string | undefined }) => Promise<Page<T>>,
): Promise<T[]> {
  const all: T[] = []
  let cursor: string | undefined
  do {
    const page = await list({ limit: pageSize, cursor })
    all.push(...page.items)
    cursor = page.nextCursor ?? undefined
  } while (cursor && all.length < maxItems)
  return all
}
