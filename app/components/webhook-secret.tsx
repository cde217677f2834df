import { Link } from 'react-router'
import { useSecretUntilLeft } from '../lib/use-secret-until-left.ts'
import { PageHeader } from './page-header.tsx'
import { SecretField } from './secret-field.tsx'
import { Button } from './ui/button.tsx'
import { Card } from './ui/card.tsx'

interface WebhookSecretProps {
  webhook: { id: string; url: string; secret: string }
  /** What happens to the secret before this one. */
  note?: string
}

/** The only time that a webhook's secret is shown. */
export function WebhookSecret({ webhook, note }: WebhookSecretProps) {
  const to = `/webhooks/${webhook.id}`
  const secret = useSecretUntilLeft(webhook, 'secret', to)
  return (
    <div className="mx-auto max-w-2xl">
      <PageHeader title="Copy the secret now" description={<span className="wrap-anywhere">{webhook.url}</span>} />
      <Card>
        <SecretField
          id="secret"
          label="Signing secret"
          value={secret}
          warning="You will not see it again. The receiver needs it to check signatures."
        />
        {note && <p className="text-sm text-muted-foreground">{note}</p>}
        <Button asChild variant="outline" className="justify-self-start self-start">
          <Link to={to}>Done</Link>
        </Button>
      </Card>
    </div>
  )
}
