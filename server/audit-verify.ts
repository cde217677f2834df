// Checks an export of the audit log with no server, no network and no database: every byte of it, against signed statements.
import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import {
  type ChainedEntry,
  canonical,
  type ExportStatement,
  hashEntry,
  isSignedBy,
  noHash,
  readJwk,
  type Statement,
  toJwk,
} from './audit-chain.ts'

export type Keys = Map<string, KeyObject>

export interface Report {
  isIntact: boolean
  /** The first sequence that is not what it was, where one can be named. */
  firstBad: number | undefined
  /** For people, a sentence a line. */
  lines: string[]
}

interface Fault {
  /** Undefined when it can’t be said which. */
  seq: number | undefined
  text: string
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const maxLineBytes = 16_000_000

/**
 * Reads a key file: a JWK set as /.well-known/mate-audit-key serves it, a single JWK, or PEM.
 * @throws Error when there is no Ed25519 key in it.
 */
export function readPublicKeys(text: string): Keys {
  const keys: Keys = new Map()
  const add = (x: unknown) => {
    if (typeof x !== 'string') return
    const { kid, key } = readJwk(x)
    keys.set(kid, key)
  }
  if (text.includes('-----BEGIN PUBLIC KEY-----')) add(createPublicKey(text).export({ format: 'jwk' }).x)
  else {
    const parsed = JSON.parse(text) as { keys?: { x?: unknown }[]; x?: unknown }
    for (const { x } of parsed.keys ?? [parsed]) add(x)
  }
  if (keys.size === 0) throw new Error('There is no Ed25519 public key in it.')
  return keys
}

/**
 * Reads a file of checkpoints that was kept outside the database.
 * @throws Error that names the first line that none of the keys has signed.
 */
export async function readCheckpoints(file: AsyncIterable<Uint8Array>, keys: Keys): Promise<Statement[]> {
  const found: Statement[] = []
  let number = 0
  for await (const bytes of linesOf(file)) {
    number++
    const statement = parseLine(bytes) as unknown as Statement | undefined
    const key = statement && keys.get(statement.keyId)
    if (!statement || !key || !isSignedBy(key, statement)) {
      throw new Error(`Line ${number} of the checkpoints is not signed by a key that is trusted.`)
    }
    found.push(statement)
  }
  return found
}

/** @param trusted without them, the file is held against the key that is in it, and the report says what that is worth. */
export async function verifyExport(
  file: AsyncIterable<Uint8Array>,
  trusted?: Keys,
  checkpoints: Statement[] = [],
): Promise<Report> {
  const reading = new Reading(checkpoints)
  for await (const bytes of linesOf(file)) reading.take(bytes)
  return reading.report(trusted)
}

/** One pass over the lines: what it keeps does not grow with them. */
class Reading {
  private readonly digest = createHash('sha256')
  private digestAtExport = ''
  private number = 0
  private cut: Statement | undefined
  private checkpoint: Statement | undefined
  private statement: ExportStatement | undefined
  private readonly ownKeys: Keys = new Map()
  private first: ChainedEntry | undefined
  private last: ChainedEntry | undefined
  private entries = 0
  /** What is wrong whichever entries were asked for. */
  private fault: Fault | undefined
  /** A sequence that does not follow on: in order when only some entries were asked for. */
  private gap: { seq: number; text: string } | undefined
  private readonly outside: Statement[]
  /** Hashes in the file, of the sequences that statements from outside are about. */
  private readonly seen = new Map<number, string | undefined>()

  constructor(outside: Statement[]) {
    this.outside = outside
    for (const { seq } of outside) this.seen.set(seq, undefined)
  }

  take(bytes: Uint8Array) {
    this.number++
    const line = parseLine(bytes)
    if (line?.type === 'export' && !this.statement) this.digestAtExport = this.digest.copy().digest('hex')
    this.digest.update(bytes)
    if (!line) return this.found(`line ${this.number} is not as mate wrote it: every byte counts, the spaces too`)
    if (line.type === undefined) return this.takeEntry(line as unknown as ChainedEntry)
    if (line.type === 'key') return this.takeKey(line)
    const isInPlace = {
      cut: !this.cut && !this.last && !this.checkpoint,
      checkpoint: !this.checkpoint,
      export: this.checkpoint && !this.statement,
    }[String(line.type)]
    if (!isInPlace) return this.found(`line ${this.number} has no business there`)
    if (line.type === 'cut') this.cut = line as unknown as Statement
    else if (line.type === 'checkpoint') this.checkpoint = line as unknown as Statement
    else this.statement = line as unknown as ExportStatement
  }

