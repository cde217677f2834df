import { TriangleAlertIcon } from 'lucide-react'
import { useEffect, useRef, useState } from 'react'
import { flushSync } from 'react-dom'
import { Link } from 'react-router'
import { CopyButton } from './copy-button.tsx'
import { KeyExamples } from './key-examples.tsx'
import { LocalTime } from './local-time.tsx'
import { PageHeader } from './page-header.tsx'
import { Alert, AlertTitle } from './ui/alert.tsx'
import { Button } from './ui/button.tsx'
import { Card } from './ui/card.tsx'
import { Input } from './ui/input.tsx'
import { Label } from './ui/label.tsx'

interface Created {
  id: string
  name: string
  role: string
  key: string
  expiresAt: string | null
}

interface KeyRevealProps {
  created: Created
  origin: string
}

/** The only time that a key is shown. */
export function KeyReveal({ created, origin }: KeyRevealProps) {
  const key = useKeyUntilLeft(created)
  const { id, name, role, expiresAt } = created
  return (
    <div className="mx-auto max-w-2xl">
      <PageHeader
        title="Copy your key now"
        description={
          <>
            <strong className="font-medium wrap-anywhere text-foreground">{name}</strong> · {role} ·{' '}
            {expiresAt ? (
              <>
                expires <LocalTime instant={expiresAt} />
              </>
            ) : (
              'never expires'
            )}
          </>
        }
      />
      <Card>
        <div className="grid gap-1.5">
          <Label htmlFor="key">API key</Label>
          <div className="flex gap-2 max-sm:flex-col">
            <Input
              id="key"
              readOnly
              value={key}
              autoComplete="off"
              spellCheck={false}
              aria-describedby="key-hint"
              onFocus={(event) => event.currentTarget.select()}
              className="font-mono text-[0.8125rem] md:text-[0.8125rem]"
            />
            <CopyButton text={key} label="API key" variant="default" size="default" />
          </div>
        </div>
        <Alert variant="warning" id="key-hint">
          <TriangleAlertIcon aria-hidden="true" />
          <AlertTitle>You will not see it again. mate stores its SHA-256 hash only.</AlertTitle>
        </Alert>
        <div className="flex flex-wrap gap-2">
          <Button asChild variant="outline">
            <Link to="/api-keys">Done</Link>
          </Button>
          <Button asChild variant="ghost">
            <Link to={`/api-keys/${id}`}>Details</Link>
          </Button>
        </div>
      </Card>
      <KeyExamples apiKey={key} origin={origin} />
    </div>
  )
}

/**
 * The key while the page is open, '' from when it is left: a browser may keep a page in memory and bring it back as it
 * was. The answer that brought the key is wiped in place too, since the router and the document's script hold on to it.
 */
function useKeyUntilLeft(created: Created): string {
  const [key, setKey] = useState(created.key)
  const answer = useRef(created)
  useEffect(() => {
    removeScriptsWith(answer.current.key)
    document.querySelector('h1')?.focus()
    const wipe = () => {
      answer.current.key = ''
      flushSync(() => setKey(''))
    }
    const startAnew = (event: PageTransitionEvent) => {
      if (event.persisted) window.location.replace('/api-keys/new')
    }
    window.addEventListener('pagehide', wipe)
    window.addEventListener('pageshow', startAnew)
    return () => {
      window.removeEventListener('pagehide', wipe)
      window.removeEventListener('pageshow', startAnew)
      answer.current.key = ''
    }
  }, [])
  return key
}

/** Without hydration the key came in an inline script as well. */
function removeScriptsWith(key: string) {
  if (!key) return
  for (const script of document.querySelectorAll('script:not([src])')) {
    if (script.textContent?.includes(key)) script.textContent = ''
  }
}
