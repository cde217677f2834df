import { useEffect, useRef, useState } from 'react'
import { flushSync } from 'react-dom'

/**
 * A secret of an answer while the page is open, '' from when it is left: a browser may keep a page in memory and bring it
 * back as it was, and is sent to `startAgainAt` then. The answer that brought it is wiped in place too, since the router
 * and the document's script hold on to it.
 */
export function useSecretUntilLeft<Name extends string>(given: Record<Name, string>, name: Name, startAgainAt: string): string {
  const [secret, setSecret] = useState(given[name])
  const answer = useRef<Record<string, string>>(given)
  useEffect(() => {
    removeScriptsWith(answer.current[name])
    document.querySelector('h1')?.focus()
    const wipe = () => {
      answer.current[name] = ''
      flushSync(() => setSecret(''))
    }
    const startAnew = (event: PageTransitionEvent) => {
      if (event.persisted) window.location.replace(startAgainAt)
    }
    window.addEventListener('pagehide', wipe)
    window.addEventListener('pageshow', startAnew)
    return () => {
      window.removeEventListener('pagehide', wipe)
      window.removeEventListener('pageshow', startAnew)
      answer.current[name] = ''
    }
  }, [name, startAgainAt])
  return secret
}

/** Without hydration the secret came in an inline script as well. */
function removeScriptsWith(secret: string | undefined) {
  if (!secret) return
  for (const script of document.querySelectorAll('script:not([src])')) {
    if (script.textContent?.includes(secret)) script.textContent = ''
  }
}
