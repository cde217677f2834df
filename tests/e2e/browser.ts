// Finds a Chromium for the browser tests, and opens pages in it.
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Browser, type BrowserContextOptions, chromium, type Page } from '@playwright/test'
import { onTestFinished } from 'vitest'

const names = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome', 'chrome']
const macPaths = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
]

/**
 * CHROMIUM_PATH, else a browser on the machine, else Playwright's own download, else Debian's package when we are root.
 * @returns the executable's path. @throws Error of one line when all four fail.
 */
export function findBrowser(): string {
  const given = process.env.CHROMIUM_PATH
  if (given) {
    if (isExecutable(given)) return given
    throw new Error(`CHROMIUM_PATH is ${given}, which is not an executable file.`)
  }
  const found = onMachine() ?? playwrightsOwn() ?? fromDebian()
  if (found) return found
  throw new Error(
    'The browser tests need Chromium: set CHROMIUM_PATH, install Chromium or Chrome, or run `npx playwright install chromium` (that, and apt-get install chromium, were tried here and failed).',
  )
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function onMachine(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return [...folders.flatMap((folder) => names.map((name) => join(folder, name))), ...macPaths].find(isExecutable)
}

function playwrightsOwn(): string | undefined {
  if (isExecutable(chromium.executablePath())) return chromium.executablePath()
  const run = spawnSync('playwright', ['install', 'chromium'], { stdio: 'ignore', timeout: 180_000 })
  return run.status === 0 && isExecutable(chromium.executablePath()) ? chromium.executablePath() : undefined
}

function fromDebian(): string | undefined {
  if (process.getuid?.() !== 0 || !isExecutable('/usr/bin/apt-get')) return undefined
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  spawnSync('apt-get', ['update'], { stdio: 'ignore', env })
  spawnSync('apt-get', ['install', '-y', 'chromium'], { stdio: 'ignore', env })
  return onMachine()
}

export function launchBrowser(executablePath: string): Promise<Browser> {
  return chromium.launch({
    executablePath,
    // Root has no sandbox; without the others Chromium calls home at its start.
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  })
}

export interface OpenedPage {
  page: Page
  /** What the page did that it must not: requests to other origins, policy violations, errors. Empty when all is well. */
  faults: string[]
}

/** A page in a context of its own, which ends with the test. */
export async function openPage(browser: Browser, origin: string, options: BrowserContextOptions = {}): Promise<OpenedPage> {
  const context = await browser.newContext({ baseURL: origin, viewport: { width: 1280, height: 900 }, ...options })
  onTestFinished(() => context.close())
  // As long as a busy machine needs: what never comes is told by the test's own limit as well.
  context.setDefaultTimeout(60_000)
  const page = await context.newPage()
  const faults: string[] = []
  page.on('request', (request) => {
    const url = request.url()
    if (!url.startsWith(origin) && !url.startsWith('data:') && !url.startsWith('blob:')) faults.push(`request to ${url}`)
  })
  page.on('pageerror', (error) => faults.push(`error: ${error.message}`))
  page.on('console', (message) => {
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) faults.push(`console: ${message.text()}`)
  })
  return { page, faults }
}
