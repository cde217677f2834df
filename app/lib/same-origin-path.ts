/**
 * The path to go to after a form, when it lies on this site; else `fallback`. Whoever makes the link chooses the text, so
 * it is parsed as a browser would: `//evil`, `/\evil` and `/.//evil` all leave the site.
 */
export function sameOriginPath(text: unknown, fallback: string): string {
  if (typeof text !== 'string' || !text.startsWith('/')) return fallback
  const base = 'http://same.invalid'
  if (!URL.canParse(text, base)) return fallback
  const { origin, pathname, search } = new URL(text, base)
  return origin === base && !pathname.startsWith('//') ? pathname + search : fallback
}
