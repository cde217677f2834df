import { ArrowDownIcon, ArrowUpIcon } from 'lucide-react'
import { Form, Link } from 'react-router'
import type { TestCase } from '../lib/api-types.ts'
import { cn } from '../lib/cn.ts'
import { Button } from './ui/button.tsx'
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from './ui/table.tsx'

interface TestCaseTableProps {
  /** In their order. */
  cases: TestCase[]
  mayChange: boolean
}

export function TestCaseTable({ cases, mayChange }: TestCaseTableProps) {
  return (
    <Table>
      <caption className="sr-only">Test cases, in the order in which they are run</caption>
      <TableHeader>
        <tr>
          <TableHead>Case</TableHead>
          <TableHead>The user says</TableHead>
          <TableHead>Tags</TableHead>
          {mayChange && <TableHead className="text-right">Order</TableHead>}
        </tr>
      </TableHeader>
      <TableBody>
        {cases.map((testCase, i) => (
          <CaseRow
            key={testCase.id}
            testCase={testCase}
            mayChange={mayChange}
            isFirst={i === 0}
            isLast={i === cases.length - 1}
          />
        ))}
      </TableBody>
    </Table>
  )
}

interface CaseRowProps {
  testCase: TestCase
  mayChange: boolean
  isFirst: boolean
  isLast: boolean
}

function CaseRow({ testCase, mayChange, isFirst, isLast }: CaseRowProps) {
  const { id, suiteId, name, userInput, tags, isActive } = testCase
  return (
    <TableRow className={cn(!isActive && 'text-muted-foreground')}>
      <TableCell className="max-lg:block max-lg:pb-1 lg:max-w-72">
        <Link
          to={`/test-suites/${suiteId}/cases/${id}`}
          className="rounded-sm font-medium wrap-anywhere hover:text-primary hover:underline"
        >
          {name}
        </Link>
        {!isActive && <div className="text-xs">Inactive</div>}
      </TableCell>
      <TableCell data-label="The user says" className="lg:max-w-96">
        <div>
          <div className="line-clamp-2 wrap-anywhere">{userInput[0]}</div>
          {userInput.length > 1 && <div className="text-xs text-muted-foreground">{userInput.length} turns</div>}
        </div>
      </TableCell>
      <TableCell data-label="Tags" className="wrap-anywhere">
        {tags.join(', ') || '–'}
      </TableCell>
      {mayChange && (
        <TableCell className="max-lg:block max-lg:pt-2 lg:w-px lg:text-right">
          <Form method="post" preventScrollReset className="flex gap-1 lg:justify-end">
            <input type="hidden" name="caseId" value={id} />
            <MoveButton intent="up" name={name} isOff={isFirst} />
            <MoveButton intent="down" name={name} isOff={isLast} />
          </Form>
        </TableCell>
      )}
    </TableRow>
  )
}

function MoveButton({ intent, name, isOff }: { intent: 'up' | 'down'; name: string; isOff: boolean }) {
  const Icon = intent === 'up' ? ArrowUpIcon : ArrowDownIcon
  return (
    <Button
      type="submit"
      name="intent"
      value={intent}
      variant="ghost"
      size="icon"
      disabled={isOff}
      aria-label={`Move ${name} ${intent}`}
      className="disabled:opacity-30 max-lg:border lg:-my-1.5"
    >
      <Icon aria-hidden="true" />
    </Button>
  )
}