  private found(text: string, seq: number | undefined = this.nextSeq()): void {
    this.fault ??= { seq, text }
  }

  private nextSeq(): number {
    return (this.last?.seq ?? this.cut?.seq ?? 0) + 1
  }

  private takeKey(line: Record<string, unknown>) {
    try {
      const x = String(line.x)
      const { kid, key } = readJwk(x)
      const isItself = canonical(line) === canonical({ type: 'key', ...toJwk(Buffer.from(x, 'base64url')) })
      if (this.statement && isItself) {
        this.ownKeys.set(kid, key)
        return
      }
    } catch {
      // No Ed25519 key: said below.
    }
    this.found(`line ${this.number} is not the key that it says it is`)
  }

  private takeEntry(entry: ChainedEntry) {
    const { seq } = entry
    if (this.checkpoint) return this.found(`sequence ${seq} stands behind the checkpoint`, seq)
    if (!Number.isSafeInteger(seq)) return this.found(`line ${this.number} has no sequence`)
    if (hashEntry(entry) !== entry.hash)
      return this.found(`sequence ${seq} was changed: its hash is not that of its content`, seq)
    const next = this.nextSeq()
    const prevHash = this.last?.hash ?? this.cut?.hash ?? noHash
    if (this.last && entry.tenantId !== this.last.tenantId) this.found(`sequence ${seq} is of another tenant`, seq)
    else if (seq < next) this.found(`sequence ${seq} stands behind ${next - 1}: inserted, doubled or moved`, Math.min(seq, next))
    else if (seq > next) this.gap ??= { seq: next, text: `sequence ${next} is missing: ${seq} follows` }
    else if (entry.prevHash !== prevHash && (this.last || this.cut || seq === 1)) {
      this.found(`sequences ${seq - 1} and ${seq} do not fit together: one of them was replaced`, Math.max(seq - 1, 1))
    }
    this.first ??= entry
    this.last = entry
    this.entries++
    if (this.seen.has(seq)) this.seen.set(seq, entry.hash)
  }

  report(trusted: Keys | undefined): Report {
    const { cut, checkpoint, statement, last } = this
    if (!checkpoint || !statement)
      this.found(`the file ends without its signed end: it was cut off behind sequence ${this.nextSeq() - 1}`)
    const keys = trusted ?? this.ownKeys
    for (const each of [cut, checkpoint, statement]) if (each) this.checkStatement(each, keys, trusted !== undefined)
    if (checkpoint && statement) this.checkEnd(checkpoint, statement)
    const isFiltered = Object.keys(statement?.filters ?? {}).length > 0
    if (checkpoint && !isFiltered) this.checkWhole(checkpoint)
    for (const each of this.outside) this.checkOutside(each, isFiltered)
    if (this.digestAtExport !== statement?.digest) this.fault ??= { seq: undefined, text: 'something in the file was changed' }
    const fault = !isFiltered && this.gap && this.gap.seq < (this.fault?.seq ?? Number.POSITIVE_INFINITY) ? this.gap : this.fault
    if (fault) return { isIntact: false, firstBad: fault.seq, lines: [`NOT INTACT: ${fault.text}.`] }
    const lines = [
      `Intact: ${this.entries} entries of tenant ${checkpoint?.tenantId}${last ? `, sequences ${this.first?.seq} to ${last.seq}, ${this.first?.at} to ${last.at}` : ''}.`,
      `Signed at ${checkpoint?.at}, when the newest sequence was ${checkpoint?.seq}.`,
    ]
    if (cut) lines.push(`What stood before was cut off at ${cut.at}, up to sequence ${cut.seq}, as is signed.`)
    if (isFiltered) {
      const filters = Object.entries(statement?.filters ?? {}).map(([name, value]) => `${name}=${value}`)
      lines.push(
        `Filtered (${filters.join(', ')}): these are the entries that were exported; whether others are missing, only a whole export shows.`,
      )
    }
    if (this.outside.length > 0) lines.push(`${this.countOutside()} checkpoints from outside agree.`)
    if (!trusted) {
      lines.push(
        'The signatures were checked against the key inside the file, which whoever made the file has chosen. To check who did: --public-key FILE, saved earlier from /.well-known/mate-audit-key.',
      )
    }
    return { isIntact: true, firstBad: undefined, lines }
  }

