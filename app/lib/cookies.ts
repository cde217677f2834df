// The cookies of the pages: the notice that follows a redirect, the chosen theme, and how dates are written.
import { createCookie } from 'react-router'
import { asDateStyle, type DateStyle } from './dates.ts'

export const themes = ['system', 'light', 'dark'] as const
export type Theme = (typeof themes)[number]

const flashCookie = createCookie('flash', { path: '/', httpOnly: true, sameSite: 'lax', maxAge: 60 })
const themeCookie = createCookie('theme', { path: '/', httpOnly: true, sameSite: 'lax', maxAge: 31_536_000 })
const datesCookie = createCookie('dates', { path: '/', httpOnly: true, sameSite: 'lax', maxAge: 31_536_000 })

interface Site {
  origin: string
}

const isSecure = ({ origin }: Site) => ({ secure: origin.startsWith('https:') })

/** Headers that make the next page show a notice, once. */
export async function flashHeaders(site: Site, notice: string): Promise<{ 'Set-Cookie': string }> {
  return { 'Set-Cookie': await flashCookie.serialize(notice, isSecure(site)) }
}

/** The notice that the last action left, and the headers that take it away. */
export async function takeFlash(request: Request, site: Site): Promise<{ flash: string | null; headers: HeadersInit }> {
  const notice: unknown = await flashCookie.parse(request.headers.get('Cookie')).catch(() => null)
  if (typeof notice !== 'string') return { flash: null, headers: {} }
  return { flash: notice, headers: { 'Set-Cookie': await flashCookie.serialize('', { ...isSecure(site), maxAge: 0 }) } }
}

export async function readTheme(request: Request): Promise<Theme> {
  const theme: unknown = await themeCookie.parse(request.headers.get('Cookie')).catch(() => null)
  return themes.find((known) => known === theme) ?? 'system'
}

export async function themeHeaders(site: Site, theme: unknown): Promise<{ 'Set-Cookie': string }> {
  return { 'Set-Cookie': await themeCookie.serialize(themes.find((known) => known === theme) ?? 'system', isSecure(site)) }
}

export async function readDateStyle(request: Request): Promise<DateStyle> {
  return asDateStyle(await datesCookie.parse(request.headers.get('Cookie')).catch(() => null))
}

export async function dateStyleHeader(site: Site, style: unknown): Promise<string> {
  return datesCookie.serialize(asDateStyle(style), isSecure(site))
}
