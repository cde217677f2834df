import { data, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { TenantForm } from '../components/tenant-form.tsx'
import { pageContext, problemOf } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { newTenant, readTenantForm, tenantLabels } from '../lib/tenant-form.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/tenant-new'

export function loader({ context }: Route.LoaderArgs) {
  context.get(pageContext).requireMay('tenants.create')
  return null
}

export async function action({ request, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const { values, input } = readTenantForm(await request.formData())
  try {
    const { id, name } = await page.api.tenants.create(input)
    const notice = `The tenant “${name}” is made. Act in it to give it its first admin or key.`
    return redirect(`/tenants/${id}`, { headers: await flashHeaders(page, notice) })
  } catch (thrown) {
    const problem = problemOf(thrown)
    return data({ problem, values }, { status: problem.status })
  }
}

export const meta: Route.MetaFunction = () => titled('New tenant')

export default function NewTenant({ actionData }: Route.ComponentProps) {
  return (
    <div className="mx-auto max-w-2xl">
      <BackLink to="/tenants">Tenants</BackLink>
      <PageHeader title="New tenant" description="It begins without users and keys." />
      <TenantForm
        form={{ labels: tenantLabels, values: actionData?.values ?? newTenant, problem: actionData?.problem }}
        submit="Create"
        pending="Creating…"
        cancelTo="/tenants"
      />
    </div>
  )
}