  private checkStatement(statement: Statement, keys: Keys, isTrusted: boolean): void {
    const key = keys.get(statement.keyId)
    const tenantId = this.last?.tenantId ?? this.checkpoint?.tenantId
    if (statement.tenantId !== tenantId) this.found(`the ${statement.type} is another tenant’s`)
    else if (!key)
      this.found(`the ${statement.type} is signed by ${statement.keyId}, which is not in the ${isTrusted ? 'key file' : 'file'}`)
    else if (!isSignedBy(key, statement)) this.found(`the signature of the ${statement.type} is not good`)
  }

  private checkEnd(checkpoint: Statement, statement: ExportStatement): void {
    const isSame = (['tenantId', 'seq', 'hash', 'at'] as const).every((name) => checkpoint[name] === statement[name])
    if (!isSame) this.found('the end of the file is of another export')
    else if (statement.entries > this.entries)
      this.found(`${statement.entries - this.entries} of ${statement.entries} entries are missing`)
    else if (statement.entries < this.entries)
      this.found(`there are ${this.entries} entries, and ${statement.entries} were exported`)
  }

  /** Of an export of everything: it goes up to the checkpoint, and is the chain that was signed. */
  private checkWhole({ seq, hash }: Statement): void {
    const next = this.nextSeq()
    if (next <= seq)
      this.gap ??= { seq: next, text: `sequence ${next} is missing: the file was cut off, the checkpoint is at ${seq}` }
    else if ((this.last?.hash ?? this.cut?.hash ?? noHash) !== hash) this.foundRewrite(seq)
  }

  private checkOutside({ tenantId, seq, hash, at }: Statement, isFiltered: boolean) {
    const { checkpoint, cut } = this
    if (!checkpoint || tenantId !== checkpoint.tenantId) return
    const known = seq === cut?.seq ? cut.hash : this.seen.get(seq)
    if (known !== undefined && known !== hash) return this.foundRewrite(seq)
    if (seq > checkpoint.seq && at <= checkpoint.at) {
      const text = `sequence ${checkpoint.seq + 1} is missing: a checkpoint of ${at} went up to ${seq}, this export of ${checkpoint.at} to ${checkpoint.seq}`
      this.found(text, checkpoint.seq + 1)
    }
    if (!isFiltered && known === undefined && seq > (cut?.seq ?? 0) && seq <= checkpoint.seq && seq > 0) this.foundRewrite(seq)
  }

  /** Each hash fits, and the signed one differs: all from some sequence on was computed anew. */
  private foundRewrite(seq: number): void {
    const good = this.outside.filter((each) => each.seq < seq && this.seen.get(each.seq) === each.hash).map((each) => each.seq)
    const from = Math.max(this.cut?.seq ?? 0, ...good) + 1
    this.found(`the chain up to sequence ${seq} is not the one that was signed: it was rewritten at ${from} or behind`, from)
  }

  private countOutside(): number {
    return this.outside.filter((each) => this.seen.get(each.seq) === each.hash).length
  }
}

/** The object on a line of canonical JSON that ends as lines do; undefined for anything else. */
function parseLine(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const text = utf8.decode(bytes)
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    return `${canonical(value)}\n` === text ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** Lines with what ends them, whatever the pieces in which the file is read. */
async function* linesOf(file: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest: Uint8Array[] = []
  let length = 0
  for await (const chunk of file) {
    let from = 0
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      const end = chunk.subarray(from, at + 1)
      yield rest.length > 0 ? Buffer.concat([...rest, end]) : end
      rest = []
      length = 0
      from = at + 1
    }
    if (from < chunk.length) rest.push(chunk.subarray(from))
    length += chunk.length - from
    if (length > maxLineBytes) throw new Error('This is no export of an audit log: a line of it has no end.')
  }
  if (rest.length > 0) yield Buffer.concat(rest)
}
