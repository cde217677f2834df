// What a browser gets of /api-keys: compressed JavaScript, largest paint, shift of layout, blocked time.
import { chromium } from '@playwright/test'
import { type Bench, builtServer } from '../bench.ts'
import { median } from '../measure.ts'
import { signIn } from '../session.ts'

interface Seen {
  scriptBytes: number
  lcpMs: number
  cls: number
  tbtMs: number
}

export async function browser({ isQuick, url, report, start }: Bench): Promise<void> {
  const server = await start(builtServer)
  const cookie = await signIn(url)
  const [name = '', value = ''] = cookie.split(/=(.*)/s)
  const executablePath = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium'
  const chromiumBrowser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] })
  const loads: Seen[] = []
  try {
    for (let i = 0; i < (isQuick ? 2 : 7); i++) {
      // A context of its own has an empty cache.
      const context = await chromiumBrowser.newContext({ viewport: { width: 1280, height: 900 } })
      await context.addCookies([{ name, value, url: server.url }])
      const page = await context.newPage()
      await page.addInitScript(observe)
      const answer = await page.goto(`${server.url}/api-keys`, { waitUntil: 'networkidle' })
      if (answer?.status() !== 200 || !page.url().endsWith('/api-keys'))
        throw new Error(`/api-keys: ${answer?.status()} ${page.url()}`)
      loads.push(await page.evaluate(read))
      await context.close()
    }
  } finally {
    await chromiumBrowser.close()
  }

  const mid = (pick: (seen: Seen) => number) => median(loads.map(pick))
  const kilobytes = mid(({ scriptBytes }) => scriptBytes) / 1_000
  report.heading(
    '/api-keys in a browser',
    `1,000 keys, empty cache, 1280 × 900, Chromium ${chromiumBrowser.version()} on the same machine, medians of ${loads.length} loads.`,
  )
  report.table(
    ['JavaScript, compressed', 'LCP', 'CLS', 'TBT'],
    [
      [
        `${kilobytes.toFixed(0)} kB`,
        `${mid(({ lcpMs }) => lcpMs).toFixed(0)} ms`,
        mid(({ cls }) => cls).toFixed(3),
        `${mid(({ tbtMs }) => tbtMs).toFixed(0)} ms`,
      ],
    ],
  )
  report.verdict('6 JavaScript of /api-keys ≤ 150 kB compressed', `${kilobytes.toFixed(0)} kB`, kilobytes <= 150)
}

/** In the page, before anything of it: keeps what the browser reports. */
function observe(): void {
  const seen = { lcpMs: 0, cls: 0, tbtMs: 0 }
  Reflect.set(window, 'seenByBench', seen)
  const watch = (type: string, each: (entry: PerformanceEntry) => void) =>
    new PerformanceObserver((list) => list.getEntries().forEach(each)).observe({ type, buffered: true })
  watch('largest-contentful-paint', ({ startTime }) => {
    seen.lcpMs = startTime
  })
  watch('layout-shift', (entry) => {
    if (!Reflect.get(entry, 'hadRecentInput')) seen.cls += Number(Reflect.get(entry, 'value'))
  })
  watch('longtask', ({ duration }) => {
    seen.tbtMs += Math.max(0, duration - 50)
  })
}

/** In the page, once it is quiet. */
function read(): Seen {
  const resources = performance.getEntriesByType('resource') as PerformanceResourceTiming[]
  const scripts = resources.filter(({ name }) => new URL(name).pathname.endsWith('.js'))
  return {
    scriptBytes: scripts.reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0),
    ...Reflect.get(window, 'seenByBench'),
  }
}
