import { redirect } from 'react-router'
import { ConfirmDelete } from '../components/confirm-delete.tsx'
import { pageContext } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/user-delete'

export async function loader({ params: { id }, context }: Route.LoaderArgs) {
  return { user: await context.get(pageContext).api.users.get({ id }) }
}

export async function action({ params: { id }, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  await page.api.users.delete({ id })
  throw redirect('/users', { headers: await flashHeaders(page, 'The user is removed.') })
}

export const meta: Route.MetaFunction = () => titled('Remove a user')

export default function DeleteUser({ loaderData: { user } }: Route.ComponentProps) {
  return (
    <ConfirmDelete
      what="user"
      name={user.name}
      to={`/users/${user.id}`}
      consequences={[
        'How they signed in is forgotten. To let them in again, invite them.',
        'What they did stays in the audit log, under their name.',
        ...(user.isActive ? ['They are active: deactivate them first, which settles their keys.'] : []),
      ]}
    />
  )
}
