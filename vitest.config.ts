import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    globalSetup: ['tests/global-setup.ts'],
    setupFiles: ['tests/outbound.ts'],
    environment: 'node',
    pool: 'forks',
    // One more than the cores of a small machine: many tests wait for processes, and the clock.
    maxWorkers: 3,
    // So long that only what hangs reaches it, on a machine that is slow and shared.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // A test that is left out, or a focus that leaves others out, fails the run.
    allowOnly: false,
    passWithNoTests: false,
  },
})
