import { MonitorIcon, MoonIcon, SunIcon } from 'lucide-react'
import { useFetcher, useLocation, useRouteLoaderData } from 'react-router'
import type { loader } from '../root.tsx'

const choices = [
  { theme: 'light', label: 'Light', Icon: SunIcon },
  { theme: 'dark', label: 'Dark', Icon: MoonIcon },
  { theme: 'system', label: 'System', Icon: MonitorIcon },
] as const

/** A fetcher, so that with JavaScript the page stays as it is: it may be showing a new key. */
export function ThemeForm() {
  const fetcher = useFetcher()
  const { pathname, search } = useLocation()
  const chosen = useRouteLoaderData<typeof loader>('root')?.theme
  return (
    <fetcher.Form method="post" action="/theme">
      <input type="hidden" name="redirectTo" value={pathname + search} />
      <fieldset className="grid grid-cols-3 rounded-md border p-0.5">
        <legend className="sr-only">Theme</legend>
        {choices.map(({ theme, label, Icon }) => (
          <button
            key={theme}
            type="submit"
            name="theme"
            value={theme}
            aria-pressed={theme === chosen}
            className="flex h-7 items-center justify-center gap-1.5 rounded-sm text-xs text-muted-foreground hover:text-foreground aria-pressed:bg-accent aria-pressed:text-accent-foreground"
          >
            <Icon aria-hidden="true" className="size-3.5" />
            {label}
          </button>
        ))}
      </fieldset>
    </fetcher.Form>
  )
}
