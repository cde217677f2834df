import { BookOpenIcon, DownloadIcon } from 'lucide-react'
import { CodeBlock } from './code-block.tsx'
import { Button } from './ui/button.tsx'
import { Card, CardDescription, CardTitle } from './ui/card.tsx'

/** Plain links: the server answers them, not a page. */
export function ExplorerLinks() {
  return (
    <div className="flex flex-wrap gap-2">
      <Button asChild variant="outline" size="sm">
        <a href="/scalar/v1">
          <BookOpenIcon aria-hidden="true" />
          Scalar UI
        </a>
      </Button>
      <Button asChild variant="outline" size="sm">
        <a href="/openapi/v1.json" download="mate-openapi.json">
          <DownloadIcon aria-hidden="true" />
          OpenAPI JSON
        </a>
      </Button>
    </div>
  )
}

const securityNotes = [
  'Never commit a key to source control: keep it in a secret store or an environment variable.',
  'Choose the lowest role that does the job.',
  'Rotate keys regularly, and revoke any key that may have been exposed.',
  'Keys are stored as SHA-256 hashes: mate cannot recover a lost key.',
]

export function ApiExplorer({ origin }: { origin: string }) {
  return (
    <section id="api-explorer" aria-labelledby="api-explorer-title" className="mt-10">
      <Card>
        <div className="flex flex-wrap items-start justify-between gap-x-6 gap-y-3">
          <div className="grid gap-1">
            <CardTitle id="api-explorer-title">API Explorer</CardTitle>
            <CardDescription>Read what each operation takes and answers, and send test requests with your key.</CardDescription>
          </div>
          <ExplorerLinks />
        </div>
        <div className="grid gap-6 border-t pt-5 lg:grid-cols-2">
          <div className="grid min-w-0 content-start gap-3">
            <h3 className="text-sm font-medium">How to use a key</h3>
            <p className="text-sm text-muted-foreground">Send it with every request, in either of two headers.</p>
            <CodeBlock label="X-API-Key header" code={`curl -H "X-API-Key: your-api-key-here" \\\n  ${origin}/api/agents`} />
            <CodeBlock
              label="Authorization header"
              code={`curl -H "Authorization: ApiKey your-api-key-here" \\\n  ${origin}/api/agents`}
            />
          </div>
          <div className="grid content-start gap-3">
            <h3 className="text-sm font-medium">Security notes</h3>
            <ul className="grid list-disc gap-2 pl-5 text-sm text-muted-foreground">
              {securityNotes.map((note) => (
                <li key={note}>{note}</li>
              ))}
            </ul>
          </div>
        </div>
      </Card>
    </section>
  )
}
