import { data, Form, Link } from 'react-router'
import { AddLink } from '../components/add-link.tsx'
import { AddressNotice, Pagination } from '../components/list-chrome.tsx'
import { LocalTime, TimeZoneNote } from '../components/local-time.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { TenantStatus } from '../components/tenant-status.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card } from '../components/ui/card.tsx'
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from '../components/ui/table.tsx'
import { pageContext } from '../context.ts'
import type { Tenant } from '../lib/api-types.ts'
import { listOrProblem } from '../lib/list-or-problem.ts'
import { quotasInWords } from '../lib/tenant-form.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/tenants'

export async function loader({ url, context }: Route.LoaderArgs) {
  const { api, user } = context.get(pageContext)
  const cursor = url.searchParams.get('cursor') || undefined
  const { items: tenants, nextCursor, problem } = await listOrProblem(() => api.tenants.list({ cursor }))
  const place = { homeId: user?.tenant.id, actingId: user?.actingTenant?.id }
  return data({ tenants, place, nextCursor, problem }, { status: problem?.status ?? 200 })
}

export const meta: Route.MetaFunction = () => titled('Tenants')

export default function Tenants({ loaderData: { tenants, place, nextCursor, problem } }: Route.ComponentProps) {
  return (
    <>
      <PageHeader
        title="Tenants"
        description="Who shares this deployment. Nobody of one sees anything of another."
        actions={<AddLink to="/tenants/new">New Tenant</AddLink>}
      />
      <AddressNotice problem={problem} ignored={[]} />
      <Card className="gap-0 overflow-hidden p-0 sm:p-0">
        <TenantTable tenants={tenants} place={place} />
      </Card>
      <div className="mt-3 flex min-h-8 flex-wrap items-center justify-between gap-3">
        <TimeZoneNote />
        <Pagination nextCursor={nextCursor} />
      </div>
    </>
  )
}

/** Where the reader belongs, and where they act. */
interface Place {
  homeId: string | undefined
  actingId: string | undefined
}

function TenantTable({ tenants, place }: { tenants: Tenant[]; place: Place }) {
  return (
    <Table>
      <caption className="sr-only">Tenants</caption>
      <TableHeader>
        <tr>
          <TableHead>Name</TableHead>
          <TableHead>Status</TableHead>
          <TableHead>Quotas</TableHead>
          <TableHead>Created</TableHead>
          <TableHead>
            <span className="sr-only">Act in it</span>
          </TableHead>
        </tr>
      </TableHeader>
      <TableBody>
        {tenants.map((tenant) => (
          <TableRow key={tenant.id}>
            <TableCell className="max-lg:block max-lg:pb-1 lg:max-w-80">
              <Link
                to={`/tenants/${tenant.id}`}
                className="rounded-sm font-medium wrap-anywhere hover:text-primary hover:underline"
              >
                {tenant.name}
              </Link>
            </TableCell>
            <TableCell data-label="Status">
              <TenantStatus tenant={tenant} />
            </TableCell>
            <TableCell data-label="Quotas" className="text-muted-foreground">
              <span>{quotasInWords(tenant)}</span>
            </TableCell>
            <TableCell data-label="Created">
              <LocalTime instant={tenant.createdAt} />
            </TableCell>
            <TableCell className="max-lg:block max-lg:pt-2 lg:text-right">
              <Enter tenant={tenant} place={place} />
            </TableCell>
          </TableRow>
        ))}
      </TableBody>
    </Table>
  )
}

function Enter({ tenant: { id, name }, place: { homeId, actingId } }: { tenant: Tenant; place: Place }) {
  if (id === homeId) return <span className="text-xs text-muted-foreground">Your own</span>
  if (id === actingId) return <span className="text-xs text-muted-foreground">You act in it</span>
  return (
    <Form method="post" action={`/tenants/${id}/enter`}>
      <Button type="submit" variant="outline" size="xs">
        Act in this tenant<span className="sr-only">: {name}</span>
      </Button>
    </Form>
  )
}
