import type { ReactNode } from 'react'
import type { Problem } from '../context.ts'
import { AddLink } from './add-link.tsx'
import { AddressNotice, EmptyState, Pagination } from './list-chrome.tsx'
import { PageHeader } from './page-header.tsx'
import { Card } from './ui/card.tsx'

interface ListPageProps {
  title: string
  description: string
  /** Of the button that adds one; null for those who may not. */
  add: { to: string; label: string } | null
  /** What is said when there is none. */
  empty: { title: string; text: string }
  isEmpty: boolean
  problem: Problem | undefined
  nextCursor: string | null
  /** The table. */
  children: ReactNode
}

/** A list without filters, page by page. */
export function ListPage({ title, description, add, empty, isEmpty, problem, nextCursor, children }: ListPageProps) {
  const addLink = add && <AddLink to={add.to}>{add.label}</AddLink>
  return (
    <>
      <PageHeader title={title} description={description} actions={!isEmpty && addLink} />
      <AddressNotice problem={problem} ignored={[]} />
      <Card className="gap-0 overflow-hidden p-0 sm:p-0">
        {isEmpty ? (
          <EmptyState title={empty.title}>
            <p>{empty.text}</p>
            {addLink}
          </EmptyState>
        ) : (
          children
        )}
      </Card>
      <div className="mt-3 flex min-h-8 justify-end">
        <Pagination nextCursor={nextCursor} />
      </div>
    </>
  )
}
