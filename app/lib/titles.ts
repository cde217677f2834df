/** The document's title. A failed form says so first, since a page without JavaScript cannot move the focus. */
export function titled(page: string, hasProblem = false) {
  return [{ title: `${hasProblem ? 'Error: ' : ''}${page} · mate` }]
}
