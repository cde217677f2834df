import { CircleAlertIcon } from 'lucide-react'
import { data, Form, Link, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { TenantForm } from '../components/tenant-form.tsx'
import { TenantStatus } from '../components/tenant-status.tsx'
import { Alert, AlertDescription, AlertTitle } from '../components/ui/alert.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card } from '../components/ui/card.tsx'
import { pageContext, problemOf } from '../context.ts'
import type { TenantUsage } from '../lib/api-types.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { textOf } from '../lib/form-fields.ts'
import { readTenantForm, tenantLabels, valuesOfTenant } from '../lib/tenant-form.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/tenant'

export async function loader({ params: { id }, context }: Route.LoaderArgs) {
  const { api, user } = context.get(pageContext)
  const tenant = await api.tenants.get({ id })
  return { tenant, isHome: tenant.id === user?.tenant.id, isActing: tenant.id === user?.actingTenant?.id }
}

export async function action({ request, params: { id }, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const form = await request.formData()
  const back = async (notice: string) => redirect(`/tenants/${id}`, { headers: await flashHeaders(page, notice) })
  const { values, input } = readTenantForm(form)
  const isReactivation = textOf(form, 'intent') === 'reactivate'
  try {
    if (isReactivation) {
      await page.api.tenants.reactivate({ id })
      return back('The tenant is active again: its keys and sessions work, and what waited is sent.')
    }
    await page.api.tenants.update({ id, ...input })
    return back('The tenant is saved.')
  } catch (thrown) {
    const problem = problemOf(thrown)
    return data({ problem, values: isReactivation ? undefined : values }, { status: problem.status })
  }
}

export const meta: Route.MetaFunction = ({ loaderData }) => titled(loaderData?.tenant.name ?? 'Tenant')

export default function TenantPage({ loaderData: { tenant, isHome, isActing }, actionData }: Route.ComponentProps) {
  return (
    <div className="mx-auto max-w-2xl">
      <BackLink to="/tenants">Tenants</BackLink>
      <PageHeader
        title={tenant.name}
        description={<TenantStatus tenant={tenant} />}
        actions={<Actions tenant={tenant} isHome={isHome} isActing={isActing} />}
      />
      <div className="grid gap-5">
        {!tenant.isActive && <Deactivated />}
        <Card>
          <TenantForm
            key={tenant.id}
            form={{ labels: tenantLabels, values: actionData?.values ?? valuesOfTenant(tenant), problem: actionData?.problem }}
            tenant={tenant}
            submit="Save"
            pending="Saving…"
            cancelTo="/tenants"
          />
        </Card>
      </div>
    </div>
  )
}

function Actions({ tenant: { id, isActive }, isHome, isActing }: { tenant: TenantUsage; isHome: boolean; isActing: boolean }) {
  if (isHome) return <p className="text-sm text-muted-foreground">Your own tenant</p>
  return (
    <>
      {!isActing && (
        <Form method="post" action={`/tenants/${id}/enter`}>
          <Button type="submit" variant="outline" size="sm">
            Act in this tenant
          </Button>
        </Form>
      )}
      {isActive && (
        <Button asChild variant="outline" size="sm" className="text-destructive hover:text-destructive">
          <Link to={`/tenants/${id}/deactivate`}>Deactivate</Link>
        </Button>
      )}
    </>
  )
}

function Deactivated() {
  return (
    <Alert variant="destructive">
      <CircleAlertIcon aria-hidden="true" />
      <AlertTitle>This tenant is deactivated</AlertTitle>
      <AlertDescription className="grid gap-2.5">
        <p>Its keys and sessions are refused, and nothing is sent to its webhooks. Nothing is lost.</p>
        <Form method="post">
          <Button type="submit" name="intent" value="reactivate" size="sm">
            Reactivate
          </Button>
        </Form>
      </AlertDescription>
    </Alert>
  )
}
