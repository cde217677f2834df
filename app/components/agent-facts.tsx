import type { Agent } from '../lib/api-types.ts'
import { Fact, Facts } from './key-facts.tsx'
import { Badge } from './ui/badge.tsx'
import { Card } from './ui/card.tsx'

/** For those who may not change it. */
export function AgentFacts({ agent, judge }: { agent: Agent; judge: string | undefined }) {
  const { environment, isActive, tags, connector } = agent
  return (
    <Card>
      <Facts>
        <Fact term="Status">
          <AgentStatus isActive={isActive} />
        </Fact>
        <Fact term="Environment">{environment}</Fact>
        {tags.length > 0 && <Fact term="Tags">{tags.join(', ')}</Fact>}
        <Fact term="It speaks">{connector.type === 'http' ? 'JSON over HTTP' : `OpenAI-compatible, ${connector.model}`}</Fact>
        <Fact term="Address">
          <span className="font-mono text-[0.8125rem]">{connector.url}</span>
        </Fact>
        <Fact term="Judged by">{judge ?? 'The default'}</Fact>
      </Facts>
    </Card>
  )
}

export function AgentStatus({ isActive }: { isActive: boolean }) {
  return isActive ? <Badge variant="success">Active</Badge> : <Badge variant="muted">Inactive</Badge>
}
