import { cn } from '../lib/cn.ts'

export interface VerdictCounts {
  total: number
  passed: number
  failed: number
  skipped: number
  errors: number
}

const parts = [
  { of: 'passed', className: 'fill-success' },
  { of: 'failed', className: 'fill-destructive' },
  { of: 'errors', className: 'fill-warning' },
  { of: 'skipped', className: 'fill-muted-foreground' },
] as const

/** How many of all cases ended how; what is not there yet stays empty. The numbers stand beside it. */
export function VerdictBar({ counts, className }: { counts: VerdictCounts; className?: string }) {
  let x = 0
  return (
    <svg
      viewBox={`0 0 ${Math.max(counts.total, 1)} 1`}
      preserveAspectRatio="none"
      aria-hidden="true"
      className={cn('h-2 w-full rounded-full bg-muted', className)}
    >
      {parts.map((part) => {
        const width = counts[part.of]
        const left = x
        x += width
        return <rect key={part.of} x={left} width={width} height={1} className={part.className} />
      })}
    </svg>
  )
}
