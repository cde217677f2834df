import { Link } from 'react-router'
import type { Run } from '../lib/api-types.ts'
import { PostForm, SubmitButton } from './post-form.tsx'
import { isGoing } from './run-status.tsx'
import { Button } from './ui/button.tsx'

interface RunActionsProps {
  run: Run
  may: { cancel: boolean; run: boolean; delete: boolean }
}

/** Only what the run's status and the user's role permit. */
export function RunActions({ run, may }: RunActionsProps) {
  if (isGoing(run)) {
    if (!may.cancel) return null
    return (
      <PostForm>
        <SubmitButton pending="Cancelling…" variant="outline">
          Cancel run
        </SubmitButton>
      </PostForm>
    )
  }
  return (
    <>
      {may.delete && (
        <Button asChild variant="outline" className="text-destructive hover:text-destructive">
          <Link to={`/runs/${run.id}/delete`}>Delete</Link>
        </Button>
      )}
      {may.run && run.suiteId && run.agentId && (
        <Button asChild variant="outline">
          <Link to={`/runs/new?suiteId=${run.suiteId}&agentId=${run.agentId}`}>Run again</Link>
        </Button>
      )}
    </>
  )
}
