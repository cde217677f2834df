// `mate scan`: finds mate's API keys in files, by their form and checksum; asks no network and no database.
import { closeSync, lstatSync, openSync, readdirSync, readSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { isWellFormedApiKey } from '#server/api-key.ts'

const help = `npx mate scan PATH…     finds API keys of mate in files and folders; - is standard input
  --all                 looks into node_modules and .git too

Prints file:line:column and the first characters of each key, never the key. Binary files (a NUL in the first 8 kB) and
symbolic links are left out. Exit status: 0 no key, 1 keys found, 2 something could not be read.
History: git log -p | npx mate scan -
In a checkout of mate: npm run -s scan -- PATH…
`

const keyLength = 54
const shownLength = 12
const marker = 'mate_'
const newline = 10

export interface Found {
  line: number
  /** In bytes, from 1. */
  column: number
  prefix: string
}

/** Finds keys in text that comes in pieces of any size; keeps less than one key's length of it. */
export class KeyFinder {
  private rest: Buffer = Buffer.alloc(0)
  private line = 1
  /** Of the start of `rest`, in its line. */
  private column = 1

  push(piece: Uint8Array): Found[] {
    return this.search(Buffer.concat([this.rest, piece]), false)
  }

  end(): Found[] {
    return this.search(this.rest, true)
  }

  private search(text: Buffer, isLast: boolean): Found[] {
    const found: Found[] = []
    let counted = 0
    const moveTo = (end: number) => {
      for (let at = text.indexOf(newline, counted); at !== -1 && at < end; at = text.indexOf(newline, counted)) {
        this.line++
        this.column = 1
        counted = at + 1
      }
      this.column += end - counted
      counted = end
    }
    let at = text.indexOf(marker)
    for (; at !== -1 && at + keyLength <= text.length; at = text.indexOf(marker, at + marker.length)) {
      // Whatever stands before and after: the checksum tells a key from a likeness.
      const key = text.toString('latin1', at, at + keyLength)
      if (!isWellFormedApiKey(key)) continue
      moveTo(at)
      found.push({ line: this.line, column: this.column, prefix: key.slice(0, shownLength) })
    }
    const keptFrom = isLast ? text.length : at === -1 ? Math.max(text.length - marker.length + 1, 0) : at
    moveTo(keptFrom)
    this.rest = Buffer.from(text.subarray(keptFrom))
    return found
  }
}

type Encoding = 'bytes' | 'utf16le' | 'utf16be'

/** By its first bytes; undefined for a binary file. Windows writes UTF-16 with a mark, and a NUL in every second byte. */
function encodingOf(start: Uint8Array): Encoding | undefined {
  if (start[0] === 0xff && start[1] === 0xfe) return 'utf16le'
  if (start[0] === 0xfe && start[1] === 0xff) return 'utf16be'
  return start.subarray(0, 8_000).includes(0) ? undefined : 'bytes'
}

/** The bytes that can belong to a key: of UTF-16 the lower halves. */
function lowerHalves(piece: Uint8Array, encoding: Encoding, offset: number): Uint8Array {
  if (encoding === 'bytes') return piece
  const wanted = encoding === 'utf16le' ? 0 : 1
  return piece.filter((_, i) => (offset + i) % 2 === wanted)
}

const piece = Buffer.alloc(1 << 20)

/** @throws Error when the file can't be read. */
export function scanFile(path: string): Found[] {
  const file = openSync(path, 'r')
  try {
    const finder = new KeyFinder()
    const found: Found[] = []
    let encoding: Encoding | undefined
    for (let offset = 0, length = readSync(file, piece); length > 0; offset += length, length = readSync(file, piece)) {
      const read = piece.subarray(0, length)
      if (offset === 0) encoding = encodingOf(read)
      if (encoding === undefined) return []
      found.push(...finder.push(lowerHalves(read, encoding, offset)))
    }
    return [...found, ...finder.end()]
  } finally {
    closeSync(file)
  }
}

const leftOut = new Set(['node_modules', '.git'])

/** Every file below a path, in the order of names; errors go to `note`, and the walk goes on. */
function* filesBelow(path: string, isAll: boolean, note: (path: string, error: unknown) => void): Generator<string> {
  try {
    const entry = lstatSync(path)
    if (entry.isFile()) yield path
    if (!entry.isDirectory()) return
    for (const name of readdirSync(path).sort()) {
      if (isAll || !leftOut.has(name)) yield* filesBelow(join(path, name), isAll, note)
    }
  } catch (error) {
    note(path, error)
  }
}

async function scanInput(input: AsyncIterable<Uint8Array>): Promise<Found[]> {
  const finder = new KeyFinder()
  const found: Found[] = []
  for await (const each of input) found.push(...finder.push(each))
  return [...found, ...finder.end()]
}

/** @returns the exit status. */
async function scan(paths: string[], isAll: boolean, from: string): Promise<number> {
  let keys = 0
  let files = 0
  let failures = 0
  const report = (path: string, found: Found[]) => {
    files++
    keys += found.length
    for (const { line, column, prefix } of found) process.stdout.write(`${path}:${line}:${column}: ${prefix}…\n`)
  }
  const note = (path: string, error: unknown) => {
    failures++
    process.stderr.write(`${path}: ${error instanceof Error ? error.message : error}\n`)
  }
  for (const path of paths) {
    if (path === '-') report('-', await scanInput(process.stdin))
    else {
      for (const file of filesBelow(resolve(from, path), isAll, note)) {
        try {
          report(file, scanFile(file))
        } catch (error) {
          note(file, error)
        }
      }
    }
  }
  process.stderr.write(`${files} files, ${keys} keys${failures > 0 ? `, ${failures} could not be read` : ''}\n`)
  if (failures > 0) return 2
  return keys > 0 ? 1 : 0
}

/** `args` are those behind `scan`; paths are meant from `from`. Never throws. @returns the exit status. */
export async function runScan(args: string[], from = '.'): Promise<number> {
  try {
    const options = { all: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } as const
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
    if (values.help) {
      process.stdout.write(help)
      return 0
    }
    if (positionals.length > 0) return await scan(positionals, values.all ?? false, from)
    process.stderr.write(help)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n${help}`)
  }
  return 2
}
