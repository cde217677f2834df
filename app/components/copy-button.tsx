import { CheckIcon, CopyIcon } from 'lucide-react'
import { type ComponentProps, useEffect, useState } from 'react'
import { useIsHydrated } from '../lib/use-is-hydrated.ts'
import { Button } from './ui/button.tsx'

interface CopyButtonProps extends Pick<ComponentProps<typeof Button>, 'variant' | 'size' | 'className'> {
  text: string
  /** What is copied, for those who do not see what the button stands beside. */
  label: string
}

const shownForMs = 2500

/** Absent without JavaScript, where it could do nothing. */
export function CopyButton({ text, label, variant = 'outline', size = 'xs', className }: CopyButtonProps) {
  const [outcome, setOutcome] = useState<'Copied' | 'Press Ctrl+C' | null>(null)
  const isHydrated = useIsHydrated()
  useEffect(() => {
    if (!outcome) return
    const timer = setTimeout(() => setOutcome(null), shownForMs)
    return () => clearTimeout(timer)
  }, [outcome])
  if (!isHydrated) return null
  return (
    <>
      <Button
        type="button"
        variant={variant}
        size={size}
        className={className}
        onClick={async () => setOutcome((await copy(text)) ? 'Copied' : 'Press Ctrl+C')}
      >
        {outcome === 'Copied' ? <CheckIcon aria-hidden="true" /> : <CopyIcon aria-hidden="true" />}
        {outcome ?? 'Copy'}
        <span className="sr-only"> {label}</span>
      </Button>
      <span role="status" className="sr-only">
        {outcome === 'Copied' ? `Copied ${label}` : ''}
      </span>
    </>
  )
}

async function copy(text: string): Promise<boolean> {
  try {
    // Absent on an insecure origin other than localhost, and refused without permission.
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    return copyBySelection(text)
  }
}

function copyBySelection(text: string): boolean {
  const focused = document.activeElement
  const area = document.createElement('textarea')
  area.value = text
  area.className = 'sr-only'
  document.body.append(area)
  area.select()
  const isCopied = document.execCommand('copy')
  area.remove()
  if (focused instanceof HTMLElement) focused.focus()
  return isCopied
}
