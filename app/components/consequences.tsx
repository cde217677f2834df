import type { ReactNode } from 'react'

/** What a button will do, a line each, above it: `children` are the list's items. */
export function Consequences({ children }: { children: ReactNode }) {
  return <ul className="grid list-disc gap-1.5 pl-5 text-sm text-muted-foreground">{children}</ul>
}
