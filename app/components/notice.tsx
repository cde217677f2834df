import { CheckIcon, XIcon } from 'lucide-react'
import { useState } from 'react'
import { useIsHydrated } from '../lib/use-is-hydrated.ts'
import { Button } from './ui/button.tsx'

/** `shownBy` is the answer that brought the notice: the next answer brings its own or none. */
interface NoticeProps {
  text: string | null
  shownBy: unknown
}

/**
 * What the last action did. The live region is always there, so that a change in it is announced. It has no timeout:
 * nobody has to hurry to read it, and the next page takes it away.
 */
export function Notice({ text, shownBy }: NoticeProps) {
  const [dismissed, setDismissed] = useState<unknown>(null)
  const isHydrated = useIsHydrated()
  const isShown = text !== null && dismissed !== shownBy
  return (
    <div role="status" className="fixed inset-x-4 bottom-4 z-30 flex justify-end sm:left-auto sm:max-w-md">
      {isShown && (
        <div className="flex animate-in items-start gap-3 rounded-lg border bg-popover py-3 pr-3 pl-4 text-sm text-popover-foreground shadow-lg fade-in slide-in-from-bottom-2">
          <CheckIcon aria-hidden="true" className="size-4 shrink-0 translate-y-0.5 text-success" />
          <p className="wrap-anywhere">{text}</p>
          {isHydrated && (
            <Button
              type="button"
              variant="ghost"
              size="icon"
              aria-label="Dismiss"
              className="-my-1 size-7"
              onClick={() => setDismissed(shownBy)}
            >
              <XIcon aria-hidden="true" />
            </Button>
          )}
        </div>
      )}
    </div>
  )
}
