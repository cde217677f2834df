import { Link } from 'react-router'
import type { Verdict } from '../lib/api-types.ts'
import { cn } from '../lib/cn.ts'
import { verdicts } from '../lib/wording.ts'
import type { VerdictCounts } from './verdict-bar.tsx'

const countOf = { pass: 'passed', fail: 'failed', error: 'errors', skipped: 'skipped' } as const

/** The results by verdict, as far as there are any. */
export function VerdictLinks({ counts, chosen }: { counts: VerdictCounts; chosen: Verdict | undefined }) {
  const kinds = (Object.keys(verdicts) as Verdict[]).filter((verdict) => counts[countOf[verdict]] > 0 || verdict === chosen)
  return (
    <nav aria-label="Results by verdict" className="flex flex-wrap gap-1 border-b px-2 py-2">
      <VerdictLink to="?" isChosen={!chosen} label="All" count={counts.total} />
      {kinds.map((verdict) => (
        <VerdictLink
          key={verdict}
          to={`?verdict=${verdict}`}
          isChosen={verdict === chosen}
          label={verdicts[verdict]}
          count={counts[countOf[verdict]]}
        />
      ))}
    </nav>
  )
}

function VerdictLink({ to, isChosen, label, count }: { to: string; isChosen: boolean; label: string; count: number }) {
  return (
    <Link
      to={to}
      preventScrollReset
      aria-current={isChosen ? 'true' : undefined}
      className={cn(
        'rounded-md px-2.5 py-1.5 text-sm tabular-nums hover:bg-accent',
        isChosen ? 'bg-accent font-medium' : 'text-muted-foreground',
      )}
    >
      {label} {count}
    </Link>
  )
}
