import { Link } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PermissionList } from '../components/permission-list.tsx'
import { pageContext } from '../context.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/api-key-permissions'

export async function loader({ params: { id }, context }: Route.LoaderArgs) {
  const { api } = context.get(pageContext)
  const apiKey = await api.apiKeys.get({ id })
  const { items } = await api.apiKeys.listPermissions({ id })
  return { apiKey, permissions: items }
}

export const meta: Route.MetaFunction = ({ loaderData }) => titled(`What ${loaderData?.apiKey.name ?? 'a key'} may call`)

export default function ApiKeyPermissions({ loaderData: { apiKey, permissions } }: Route.ComponentProps) {
  const { id, name, role } = apiKey
  const allowed = permissions.filter((permission) => permission.allowed).length
  return (
    <div className="mx-auto max-w-2xl">
      <BackLink to={`/api-keys/${id}`}>{name}</BackLink>
      <PageHeader
        title="What this key may call"
        description={
          <>
            {allowed} of {permissions.length} operations. Its role is{' '}
            <Link to={`/roles/${role}`} className="text-foreground underline underline-offset-2">
              {role}
            </Link>
            .
          </>
        }
      />
      <PermissionList permissions={permissions} />
    </div>
  )
}
