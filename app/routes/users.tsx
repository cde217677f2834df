import { data, Form, Link, redirect } from 'react-router'
import { AddLink } from '../components/add-link.tsx'
import { FilterForm, FilterInput, FilterSelect } from '../components/filter-form.tsx'
import { AddressNotice, EmptyState, Pagination } from '../components/list-chrome.tsx'
import { LocalTime, TimeZoneNote } from '../components/local-time.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card, CardTitle } from '../components/ui/card.tsx'
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from '../components/ui/table.tsx'
import { UserStatus } from '../components/user-status.tsx'
import { pageContext } from '../context.ts'
import type { Invitation, User } from '../lib/api-types.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { textOf } from '../lib/form-fields.ts'
import { listOrProblem } from '../lib/list-or-problem.ts'
import { chosen, ignoredOf } from '../lib/search-params.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/users'

const statuses = { active: true, deactivated: false } as const

export async function loader({ url, context }: Route.LoaderArgs) {
  const { api, roles } = context.get(pageContext)
  const role = chosen(
    url.searchParams,
    'role',
    roles.map((known) => known.role),
  )
  const status = chosen(url.searchParams, 'status', ['active', 'deactivated'] as const)
  const filter = { search: url.searchParams.get('search')?.trim() || undefined, role: role.value, status: status.value }
  const cursor = url.searchParams.get('cursor') || undefined
  const isActive = filter.status && statuses[filter.status]
  const { items, nextCursor, problem } = await listOrProblem(() =>
    api.users.list({ cursor, search: filter.search, role: filter.role, isActive }),
  )
  const invitations = (await api.invitations.list({ limit: 200 })).items
  const shown = { users: items, nextCursor, problem, invitations, filter, ignored: ignoredOf(role, status) }
  return data({ ...shown, roles: roles.map(({ role }) => role) }, { status: problem?.status ?? 200 })
}

export async function action({ request, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  await page.api.invitations.revoke({ id: textOf(await request.formData(), 'id') })
  return redirect('/users', { headers: await flashHeaders(page, 'The invitation is revoked. Its link opens nothing any more.') })
}

export const meta: Route.MetaFunction = () => titled('Users')

export default function Users({ loaderData }: Route.ComponentProps) {
  const { users, nextCursor, problem, invitations, filter, ignored, roles } = loaderData
  const isFiltered = Object.values(filter).some((value) => value !== undefined)
  return (
    <>
      <PageHeader
        title="Users"
        description="Who may sign in to this tenant, and with which role."
        actions={<AddLink to="/users/invite">Invite User</AddLink>}
      />
      <AddressNotice problem={problem} ignored={ignored} />
      <FilterForm isFiltered={isFiltered}>
        <FilterInput
          label="Name or e-mail"
          name="search"
          type="search"
          placeholder="A part of it"
          value={filter.search}
          className="min-w-0 grow basis-40 sm:max-w-72"
        />
        <FilterSelect
          label="Role"
          name="role"
          value={filter.role}
          options={roles.map((value) => ({ value, label: value }))}
          className="w-36"
        />
        <FilterSelect
          label="Status"
          name="status"
          value={filter.status}
          options={[
            { value: 'active', label: 'Active' },
            { value: 'deactivated', label: 'Deactivated' },
          ]}
          className="w-36"
        />
      </FilterForm>
      <Card className="gap-0 overflow-hidden p-0 sm:p-0">
        {users.length > 0 ? <UserTable users={users} /> : <Nobody isFiltered={isFiltered} />}
      </Card>
      <div className="mt-3 flex min-h-8 flex-wrap items-center justify-between gap-3">
        <TimeZoneNote />
        <Pagination nextCursor={nextCursor} />
      </div>
      {invitations.length > 0 && <Invitations invitations={invitations} />}
    </>
  )
}

/** A tenant that a SuperAdmin just made has no people yet. */
function Nobody({ isFiltered }: { isFiltered: boolean }) {
  if (!isFiltered) {
    return (
      <EmptyState title="No users yet">
        <p>Invite the tenant’s first admin: they get a link, and choose their password.</p>
      </EmptyState>
    )
  }
  return (
    <EmptyState title="Nobody matches">
      <Link to="?" className="underline underline-offset-2">
        Show everybody
      </Link>
    </EmptyState>
  )
}

function UserTable({ users }: { users: User[] }) {
  return (
    <Table>
      <caption className="sr-only">Users</caption>
      <TableHeader>
        <tr>
          {['Name', 'Role', 'Status', 'API keys', 'Last signed in'].map((column) => (
            <TableHead key={column}>{column}</TableHead>
          ))}
        </tr>
      </TableHeader>
      <TableBody>
        {users.map(({ id, name, email, role, isActive, keyCount, lastSignedInAt }) => (
          <TableRow key={id}>
            <TableCell className="max-lg:block max-lg:pb-1">
              <Link to={`/users/${id}`} className="rounded-sm font-medium wrap-anywhere hover:text-primary hover:underline">
                {name}
              </Link>
              <div className="text-xs wrap-anywhere text-muted-foreground">{email}</div>
            </TableCell>
            <TableCell data-label="Role">{role}</TableCell>
            <TableCell data-label="Status">
              <UserStatus isActive={isActive} />
            </TableCell>
            <TableCell data-label="API keys" className="tabular-nums">
              {keyCount || '–'}
            </TableCell>
            <TableCell data-label="Last signed in">
              {lastSignedInAt ? <LocalTime instant={lastSignedInAt} /> : <span className="text-muted-foreground">Never</span>}
            </TableCell>
          </TableRow>
        ))}
      </TableBody>
    </Table>
  )
}

function Invitations({ invitations }: { invitations: Invitation[] }) {
  return (
    <Card className="mt-6 gap-0 overflow-hidden p-0 sm:p-0">
      <CardTitle className="border-b px-4 py-3">Open invitations</CardTitle>
      <ul className="divide-y text-sm">
        {invitations.map(({ id, email, role, expiresAt, isExpired, createdBy }) => (
          <li key={id} className="flex flex-wrap items-center gap-x-4 gap-y-1 px-4 py-2.5">
            <span className="min-w-0 flex-1 basis-64">
              <span className="font-medium wrap-anywhere">{email}</span>
              <span className="block text-xs text-muted-foreground">
                {role} · invited by {createdBy.name} · {isExpired ? 'expired' : 'expires'} <LocalTime instant={expiresAt} />
              </span>
            </span>
            <Form method="post">
              <input type="hidden" name="id" value={id} />
              <Button type="submit" variant="outline" size="sm" aria-label={`Revoke the invitation of ${email}`}>
                Revoke
              </Button>
            </Form>
          </li>
        ))}
      </ul>
    </Card>
  )
}
