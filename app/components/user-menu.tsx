import { ChevronDownIcon, LogOutIcon } from 'lucide-react'
import { useEffect, useRef } from 'react'
import { Form, Link, useLocation } from 'react-router'
import type { Role } from '../context.ts'
import { isAdminRole } from '../lib/roles.ts'
import { ThemeForm } from './theme-form.tsx'
import { Button } from './ui/button.tsx'

export interface MenuUser {
  name: string
  email: string
  role: Role
  tenantName: string
}

/** A native disclosure, so that it opens without JavaScript; with it, it also closes as people expect of a menu. */
export function UserMenu({ user }: { user: MenuUser }) {
  const ref = useRef<HTMLDetailsElement>(null)
  const { key } = useLocation()
  useEffect(() => {
    if (key && ref.current) ref.current.open = false
  }, [key])
  useEffect(() => closeWhenLeft(ref.current), [])
  return (
    <details ref={ref} className="group relative ml-auto">
      <summary className="flex h-9 list-none items-center gap-2 rounded-md px-2 text-sm hover:bg-accent [&::-webkit-details-marker]:hidden">
        <span className="max-w-[9rem] truncate text-muted-foreground">{user.tenantName}</span>
        <span className="max-w-[7rem] truncate font-medium max-sm:sr-only">{user.name}</span>
        <ChevronDownIcon aria-hidden="true" className="size-4 text-muted-foreground transition-transform group-open:rotate-180" />
      </summary>
      <div className="absolute right-0 z-20 mt-1 grid w-64 gap-3 rounded-lg border bg-popover p-4 text-sm text-popover-foreground shadow-lg">
        <div className="grid gap-0.5">
          <p className="font-medium wrap-anywhere">{user.name}</p>
          <p className="wrap-anywhere text-muted-foreground">{user.email}</p>
          <p className="text-muted-foreground">
            {user.role} in {user.tenantName}
          </p>
        </div>
        <Link to="/account" className="w-fit rounded-sm underline-offset-4 hover:underline">
          Account
        </Link>
        {isAdminRole(user.role) && (
          <Link to="/sign-in-policy" className="rounded-sm border-t pt-3 hover:text-primary hover:underline">
            Sign-in policy
          </Link>
        )}
        <ThemeForm />
        <Form method="post" action="/sign-out" className="border-t pt-3">
          <Button type="submit" variant="outline" size="sm" className="w-full">
            <LogOutIcon aria-hidden="true" />
            Sign out
          </Button>
        </Form>
      </div>
    </details>
  )
}

function closeWhenLeft(menu: HTMLDetailsElement | null) {
  if (!menu) return
  const onPointer = (event: Event) => {
    if (event.target instanceof Node && !menu.contains(event.target)) menu.open = false
  }
  const onKey = (event: KeyboardEvent) => {
    if (event.key !== 'Escape' || !menu.open) return
    menu.open = false
    menu.querySelector('summary')?.focus()
  }
  document.addEventListener('pointerdown', onPointer)
  document.addEventListener('keydown', onKey)
  return () => {
    document.removeEventListener('pointerdown', onPointer)
    document.removeEventListener('keydown', onKey)
  }
}
