import type { Run, Verdict } from '../lib/api-types.ts'
import { runStatuses, verdicts } from '../lib/wording.ts'
import { Badge } from './ui/badge.tsx'

/** Of a completed run its outcome, of any other where it stands. */
export function RunStatus({ run: { status, isPassed } }: { run: Pick<Run, 'status' | 'isPassed'> }) {
  if (status === 'completed') {
    return isPassed ? <Badge variant="success">Passed</Badge> : <Badge variant="destructive">Not passed</Badge>
  }
  const variant = status === 'failed' ? 'destructive' : status === 'running' ? 'warning' : 'muted'
  return <Badge variant={variant}>{runStatuses[status]}</Badge>
}

const variants = { pass: 'success', fail: 'destructive', error: 'warning', skipped: 'muted' } as const

export function VerdictBadge({ verdict }: { verdict: Verdict | null }) {
  if (!verdict) return <span className="text-muted-foreground">–</span>
  return <Badge variant={variants[verdict]}>{verdicts[verdict]}</Badge>
}

export const isGoing = ({ status }: Pick<Run, 'status'>) => status === 'pending' || status === 'running'
