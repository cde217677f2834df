// When a new key expires: the choices of the form, and the instant that each of them means.
import { isDay } from './search-params.ts'

const dayMs = 86_400_000
const periods = [7, 30, 90, 365]
const preferredDays = 90

export interface ExpiryChoices {
  days: number[]
  preselected: string
  mayNeverExpire: boolean
  /** Calendar days in UTC, for a date field. */
  firstDay: string
  lastDay: string | undefined
}

/** @param maxDays the deployment's longest life of a key; null for none. */
export function expiryChoices(maxDays: number | null, now = Date.now()): ExpiryChoices {
  const days = periods.filter((period) => maxDays === null || period <= maxDays)
  const preselected = days.findLast((period) => period <= preferredDays)
  return {
    days,
    preselected: preselected === undefined ? 'date' : String(preselected),
    mayNeverExpire: maxDays === null,
    firstDay: dayOf(now),
    // A chosen day counts to its end, so the last one that fits lies a day before the limit.
    lastDay: maxDays === null ? undefined : dayOf(now + (maxDays - 1) * dayMs),
  }
}

/** The instant, undefined for a key that never expires, or null when the form holds no such choice. */
export function expiresAtOf(expiry: string, day: string, now = Date.now()): string | undefined | null {
  if (expiry === 'never') return undefined
  if (expiry === 'date') return isDay(day) ? `${day}T23:59:59Z` : null
  const days = periods.find((period) => String(period) === expiry)
  return days === undefined ? null : new Date(now + days * dayMs).toISOString()
}

function dayOf(instant: number): string {
  return new Date(instant).toISOString().slice(0, 10)
}

const soonDays = 14

/** Of keys in the order of their expiry, those whose end is near: as the first notice of it. */
export function expiringSoon<T extends { expiresAt: string | null }>(keys: T[], now = Date.now()): T[] {
  return keys.filter(({ expiresAt }) => expiresAt !== null && Date.parse(expiresAt) < now + soonDays * dayMs)
}
