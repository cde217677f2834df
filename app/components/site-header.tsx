import { Link, NavLink } from 'react-router'
import { cn } from '../lib/cn.ts'
import { type MenuUser, UserMenu } from './user-menu.tsx'

interface SiteHeaderProps {
  user: MenuUser | null
  /** True for those who may manage keys and read the audit log. */
  isAdmin: boolean
}

export function SiteHeader({ user, isAdmin }: SiteHeaderProps) {
  return (
    <header className="border-b bg-card">
      <div className="mx-auto flex min-h-13 max-w-7xl flex-wrap items-center gap-x-6 px-4 sm:px-6">
        <Link to="/" className="rounded-sm py-2.5 text-[1.0625rem] font-bold tracking-tight">
          mate
        </Link>
        {isAdmin && (
          <nav aria-label="Main" className="order-last -mx-2 flex basis-full sm:order-none sm:mx-0 sm:basis-auto">
            <HeaderLink to="/api-keys">API Keys</HeaderLink>
            <HeaderLink to="/audit-log">Audit Log</HeaderLink>
          </nav>
        )}
        {user && <UserMenu user={user} />}
      </div>
    </header>
  )
}

function HeaderLink({ to, children }: { to: string; children: string }) {
  return (
    <NavLink
      to={to}
      className={({ isActive }) =>
        cn(
          'inline-flex h-10 items-center border-b-2 border-transparent px-2 text-sm text-muted-foreground hover:text-foreground sm:-mb-px sm:h-13 sm:px-3',
          isActive && 'border-primary font-medium text-foreground',
        )
      }
    >
      {children}
    </NavLink>
  )
}
