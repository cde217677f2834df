// axe on the page as it stands, in both themes.
import { AxeBuilder } from '@axe-core/playwright'
import type { Page } from '@playwright/test'
import { expect } from 'vitest'

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
    const axe = new AxeBuilder({ page }).setLegacyMode()
    const { violations } = await (colorScheme === 'light' ? axe : axe.withRules('color-contrast')).analyze()
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`)
    expect({ at: page.url(), colorScheme, found }).toEqual({ at: page.url(), colorScheme, found: [] })
  }
}
