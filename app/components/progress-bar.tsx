import { useNavigation } from 'react-router'

/** Starts late, so that a quick answer shows nothing; what is under way is said by the button that was pressed. */
export function ProgressBar() {
  if (useNavigation().state === 'idle') return null
  return <div aria-hidden="true" className="fixed inset-x-0 top-0 z-40 h-0.5 origin-left animate-progress bg-primary" />
}
