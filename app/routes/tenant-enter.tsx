import { redirect, redirectDocument } from 'react-router'
import { pageContext } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import type { Route } from './+types/tenant-enter'

export function loader({ params: { id } }: Route.LoaderArgs) {
  throw redirect(`/tenants/${id}`)
}

/** Loads the next page anew, so that nothing of one tenant stays in the browser's memory in another. */
export async function action({ params: { id }, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const name = await page.tenantSwitch.enter(id)
  const notice = `You act in “${name}” now. What you do is in its audit log, under your name.`
  throw redirectDocument('/', { headers: await flashHeaders(page, notice) })
}

/** Never shown, but that there is one has a refusal shown as a page. */
export default function EnterTenant() {
  return null
}
