// npm run check: everything that can be said without running the program. One command a line, all of them, then the verdict.
import { spawnSync } from 'node:child_process'
import { globSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkSync } from 'recheck'
import { parseAst } from 'vite'
import { createOpenApiDocument } from '#server/openapi.ts'
import { readmeWithSettings } from './readme.ts'

const failures: string[] = []

function check(what: string, run: () => string | undefined): void {
  const started = performance.now()
  const fault = run()
  process.stdout.write(`${fault === undefined ? 'ok  ' : 'FAIL'} ${what} (${Math.round(performance.now() - started)} ms)\n`)
  if (fault === undefined) return
  process.stdout.write(`${fault}\n`)
  failures.push(what)
}

/** Runs a program of node_modules/.bin; its output when it failed. */
function program(name: string, ...args: string[]): () => string | undefined {
  return () => {
    const { status, stdout, stderr } = spawnSync(name, args, { encoding: 'utf8' })
    return status === 0 ? undefined : `${stdout}${stderr}`
  }
}

/** drizzle-kit writes a migration exactly when the schema has changed since the last one. */
function migrationsAreUpToDate(): string | undefined {
  const { stdout, stderr } = spawnSync('drizzle-kit', ['generate', '--name', 'unnamed'], { encoding: 'utf8' })
  if (stdout.includes('No schema changes')) return undefined
  return `db/schema.ts has changed since the last migration. Name the one that was just written, and commit it.\n${stdout}${stderr}`
}

/** The lines of source files that match, or undefined. */
function linesWith(pattern: RegExp, folders: string[], except: string[]): string | undefined {
  const paths = folders
    .flatMap((folder) => readdirSync(folder, { withFileTypes: true, recursive: true }))
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !except.includes(path))
  const found = paths.flatMap((path) =>
    readFileSync(path, 'utf8')
      .split('\n')
      .flatMap((text, i) => (pattern.test(text) ? [`${path}:${i + 1}: ${text.trim()}`] : [])),
  )
  return found.length > 0 ? found.join('\n') : undefined
}

/** Each regular expression of the sources and of the document answers in linear time, whatever it is given. */
function regularExpressionsAreSafe(): string | undefined {
  const found = new Map<string, [where: string, pattern: string, flags: string]>()
  const look = (path: string, node: unknown): void => {
    if (typeof node !== 'object' || node === null) return
    const { type, regex, pattern } = node as { type?: string; regex?: { pattern: string; flags: string }; pattern?: unknown }
    if (type === 'Literal' && regex) found.set(`${regex.pattern}/${regex.flags}`, [path, regex.pattern, regex.flags])
    else if (typeof pattern === 'string' && path.endsWith('.json')) found.set(`${pattern}/u`, [path, pattern, 'u'])
    for (const child of Object.values(node)) look(path, child)
  }
  for (const path of globSync('{app,cli,client,db,scripts,server}/**/*.{ts,tsx}'))
    look(path, parseAst(readFileSync(path, 'utf8'), { lang: path.endsWith('x') ? 'tsx' : 'ts' }))
  look('docs/openapi.json', JSON.parse(readFileSync('docs/openapi.json', 'utf8')))
  const unsafe = [...found.values()].flatMap(([where, pattern, flags]) => {
    const { status } = checkSync(pattern, flags)
    return status === 'safe' ? [] : [`${where}: /${pattern}/${flags} is ${status}`]
  })
  if (found.size === 0) return 'No regular expression was found: the search for them is broken.'
  return unsafe.length > 0 ? unsafe.join('\n') : undefined
}

/** The committed document is what the server serves. */
function openApiIsUpToDate(): string | undefined {
  const committed = readFileSync('docs/openapi.json', 'utf8')
  if (committed === `${JSON.stringify(createOpenApiDocument(), null, 2)}\n`) return undefined
  return 'docs/openapi.json is not what the router says: run npm run openapi and commit it.'
}

check('format and lint (biome)', program('biome', 'ci', '--error-on-warnings', '.'))
check('page types (react-router typegen)', program('react-router', 'typegen'))
check('types (tsc)', program('tsc', '--noEmit'))
check('unused files, exports and dependencies (knip)', program('knip'))
check('migrations in order (drizzle-kit check)', program('drizzle-kit', 'check'))
check('migrations up to date', migrationsAreUpToDate)
check('sql.raw and sql.identifier only in migrations', () =>
  linesWith(
    /\bsql\.(raw|identifier)\(/,
    ['server', 'app', 'client', 'cli', 'db', 'scripts'],
    ['db/migrate.ts', 'scripts/check.ts'],
  ),
)
check('regular expressions are linear (recheck)', regularExpressionsAreSafe)
check('pages import only types of the server', () => linesWith(/^import (?!type ).*'#(server|db)\//, ['app'], []))
check('OpenAPI up to date', openApiIsUpToDate)
check('README lists the settings', () =>
  readFileSync('README.md', 'utf8') === readmeWithSettings() ? undefined : 'Run npm run readme and commit it.',
)
check('OpenAPI lint (redocly)', program('redocly', 'lint', '--max-problems=100', 'docs/openapi.json'))

if (failures.length > 0) {
  process.stderr.write(`\n${failures.length} checks failed: ${failures.join('; ')}\n`)
  process.exit(1)
}
