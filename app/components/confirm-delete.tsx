import { Link } from 'react-router'
import { BackLink } from './back-link.tsx'
import { Consequences } from './consequences.tsx'
import { PageHeader } from './page-header.tsx'
import { PostForm, SubmitButton } from './post-form.tsx'
import { Button } from './ui/button.tsx'
import { Card } from './ui/card.tsx'

interface ConfirmDeleteProps {
  /** E.g. “agent”. */
  what: string
  name: string
  /** Where it is shown; Cancel leads back there. */
  to: string
  consequences: string[]
}

/** A page of its own, so that it works without JavaScript. */
export function ConfirmDelete({ what, name, to, consequences }: ConfirmDeleteProps) {
  return (
    <div className="mx-auto max-w-xl">
      <BackLink to={to}>{name}</BackLink>
      <PageHeader title={`Delete this ${what}?`} description={<span className="wrap-anywhere">{name}</span>} />
      <Card>
        <Consequences>
          {consequences.map((consequence) => (
            <li key={consequence}>{consequence}</li>
          ))}
        </Consequences>
        <PostForm className="flex gap-2">
          <SubmitButton variant="destructive" pending="Deleting…">
            Delete {what}
          </SubmitButton>
          <Button asChild variant="ghost">
            <Link to={to}>Cancel</Link>
          </Button>
        </PostForm>
      </Card>
    </div>
  )
}
