// JSON pointers, RFC 6901.

/** What a pointer leads to in parsed JSON; undefined when it leads nowhere, or is no pointer. */
export function findByPointer(value: unknown, pointer: string): unknown {
  if (pointer === '') return value
  const [before, ...tokens] = pointer.split('/')
  if (before !== '') return undefined
  let at = value
  for (const token of tokens) {
    if (typeof at !== 'object' || at === null) return undefined
    // `~01` is `~1`: the slash comes first.
    const name = token.replaceAll('~1', '/').replaceAll('~0', '~')
    // Only an array's elements, by their number; and nothing that an object has by its kind, such as `constructor`.
    if (Array.isArray(at) && !/^(?:0|[1-9]\d{0,8})$/.test(name)) return undefined
    if (!Object.hasOwn(at, name)) return undefined
    at = (at as Record<string, unknown>)[name]
  }
  return at
}
