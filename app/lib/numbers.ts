// Numbers of runs in words: the same text on the server and in the browser.

/** `0.825` → `82.5 %`; a rate is rounded down, so that only all is 100 %. */
export function percent(rate: number | null): string {
  return rate === null ? '–' : `${(Math.floor(rate * 1000 + 1e-6) / 10).toLocaleString('en-GB')} %`
}

/** `840 ms`, `1.25 s`. */
export function duration(ms: number | null): string {
  if (ms === null) return '–'
  return ms < 1000
    ? `${Math.round(ms)} ms`
    : `${(ms / 1000).toLocaleString('en-GB', { maximumFractionDigits: ms < 10_000 ? 2 : 1 })} s`
}

export function score(value: number | null): string {
  return value === null ? '–' : value.toFixed(2)
}
