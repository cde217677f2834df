import { PlusIcon } from 'lucide-react'
import { Fragment, type ReactNode, useState } from 'react'
import { useIsHydrated } from '../lib/use-is-hydrated.ts'
import { Button } from './ui/button.tsx'

interface MoreRowsProps {
  /** How many are filled already. */
  filled: number
  max: number
  /** What the button says. */
  add: string
  row: (index: number) => ReactNode
}

const spareRows = 3

/** Fields that repeat: a button adds another; without JavaScript there are spare ones, and empty ones count for nothing. */
export function MoreRows({ filled, max, add, row }: MoreRowsProps) {
  const [added, setAdded] = useState(0)
  const isHydrated = useIsHydrated()
  const shown = Math.min(Math.max(filled, 1) + added, max)
  const rows = (from: number, to: number) =>
    Array.from({ length: Math.max(to - from, 0) }, (_, i) => from + i).map((index) => (
      <Fragment key={index}>{row(index)}</Fragment>
    ))
  return (
    <>
      {rows(0, shown)}
      <noscript>
        <div className="grid gap-4">{rows(shown, Math.min(shown + spareRows, max))}</div>
      </noscript>
      {isHydrated && shown < max && (
        <Button
          type="button"
          variant="outline"
          size="sm"
          className="justify-self-start"
          onClick={() => setAdded(shown + 1 - Math.max(filled, 1))}
        >
          <PlusIcon aria-hidden="true" />
          {add}
        </Button>
      )}
    </>
  )
}
