// Builds the server and the pages into build/, and compresses what browsers fetch.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { sourceHash, stampFile } from './source-hash.ts'

const compressible = new Set(['.js', '.css', '.svg', '.json', '.webmanifest'])

export function build(): void {
  const stamp = sourceHash()
  const run = spawnSync(process.execPath, ['node_modules/@react-router/dev/bin.cjs', 'build'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, NODE_ENV: 'production' },
  })
  if (run.status !== 0) throw new Error('The build failed; see above.')
  rmSync('build/scalar', { recursive: true, force: true })
  mkdirSync('build/scalar', { recursive: true })
  copyFileSync('node_modules/@scalar/api-reference/dist/browser/standalone.js', 'build/scalar/standalone.js')
  compress('build/client')
  compress('build/scalar')
  writeFileSync(stampFile, stamp)
}

function compress(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile() || !compressible.has(extname(entry.name))) continue
    const path = join(entry.parentPath, entry.name)
    const bytes = readFileSync(path)
    writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } }))
    writeFileSync(`${path}.gz`, gzipSync(bytes))
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) build()
