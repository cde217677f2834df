// axe on the page as it stands, in both themes.
import type { Page } from '@playwright/test'
import axe from 'axe-core'
import { expect } from 'vitest'

/** The rules of axe, all of them or `only` these, that the page violates, with the elements. */
async function findViolations(page: Page, only?: string[]): Promise<string[]> {
  const isThere = await page.evaluate(() => 'axe' in window)
  // Once a page, and not through its builder, which sends half a megabyte with each look: that was most of the time.
  if (!isThere) await page.evaluate(axe.source)
  return page.evaluate(async (rules) => {
    const { run } = Reflect.get(window, 'axe') as typeof axe
    const { violations } = await run({ resultTypes: ['violations'], ...(rules ? { runOnly: rules } : {}) })
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`)
  }, only)
}

export async function expectAccessible(page: Page): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    // Colours that are still on their way from one theme to the other have neither's contrast; those in a closed <details>
    // stand still until it is opened. One that is cut off, by what a page loads anew, is over as well.
    await page.evaluate(() => {
      const isShown = ({ effect }: Animation) => (effect as KeyframeEffect | null)?.target?.checkVisibility() ?? false
      return Promise.all(
        document
          .getAnimations()
          .filter(isShown)
          .map(({ finished }) => finished.catch(() => {})),
      )
    })
    // Of its rules, only the contrasts depend on the theme.
    const found = await findViolations(page, colorScheme === 'light' ? undefined : ['color-contrast'])
    expect({ at: page.url(), colorScheme, found }).toEqual({ at: page.url(), colorScheme, found: [] })
  }
}
