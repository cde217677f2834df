import { redirect } from 'react-router'
import { ConfirmDelete } from '../components/confirm-delete.tsx'
import { pageContext } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/test-case-delete'

export async function loader({ params: { id, caseId }, context }: Route.LoaderArgs) {
  const { api, requireMay } = context.get(pageContext)
  requireMay('testCases.delete')
  const { name } = await api.testCases.get({ id: caseId })
  return { to: `/test-suites/${id}/cases/${caseId}`, name }
}

export async function action({ params: { id, caseId }, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  await page.api.testCases.delete({ id: caseId })
  throw redirect(`/test-suites/${id}`, { headers: await flashHeaders(page, 'The test case is deleted.') })
}

export const meta: Route.MetaFunction = () => titled('Delete a test case')

export default function DeleteTestCase({ loaderData: { to, name } }: Route.ComponentProps) {
  return (
    <ConfirmDelete
      what="test case"
      name={name}
      to={to}
      consequences={['It is in no further run.', 'Its results in earlier runs stay. To keep the case, set it inactive instead.']}
    />
  )
}
