import { PlusIcon } from 'lucide-react'
import type { ReactNode } from 'react'
import { Link } from 'react-router'
import { Button } from './ui/button.tsx'

/** To the form that adds one to a list. */
export function AddLink({ to, children }: { to: string; children: ReactNode }) {
  return (
    <Button asChild>
      <Link to={to}>
        <PlusIcon aria-hidden="true" />
        {children}
      </Link>
    </Button>
  )
}
