import { redirect } from 'react-router'
import { ConfirmDelete } from '../components/confirm-delete.tsx'
import { pageContext } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/test-suite-delete'

export async function loader({ params: { id }, context }: Route.LoaderArgs) {
  const { api, requireMay } = context.get(pageContext)
  requireMay('testSuites.delete')
  const { name } = await api.testSuites.get({ id })
  return { id, name }
}

export async function action({ params: { id }, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  await page.api.testSuites.delete({ id })
  throw redirect('/test-suites', { headers: await flashHeaders(page, 'The test suite is deleted.') })
}

export const meta: Route.MetaFunction = () => titled('Delete a test suite')

export default function DeleteTestSuite({ loaderData: { id, name } }: Route.ComponentProps) {
  return (
    <ConfirmDelete
      what="test suite"
      name={name}
      to={`/test-suites/${id}`}
      consequences={['Its cases go with it.', 'What its runs showed stays.']}
    />
  )
}
