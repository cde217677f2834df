import { redirect } from 'react-router'
import { ExplorerLinks } from '../components/api-explorer.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { Card, CardDescription, CardTitle } from '../components/ui/card.tsx'
import { pageContext } from '../context.ts'
import { isAdminRole } from '../lib/roles.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/home'

export function loader({ context }: Route.LoaderArgs) {
  const { user, roles } = context.get(pageContext)
  if (!user || isAdminRole(user.role)) throw redirect('/api-keys')
  const permits = roles.find(({ role }) => role === user.role)?.permits ?? ''
  return { name: user.name, role: user.role, tenantName: user.tenant.name, permits }
}

export const meta: Route.MetaFunction = () => titled('Welcome')

export default function Home({ loaderData: { name, role, tenantName, permits } }: Route.ComponentProps) {
  return (
    <div className="mx-auto max-w-2xl">
      <PageHeader title={`Welcome, ${name}`} description={`Your role in ${tenantName} is ${role}: ${permits}.`} />
      <div className="grid gap-5">
        <Card>
          <div className="grid gap-1">
            <CardTitle>Need an API key?</CardTitle>
            <CardDescription>
              API keys are managed by the admins of {tenantName}. Tell one of them what the key is for and which role it needs.
            </CardDescription>
          </div>
        </Card>
        <Card>
          <div className="grid gap-1">
            <CardTitle>API Explorer</CardTitle>
            <CardDescription>Read which operations there are, and try them with a key.</CardDescription>
          </div>
          <ExplorerLinks />
        </Card>
      </div>
    </div>
  )
}
