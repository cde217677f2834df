// Suites, agents and cases as people name them: by id or by name.
import { CommandError } from './command-error.ts'
import { plain } from './plain.ts'

export interface Named {
  id: string
  name: string
}

export interface Page<T> {
  items: T[]
  nextCursor: string | null
}

const pageSize = 200
const shownNames = 10

/** Every item of a list. */
export async function collect<T>(readPage: (page: { limit: number; cursor?: string }) => Promise<Page<T>>): Promise<T[]> {
  const items: T[] = []
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = await readPage({ limit: pageSize, ...(cursor === undefined ? {} : { cursor }) })
    items.push(...page.items)
    cursor = page.nextCursor
  }
  return items
}

/**
 * The one of this id or name: an exact name goes before one that differs in case or in how its accents are written.
 * @throws CommandError when there is none, or several are meant.
 */
export function pick<T extends Named>(what: string, wanted: string, items: T[]): T {
  const exact = items.find(({ id }) => id === wanted.toLowerCase()) ?? items.find(({ name }) => name === wanted)
  if (exact) return exact
  const [found, ...others] = items.filter(({ name }) => fold(name) === fold(wanted))
  if (found && others.length === 0) return found
  if (found) {
    const ids = [found, ...others].map(({ id, name }) => `\n  ${id}  ${plain(name)}`)
    throw new CommandError(`Several ${what}s are called “${plain(wanted)}”. Name one by its id:${ids.join('')}`)
  }
  const names = items.slice(0, shownNames).map(({ name }) => `\n  ${plain(name)}`)
  const more = items.length > shownNames ? `\n  … and ${items.length - shownNames} more` : ''
  const known = items.length === 0 ? ` There is no ${what} at all.` : ` There are:${names.join('')}${more}`
  throw new CommandError(`There is no ${what} “${plain(wanted)}”.${known}`)
}

const fold = (name: string) => name.trim().normalize('NFC').toLowerCase()
