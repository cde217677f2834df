// Builds dist/, the package that `npm run package` packs: the client, the declarations that its types reach, and `mate`.
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, transformWithOxc } from 'vite'
import manifest from '../package.json' with { type: 'json' }

const root = fileURLToPath(new URL('..', import.meta.url))
const entry = 'client/index'

export async function buildClient(): Promise<void> {
  const emitted = mkdtempSync(join(tmpdir(), 'mate-client-'))
  try {
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    const args = [tsc, '--project', 'tsconfig.client.json', '--outDir', emitted]
    const run = spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
    if (run.status !== 0) throw new Error('The client has type errors; see above.')
    const files = collectDeclarations(emitted)
    const source = readFileSync(join(root, `${entry}.ts`), 'utf8')
    files.set(`${entry}.js`, (await transformWithOxc(source, `${entry}.ts`, { target: 'es2022', sourcemap: false })).code)
    rmSync(join(root, 'dist'), { recursive: true, force: true })
    for (const [path, text] of files) {
      mkdirSync(dirname(join(root, 'dist', path)), { recursive: true })
      writeFileSync(join(root, 'dist', path), text)
    }
    await buildCommand()
    writeFileSync(join(root, 'dist/package.json'), `${JSON.stringify(packageManifest(), null, 2)}\n`)
    copyFileSync(join(root, 'README.md'), join(root, 'dist/README.md'))
  } finally {
    rmSync(emitted, { recursive: true, force: true })
  }
}

/**
 * The package has a manifest of its own. The command can't be named in this checkout's: npx would install the checkout
 * into its cache to run it, and on whatever Node the machine has.
 */
function packageManifest() {
  const { name, version, description, type, private: isPrivate, dependencies, engines } = manifest
  return {
    name,
    version,
    description,
    // The public registry's `mate` is somebody else's.
    private: isPrivate,
    type,
    engines,
    bin: { mate: `./${commandFile}` },
    exports: { './client': { types: './client/index.d.ts', default: './client/index.js' } },
    dependencies,
  }
}

const commandFile = 'cli/mate.js'

/** `mate` as one file that needs the package's dependencies and Node. */
async function buildCommand(): Promise<void> {
  await build({
    root,
    configFile: false,
    logLevel: 'error',
    publicDir: false,
    ssr: { noExternal: true, external: Object.keys(manifest.dependencies) },
    build: {
      ssr: 'cli/bin.ts',
      target: 'node20',
      outDir: 'dist',
      emptyOutDir: false,
      rolldownOptions: { output: { entryFileNames: commandFile, banner: '#!/usr/bin/env node' } },
    },
  })
  chmodSync(join(root, 'dist', commandFile), 0o755)
}

const specifier = /(?<=\bfrom |\bimport |\bimport\()(['"])([^'"\n]+)\1/g

/** The entry's declarations and all that they name, by path; what they name is relative in them, as any resolver reads it. */
function collectDeclarations(folder: string): Map<string, string> {
  const files = new Map<string, string>()
  const rest = [entry]
  for (let module = rest.pop(); module !== undefined; module = rest.pop()) {
    const path = `${module}.d.ts`
    if (files.has(path)) continue
    const from = posix.dirname(module)
    const text = readFileSync(join(folder, path), 'utf8').replace(specifier, (quoted, _quote, name: string) => {
      const target = toModule(name, from)
      if (target === undefined) {
        requireShipped(name, path)
        return quoted
      }
      rest.push(target)
      const relative = posix.relative(from, target)
      return `'${relative.startsWith('.') ? '' : './'}${relative}.js'`
    })
    files.set(path, text)
  }
  return files
}

/** The path of one of our own modules, without its extension; undefined for a package. */
function toModule(name: string, from: string): string | undefined {
  if (name.startsWith('.')) return posix.join(from, name).replace(/\.ts$/, '')
  if (name.startsWith('#')) return name.slice(1).replace(/\.ts$/, '')
}

/** @throws Error when the declarations need a package that whoever installs ours does not get. */
function requireShipped(name: string, path: string): void {
  const shipped = [manifest.name, ...Object.keys(manifest.dependencies)]
  if (shipped.some((each) => name === each || name.startsWith(`${each}/`))) return
  throw new Error(
    `${path} needs ${name}, which is not among the dependencies. Mark what names it @internal, or give it a plain type.`,
  )
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildClient()
