import { defineConfig } from 'vitest/config'
import base from './vitest.config.ts'

// What the default suite does at more than a hundredth already is only repeated for the whole.
const isFull = process.env.MATE_FAULTS_SCALE === '1'
const alsoWhole = isFull ? ['tests/crash.test.ts', 'tests/revoke-race.test.ts', 'tests/run-crash.test.ts'] : []

// No more at once than a small machine has cores: some of these tests measure how soon an answer comes.
export default defineConfig({ test: { ...base.test, maxWorkers: 2, include: ['tests/faults/*.fault.ts', ...alsoWhole] } })
