import { Link, NavLink } from 'react-router'
import { cn } from '../lib/cn.ts'
import { type MenuUser, UserMenu } from './user-menu.tsx'

interface SiteHeaderProps {
  user: MenuUser | null
  /** True for those who may manage keys and read the audit log. */
  isAdmin: boolean
}

/** The links of tests and those of admins are two groups: two rows on a phone, one wherever there is room. */
export function SiteHeader({ user, isAdmin }: SiteHeaderProps) {
  return (
    <header className="border-b bg-card">
      <div className="mx-auto flex min-h-13 max-w-7xl flex-wrap items-center gap-x-6 px-4 sm:px-6">
        <Link to="/" className="rounded-sm py-2.5 text-[1.0625rem] font-bold tracking-tight">
          mate
        </Link>
        {user && (
          <nav
            aria-label="Main"
            className={cn(
              'order-last -mx-2 flex basis-full flex-wrap',
              isAdmin ? 'xl:order-none xl:basis-auto' : 'sm:order-none sm:basis-auto',
            )}
          >
            <div className="flex">
              <HeaderLink to="/" end>
                Overview
              </HeaderLink>
              <HeaderLink to="/runs">Runs</HeaderLink>
              <HeaderLink to="/test-suites">Test Suites</HeaderLink>
              <HeaderLink to="/agents">Agents</HeaderLink>
            </div>
            {isAdmin && (
              <div className="flex flex-wrap sm:before:mx-2 sm:before:h-5 sm:before:self-center sm:before:border-l sm:before:border-border">
                <HeaderLink to="/api-keys">API Keys</HeaderLink>
                <HeaderLink to="/notices">Notices</HeaderLink>
                <HeaderLink to="/webhooks">Webhooks</HeaderLink>
                <HeaderLink to="/users">Users</HeaderLink>
                <HeaderLink to="/audit-log">Audit Log</HeaderLink>
                {user.role === 'SuperAdmin' && <HeaderLink to="/tenants">Tenants</HeaderLink>}
              </div>
            )}
          </nav>
        )}
        {user && <UserMenu user={user} />}
      </div>
    </header>
  )
}

function HeaderLink({ to, end = false, children }: { to: string; end?: boolean; children: string }) {
  return (
    <NavLink
      to={to}
      end={end}
      className={({ isActive }) =>
        cn(
          'inline-flex h-10 items-center border-b-2 border-transparent px-2 text-sm text-muted-foreground hover:text-foreground xl:-mb-px xl:h-13 xl:px-2.5',
          isActive && 'border-primary font-medium text-foreground',
        )
      }
    >
      {children}
    </NavLink>
  )
}
