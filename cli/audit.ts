// `mate audit verify`: checks an export of the audit log with no server, network or database.
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { type Keys, readCheckpoints, readPublicKeys, verifyExport } from '#server/audit-verify.ts'

export interface Verdict {
  /** 0: intact; 1: not intact; 2: not understood, or a file can’t be read. */
  code: 0 | 1 | 2
  stdout: string
  stderr: string
}

const usage = `npx mate audit verify FILE [--public-key FILE] [--checkpoints FILE]…
`

const options = { 'public-key': { type: 'string' }, checkpoints: { type: 'string', multiple: true } } as const

/** `args` are those behind `audit`. Never throws. */
export async function runAudit(args: string[]): Promise<Verdict> {
  try {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
    const [command, file, ...rest] = positionals
    if (command !== 'verify' || file === undefined || rest.length > 0) return { code: 2, stdout: '', stderr: usage }
    const { 'public-key': keyFile, checkpoints: checkpointFiles = [] } = values
    const keys = keyFile === undefined ? undefined : readPublicKeys(await readFile(keyFile, 'utf8'))
    const report = await verifyExport(createReadStream(file), keys, await readAll(checkpointFiles, keys))
    return { code: report.isIntact ? 0 : 1, stdout: `${report.lines.join('\n')}\n`, stderr: '' }
  } catch (error) {
    return { code: 2, stdout: '', stderr: `${error instanceof Error ? error.message : error}\n${usage}` }
  }
}

async function readAll(files: string[], keys: Keys | undefined) {
  if (files.length === 0) return []
  if (!keys) throw new Error('--checkpoints needs --public-key: what nobody trusted has signed proves nothing.')
  const each = await Promise.all(files.map((file) => readCheckpoints(createReadStream(file), keys)))
  return each.flat()
}
