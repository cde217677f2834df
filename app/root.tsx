import { type ReactNode, useEffect, useRef } from 'react'
import { data, Links, Meta, Outlet, Scripts, ScrollRestoration, useLocation, useRouteLoaderData } from 'react-router'
import type { Route } from './+types/root'
import './app.css'
import { ActingBar } from './components/acting-bar.tsx'
import { Notice } from './components/notice.tsx'
import { describeError, ProblemPage } from './components/problem-page.tsx'
import { ProgressBar } from './components/progress-bar.tsx'
import { SiteHeader } from './components/site-header.tsx'
import { pageContext } from './context.ts'
import { readDateStyle, readTheme, takeFlash } from './lib/cookies.ts'
import { isAdminRole } from './lib/roles.ts'
import { titled } from './lib/titles.ts'

export async function loader({ request, context }: Route.LoaderArgs) {
  const page = context.get(pageContext)
  const { flash, headers } = await takeFlash(request, page)
  const user = page.user && {
    name: page.user.name,
    email: page.user.email,
    role: page.user.role,
    tenantName: page.user.tenant.name,
  }
  const actingTenant = page.user?.actingTenant ?? null
  const look = { theme: await readTheme(request), dates: await readDateStyle(request) }
  return data({ user, actingTenant, isAdmin: isAdminRole(user?.role), ...look, flash }, { headers })
}

export function meta({ error }: Route.MetaArgs) {
  return titled(error ? describeError(error).title : 'mate')
}

/** Around pages and error pages alike. */
export function Layout({ children }: { children: ReactNode }) {
  const root = useRouteLoaderData<typeof loader>('root')
  useFocusAfterNavigation()
  return (
    <html lang="en" data-theme={root?.theme ?? 'system'}>
      <head>
        <meta charSet="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex" />
        <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
        <Meta />
        <Links />
      </head>
      <body className="flex min-h-dvh flex-col">
        <a
          href="#main"
          className="sr-only z-50 rounded-md bg-primary px-4 py-2 text-sm font-medium text-primary-foreground focus:not-sr-only focus:fixed focus:top-2 focus:left-2"
        >
          Skip to content
        </a>
        <ProgressBar />
        {root?.actingTenant && <ActingBar tenant={root.actingTenant} />}
        <SiteHeader user={root?.user ?? null} isAdmin={root?.isAdmin ?? false} />
        <main id="main" tabIndex={-1} className="mx-auto w-full max-w-7xl flex-1 px-4 py-6 outline-none sm:px-6 sm:py-8">
          {children}
        </main>
        <Notice text={root?.flash ?? null} shownBy={root} />
        <ScrollRestoration />
        <Scripts />
      </body>
    </html>
  )
}

/** A navigation in place leaves the focus on what is gone; the new page's heading says where one is. */
function useFocusAfterNavigation() {
  const { pathname } = useLocation()
  const previous = useRef(pathname)
  useEffect(() => {
    if (previous.current === pathname) return
    previous.current = pathname
    document.querySelector('h1')?.focus({ preventScroll: true })
  }, [pathname])
}

export default function App() {
  return <Outlet />
}

export function ErrorBoundary({ error }: Route.ErrorBoundaryProps) {
  return <ProblemPage error={error} />
}
