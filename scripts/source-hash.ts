// Tells whether build/ was made from the sources as they are.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const stampFile = 'build/.sources'

const folders = ['app', 'server', 'db', 'public']
const files = ['package-lock.json', 'vite.config.ts', 'react-router.config.ts', 'scripts/build.ts', 'scripts/mend-postgres.ts']

/** SHA-256 over the names and contents of everything that the build reads. */
export function sourceHash(): string {
  const hash = createHash('sha256')
  const found = folders
    .filter((folder) => existsSync(folder))
    .flatMap((folder) =>
      readdirSync(folder, { withFileTypes: true, recursive: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name)),
    )
  for (const path of [...files, ...found.sort()]) hash.update(path).update('\0').update(readFileSync(path)).update('\0')
  return hash.digest('hex')
}

export function isBuilt(): boolean {
  return existsSync(stampFile) && readFileSync(stampFile, 'utf8') === sourceHash()
}
