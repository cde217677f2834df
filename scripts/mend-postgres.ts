// Mends postgres.js 3.4.9 in the build: see docs/decisions/0017. Goes when a release has porsager/postgres#1208 fixed.
import type { Plugin } from 'vite'

const mends: [unmended: string, mended: string][] = [
  // Rejected, and not queued: the connection is in the queue of the closed ones already, and stays there for who connects next.
  [
    '  function execute(q) {\n',
    `  function execute(q) {
    if (socket === null) {
      queryError(q, Errors.connection('CONNECTION_CLOSED', options))
      return true
    }
`,
  ],
  // What was not written yet would go in front of the next connection's first message, and would keep that from being sent.
  [
    '    incomings = null\n    clearImmediate(nextWriteTimer)\n',
    '    incomings = null\n    clearImmediate(nextWriteTimer)\n    chunk = nextWriteTimer = null\n',
  ],
  // Also after an error: what was sent between that and this would never be settled, and the next connection wait for it.
  ['    !hadError && (query || sent.length) && error(', '    ;(query || sent.length) && error('],
]

/** What is sent on a connection that was lost meanwhile is rejected, where it ended the process or was waited for without end. */
export function mendPostgres(): Plugin {
  return {
    name: 'mend-postgres',
    transform: {
      filter: { id: /\/node_modules\/postgres\/src\/connection\.js$/ },
      handler(code) {
        let mended = code
        for (const [before, after] of mends) {
          if (mended.split(before).length !== 2) throw new Error('postgres.js is not what scripts/mend-postgres.ts mends.')
          mended = mended.replace(before, () => after)
        }
        return { code: mended, map: null }
      },
    },
  }
}
