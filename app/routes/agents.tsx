import { data, Link } from 'react-router'
import { AgentStatus } from '../components/agent-facts.tsx'
import { ListPage } from '../components/list-page.tsx'
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from '../components/ui/table.tsx'
import { pageContext } from '../context.ts'
import type { Agent } from '../lib/api-types.ts'
import { listOrProblem } from '../lib/list-or-problem.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/agents'

export async function loader({ url, context }: Route.LoaderArgs) {
  const { api, may } = context.get(pageContext)
  const mayAdd = may('agents.create')
  const cursor = url.searchParams.get('cursor') || undefined
  const { items: agents, nextCursor, problem } = await listOrProblem(() => api.agents.list({ cursor }))
  return data({ agents, nextCursor, mayAdd, problem }, { status: problem?.status ?? 200 })
}

export const meta: Route.MetaFunction = () => titled('Agents')

export default function Agents({ loaderData: { agents, nextCursor, mayAdd, problem } }: Route.ComponentProps) {
  return (
    <ListPage
      title="Agents"
      description="What your test suites talk to."
      add={mayAdd ? { to: '/agents/new', label: 'Register Agent' } : null}
      empty={{
        title: 'No agents yet',
        text: mayAdd ? 'Register one: mate needs its address, and how to talk to it.' : 'An admin registers them.',
      }}
      isEmpty={agents.length === 0}
      problem={problem}
      nextCursor={nextCursor}
    >
      <AgentTable agents={agents} />
    </ListPage>
  )
}

function AgentTable({ agents }: { agents: Agent[] }) {
  return (
    <Table>
      <caption className="sr-only">Agents</caption>
      <TableHeader>
        <tr>
          {['Name', 'Address', 'Environment', 'Tags', 'Status'].map((column) => (
            <TableHead key={column}>{column}</TableHead>
          ))}
        </tr>
      </TableHeader>
      <TableBody>
        {agents.map(({ id, name, description, connector, environment, tags, isActive }) => (
          <TableRow key={id}>
            <TableCell className="max-lg:block max-lg:pb-1 lg:max-w-80">
              <Link to={`/agents/${id}`} className="rounded-sm font-medium wrap-anywhere hover:text-primary hover:underline">
                {name}
              </Link>
              {description && <div className="line-clamp-1 text-xs wrap-anywhere text-muted-foreground">{description}</div>}
            </TableCell>
            <TableCell data-label="Address" className="lg:max-w-80">
              <span className="font-mono text-[0.8125rem] wrap-anywhere">{connector.url}</span>
            </TableCell>
            <TableCell data-label="Environment">{environment}</TableCell>
            <TableCell data-label="Tags">{tags.join(', ') || '–'}</TableCell>
            <TableCell data-label="Status">
              <AgentStatus isActive={isActive} />
            </TableCell>
          </TableRow>
        ))}
      </TableBody>
    </Table>
  )
}
