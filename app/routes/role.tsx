import { data, NavLink } from 'react-router'
import { PageHeader } from '../components/page-header.tsx'
import { PermissionList } from '../components/permission-list.tsx'
import { pageContext } from '../context.ts'
import { cn } from '../lib/cn.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/role'

export async function loader({ params, context }: Route.LoaderArgs) {
  const { items } = await context.get(pageContext).api.roles.list({})
  const role = items.find((item) => item.role === params.role)
  if (!role) throw data(null, { status: 404 })
  return { role, roles: items.map((item) => item.role) }
}

export const meta: Route.MetaFunction = ({ loaderData }) => titled(loaderData?.role.role ?? 'Role')

export default function RolePage({ loaderData: { role, roles } }: Route.ComponentProps) {
  const { permits, operations } = role
  const allowed = operations.filter((operation) => operation.allowed).length
  return (
    <div className="mx-auto max-w-2xl">
      <PageHeader
        title={`What the role ${role.role} may call`}
        description={`${permits}: ${allowed} of ${operations.length} operations.`}
      />
      <nav aria-label="Roles" className="mb-5 flex flex-wrap gap-1">
        {roles.map((each) => (
          <NavLink
            key={each}
            to={`/roles/${each}`}
            className={({ isActive }) =>
              cn('rounded-md px-3 py-1.5 text-sm font-medium hover:bg-accent', isActive ? 'bg-accent' : 'text-muted-foreground')
            }
          >
            {each}
          </NavLink>
        ))}
      </nav>
      <PermissionList permissions={operations} />
    </div>
  )
}
