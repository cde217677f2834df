import { data, Link } from 'react-router'
import { AddressNotice, EmptyState, Pagination } from '../components/list-chrome.tsx'
import { TimeZoneNote } from '../components/local-time.tsx'
import { NoticeList } from '../components/notice-list.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card } from '../components/ui/card.tsx'
import { pageContext } from '../context.ts'
import { textOf } from '../lib/form-fields.ts'
import { listOrProblem } from '../lib/list-or-problem.ts'
import { chosen, ignoredOf } from '../lib/search-params.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/notices'

export async function loader({ url, context }: Route.LoaderArgs) {
  const { api } = context.get(pageContext)
  const status = chosen(url.searchParams, 'status', ['open', 'all'])
  const shared = { isAll: status.value === 'all', ignored: ignoredOf(status) }
  const cursor = url.searchParams.get('cursor') || undefined
  const { items: notices, nextCursor, problem } = await listOrProblem(() => api.notices.list({ status: status.value, cursor }))
  return data({ ...shared, notices, nextCursor, problem }, { status: problem?.status ?? 200 })
}

/** No redirect: with JavaScript the notice leaves whichever page it stood on. */
export async function action({ request, context }: Route.ActionArgs) {
  const id = textOf(await request.formData(), 'id')
  await context.get(pageContext).api.notices.dismiss({ id })
  return null
}

export const meta: Route.MetaFunction = () => titled('Notices')

export default function Notices({ loaderData: { notices, nextCursor, problem, ignored, isAll } }: Route.ComponentProps) {
  return (
    <div className="mx-auto max-w-4xl">
      <PageHeader
        title="Notices"
        description="Keys that expire or are not used, leaks, freezes. Webhooks send them to wherever you look first."
        actions={
          <Button asChild variant="outline" size="sm">
            {isAll ? <Link to="?">Only open ones</Link> : <Link to="?status=all">Show dismissed ones</Link>}
          </Button>
        }
      />
      <AddressNotice problem={problem} ignored={ignored} />
      <Card className="gap-0 overflow-hidden p-0 sm:p-0">
        {notices.length > 0 ? (
          <NoticeList notices={notices} />
        ) : (
          <EmptyState title={isAll ? 'No notices yet' : 'Nothing to do'}>
            <p>You will be told here 14, 7 and 1 days before a key expires, and when something is wrong with one.</p>
          </EmptyState>
        )}
      </Card>
      <div className="mt-3 flex min-h-8 flex-wrap items-center justify-between gap-3">
        <TimeZoneNote />
        <Pagination nextCursor={nextCursor} />
      </div>
    </div>
  )
}
