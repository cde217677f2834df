import { redirect, redirectDocument } from 'react-router'
import { pageContext } from '../context.ts'
import type { Route } from './+types/tenant-leave'

export function loader() {
  throw redirect('/tenants')
}

/** As on the way in: the next page is loaded anew. */
export async function action({ context }: Route.ActionArgs) {
  await context.get(pageContext).tenantSwitch.leave()
  throw redirectDocument('/tenants')
}

/** Never shown, but that there is one has a refusal shown as a page. */
export default function LeaveTenant() {
  return null
}
