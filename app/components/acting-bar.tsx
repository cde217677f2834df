import { Form } from 'react-router'
import { Button } from './ui/button.tsx'

/** On top of every page while a SuperAdmin acts in another tenant. It goes when they leave, and can't be dismissed. */
export function ActingBar({ tenant: { name, isActive } }: { tenant: { name: string; isActive: boolean } }) {
  return (
    <section aria-label="Acting in another tenant" className="sticky top-0 z-40 bg-warning text-background">
      <div className="mx-auto flex max-w-7xl flex-wrap items-center justify-between gap-x-6 gap-y-1 px-4 py-1.5 text-sm sm:px-6">
        <p className="min-w-0 wrap-anywhere">
          Acting in <strong className="font-semibold">{name}</strong> as SuperAdmin
          {!isActive && '. It is deactivated: you can look, and change nothing'}
        </p>
        <Form method="post" action="/tenants/leave">
          <Button
            type="submit"
            variant="ghost"
            size="xs"
            className="-mx-2.5 underline underline-offset-4 hover:bg-background hover:text-foreground focus-visible:outline-background"
          >
            Leave
          </Button>
        </Form>
      </div>
    </section>
  )
}
