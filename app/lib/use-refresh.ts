import { useEffect } from 'react'
import { useRevalidator } from 'react-router'

/** Loads the page's data again every so often while `isOn`, and the page is looked at. */
export function useRefresh(isOn: boolean, everyMs: number): void {
  const { revalidate, state } = useRevalidator()
  useEffect(() => {
    if (!isOn || state !== 'idle') return
    const timer = setInterval(() => {
      if (!document.hidden) revalidate()
    }, everyMs)
    return () => clearInterval(timer)
  }, [isOn, everyMs, state, revalidate])
}
