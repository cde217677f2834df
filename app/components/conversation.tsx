import type { TranscriptMessage } from '../lib/api-types.ts'
import { cn } from '../lib/cn.ts'
import { duration } from '../lib/numbers.ts'

/** What was said, in order: the test case on the right, as one's own messages stand in a chat. */
export function Conversation({ messages }: { messages: TranscriptMessage[] }) {
  return (
    <ol className="grid gap-4">
      {messages.map((message) => (
        <Message key={`${message.turnIndex} ${message.role}`} message={message} />
      ))}
    </ol>
  )
}

function Message({ message: { role, content, raw, latencyMs } }: { message: TranscriptMessage }) {
  const isUser = role === 'user'
  return (
    <li className={cn('grid max-w-[85%] min-w-0 gap-1', isUser ? 'justify-items-end justify-self-end' : 'justify-self-start')}>
      <p className="text-xs text-muted-foreground">
        {isUser ? 'Test case' : 'Agent'}
        {latencyMs !== null && ` · ${duration(latencyMs)}`}
      </p>
      <p
        className={cn(
          'max-w-full rounded-lg px-3.5 py-2.5 text-sm wrap-anywhere whitespace-pre-wrap',
          isUser ? 'bg-primary/10' : 'bg-muted',
        )}
      >
        {content || <span className="text-muted-foreground">An empty message</span>}
      </p>
      {raw !== null && raw !== content && (
        <details className="min-w-0 text-xs text-muted-foreground">
          <summary className="rounded-sm hover:text-foreground">The answer as it came</summary>
          <pre className="mt-1.5 rounded-md border p-3 font-mono wrap-anywhere whitespace-pre-wrap">{raw}</pre>
        </details>
      )}
    </li>
  )
}
