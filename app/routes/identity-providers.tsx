import { data, Link } from 'react-router'
import { ListPage } from '../components/list-page.tsx'
import { Badge } from '../components/ui/badge.tsx'
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from '../components/ui/table.tsx'
import { pageContext } from '../context.ts'
import type { IdentityProvider } from '../lib/api-types.ts'
import { listOrProblem } from '../lib/list-or-problem.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/identity-providers'

export async function loader({ url, context }: Route.LoaderArgs) {
  const { api } = context.get(pageContext)
  const cursor = url.searchParams.get('cursor') || undefined
  const { items: providers, nextCursor, problem } = await listOrProblem(() => api.identityProviders.list({ cursor }))
  return data({ providers, nextCursor, problem }, { status: problem?.status ?? 200 })
}

export const meta: Route.MetaFunction = () => titled('Identity providers')

export default function IdentityProviders({ loaderData: { providers, nextCursor, problem } }: Route.ComponentProps) {
  return (
    <ListPage
      title="Identity providers"
      description="Who vouches for people by OpenID Connect, for which tenants, and in which roles."
      add={{ to: '/identity-providers/new', label: 'Add Provider' }}
      empty={{
        title: 'No identity providers yet',
        text: 'Add your Entra ID, Keycloak or another OpenID provider, and people sign in without a password of mate’s.',
      }}
      isEmpty={providers.length === 0}
      problem={problem}
      nextCursor={nextCursor}
    >
      <ProviderTable providers={providers} />
    </ListPage>
  )
}

function ProviderTable({ providers }: { providers: IdentityProvider[] }) {
  return (
    <Table>
      <caption className="sr-only">Identity providers</caption>
      <TableHeader>
        <tr>
          <TableHead>Name</TableHead>
          <TableHead>Tenants</TableHead>
          <TableHead>Status</TableHead>
        </tr>
      </TableHeader>
      <TableBody>
        {providers.map(({ id, name, issuer, mappings, isActive }) => (
          <TableRow key={id}>
            <TableCell className="max-lg:block max-lg:pb-1">
              <Link
                to={`/identity-providers/${id}`}
                className="rounded-sm font-medium wrap-anywhere hover:text-primary hover:underline"
              >
                {name}
              </Link>
              <div className="text-xs wrap-anywhere text-muted-foreground">{issuer}</div>
            </TableCell>
            <TableCell data-label="Tenants">
              <span>{[...new Set(mappings.map(({ tenantName }) => tenantName))].join(' · ') || 'None yet'}</span>
            </TableCell>
            <TableCell data-label="Status">
              <Badge variant={isActive ? 'success' : 'muted'}>{isActive ? 'Active' : 'Inactive'}</Badge>
            </TableCell>
          </TableRow>
        ))}
      </TableBody>
    </Table>
  )
}
