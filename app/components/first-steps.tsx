import { CircleCheckIcon, CircleIcon } from 'lucide-react'
import { Link } from 'react-router'
import { Button } from './ui/button.tsx'
import { Card, CardDescription, CardTitle } from './ui/card.tsx'

interface FirstStepsProps {
  has: { agent: boolean; suite: boolean; judge: boolean }
  isAdmin: boolean
  mayRun: boolean
}

/** From nothing to the first run. */
export function FirstSteps({ has, isAdmin, mayRun }: FirstStepsProps) {
  const isReady = has.agent && has.suite && has.judge
  const steps = [
    { what: 'Register an agent', why: 'Its address, and how to talk to it.', to: '/agents/new', isDone: has.agent, may: isAdmin },
    {
      what: 'Say how replies are judged',
      why: 'By rules, by a model, or both.',
      to: '/judge-settings/new',
      isDone: has.judge,
      may: isAdmin,
    },
    {
      what: 'Write a test suite',
      why: 'Cases: what a user says, and what a good reply does.',
      to: '/test-suites/new',
      isDone: has.suite,
      may: isAdmin,
    },
    { what: 'Run it', why: 'Here, or from a pipeline with an API key.', to: '/runs/new', isDone: false, may: mayRun && isReady },
  ]
  const next = steps.find(({ isDone }) => !isDone)
  return (
    <Card>
      <div className="grid gap-1">
        <CardTitle>Nothing was run yet</CardTitle>
        {!isAdmin && !isReady && <CardDescription>An admin sets up what a run needs.</CardDescription>}
      </div>
      <ol className="grid gap-4">
        {steps.map(({ what, why, to, isDone, may }) => (
          <li key={what} className="flex items-start gap-3 text-sm">
            {isDone ? (
              <CircleCheckIcon aria-hidden="true" className="size-5 shrink-0 text-success" />
            ) : (
              <CircleIcon aria-hidden="true" className="size-5 shrink-0 text-muted-foreground" />
            )}
            <div className="grid min-w-0 grow gap-0.5">
              <p className="font-medium">
                {what}
                {isDone && <span className="sr-only"> (done)</span>}
              </p>
              <p className="text-muted-foreground">{why}</p>
            </div>
            {may && !isDone && (
              <Button asChild size="sm" variant={next?.what === what ? 'default' : 'outline'}>
                <Link to={to} aria-label={`Start: ${what}`}>
                  Start
                </Link>
              </Button>
            )}
          </li>
        ))}
      </ol>
    </Card>
  )
}
