// The scanner finds every key wherever it stands, and nothing else; the README's patterns for other scanners match our keys.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { generateApiKey } from '#server/api-key.ts'
import { type Found, KeyFinder, scanFile } from '../cli/scan.ts'
import { runProcess } from './child-server.ts'

const folder = mkdtempSync(join(tmpdir(), 'mate-scan-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function write(path: string, content: string | Buffer): string {
  const full = join(folder, path)
  mkdirSync(join(full, '..'), { recursive: true })
  writeFileSync(full, content)
  return full
}

const scan = async (args: string[], stdin?: string) => {
  const child = runProcess(process.execPath, ['scripts/scan.ts', ...args], {}, stdin)
  const { code } = await child.exited
  return { code, ...child.output }
}

function findIn(text: string, pieces: number[]): Found[] {
  const bytes = Buffer.from(text)
  const finder = new KeyFinder()
  const cuts = [0, ...pieces.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)
  return [...cuts.slice(1).flatMap((cut, i) => finder.push(bytes.subarray(cuts[i], cut))), ...finder.end()]
}

describe('a key', () => {
  const { key } = generateApiKey()
  const wrong = key.slice(0, -1) + (key.endsWith('0') ? '1' : '0')

  test('is found at its line and column, in pieces of any size, and what only looks like one is not', () => {
    const noise = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 30 }),
      fc.constantFrom('\n', '\n\n', 'mate_', 'mate', 'mate_mate_', wrong, key.slice(0, -1), key.toUpperCase(), '"', '\r\n'),
    )
    const parts = fc.array(fc.oneof({ weight: 3, arbitrary: noise }, fc.constant(key)), { maxLength: 20 })
    fc.assert(
      fc.property(parts, fc.array(fc.nat(2_000), { maxLength: 6 }), (texts, pieces) => {
        const text = texts.join('')
        const expected = [...text.matchAll(new RegExp(key, 'g'))].map(({ index }) => {
          const before = text.slice(0, index)
          const start = before.lastIndexOf('\n') + 1
          return {
            line: before.split('\n').length,
            column: Buffer.byteLength(before.slice(start)) + 1,
            prefix: key.slice(0, 12),
          }
        })
        expect(findIn(text, pieces)).toEqual(expected)
      }),
      { numRuns: 500 },
    )
  })

  test('is found in a file of many megabytes in one line, across the pieces it is read in, at its very end', () => {
    const mega = 1 << 20
    for (const at of [mega - 54, mega - 53, mega - 30, mega - 5, mega - 1, mega, 3 * mega + 7]) {
      const path = write('large.txt', `${'x'.repeat(at)}${key}`)
      expect([at, scanFile(path)]).toEqual([at, [{ line: 1, column: at + 1, prefix: key.slice(0, 12) }]])
    }
  })

  test('is found in UTF-16, as Windows writes it, and not in a binary file', () => {
    const text = `\ufeffSet-Item Env:KEY\r\n'${key}'`
    const little = Buffer.from(text, 'utf16le')
    expect(scanFile(write('le.ps1', little))).toMatchObject([{ line: 2, prefix: key.slice(0, 12) }])
    expect(scanFile(write('be.ps1', Buffer.from(little).swap16()))).toMatchObject([{ line: 2 }])
    expect(scanFile(write('image.png', Buffer.concat([Buffer.from([0x89, 0, 1]), Buffer.from(key)])))).toEqual([])
    expect(scanFile(write('empty', ''))).toEqual([])
  })
})

describe('npm run scan', () => {
  const [first, second, third] = [generateApiKey().key, generateApiKey().key, generateApiKey().key]
  const keys = [first, second, third]
  beforeAll(() => {
    write('tree/a.env', `A=1\nMATE_API_KEY=${first}\n`)
    write('tree/deep/er/b.json', `{"a":"${second}","b":"${first}"}`)
    write('tree/node_modules/p/index.js', third)
    write('tree/.git/config', third)
    write('tree/.github/workflow.yml', 'MATE_API_KEY: $' + '{{ secrets.MATE_API_KEY }}\n')
    write('clean/readme.md', 'The first characters are mate_4fQ9xLz…')
    symlinkSync(join(folder, 'tree'), join(folder, 'clean', 'link'))
  })

  test('prints where each key is and how it begins, never the key, and exits with 1', async () => {
    const { code, stdout, stderr } = await scan([join(folder, 'tree')])
    expect(stdout).toBe(
      [
        `${folder}/tree/a.env:2:14: ${first.slice(0, 12)}…\n`,
        `${folder}/tree/deep/er/b.json:1:7: ${second.slice(0, 12)}…\n`,
        `${folder}/tree/deep/er/b.json:1:68: ${first.slice(0, 12)}…\n`,
      ].join(''),
    )
    expect(stderr).toBe('3 files, 3 keys\n')
    expect(code).toBe(1)
    for (const key of keys) expect(stdout + stderr).not.toContain(key.slice(0, 13))
  })

  test('looks into node_modules and .git when it is asked to, or when they are named', async () => {
    expect((await scan(['--all', join(folder, 'tree')])).stderr).toBe('5 files, 5 keys\n')
    expect((await scan([join(folder, 'tree/node_modules')])).code).toBe(1)
  })

  test('exits with 0 when there is no key, and follows no link', async () => {
    expect(await scan([join(folder, 'clean')])).toEqual({ code: 0, stdout: '', stderr: '1 files, 0 keys\n' })
  })

  test('reads standard input', async () => {
    expect(await scan(['-'], `x\n y ${first}`)).toMatchObject({ code: 1, stdout: `-:2:4: ${first.slice(0, 12)}…\n` })
    expect((await scan(['-'], '')).code).toBe(0)
  })

  test('exits with 2 when something can’t be read, and reads the rest all the same', async () => {
    const { code, stdout, stderr } = await scan([join(folder, 'nowhere'), join(folder, 'tree/a.env')])
    expect([code, stderr]).toEqual([2, expect.stringContaining('no such file')])
    expect(stdout).toContain('a.env:2:14')
    for (const args of [[], ['--nothing', folder]]) {
      expect(await scan(args)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('npm run -s scan') })
    }
    expect((await scan(['--help'])).code).toBe(0)
  })
})

describe('the README’s pattern', () => {
  const readme = readFileSync('README.md', 'utf8')
  const section = readme.slice(readme.indexOf('## Leaked keys'))
  const github = /Secret format \| `([^`]+)`/.exec(section)?.[1] ?? ''
  const gitleaks = /regex = '''(.+)'''/.exec(section)?.[1] ?? ''

  test.each([
    ['for GitHub', `(?:^|[^0-9A-Za-z])(${github})(?:$|[^0-9A-Za-z])`],
    ['for gitleaks and GitLab', gitleaks],
  ])('%s matches every key in its surroundings, and nothing that is shorter, longer or of other characters', (_, pattern) => {
    // RE2 and Hyperscan have neither lookaround nor back references.
    expect(pattern).toMatch(/mate_/)
    expect(pattern).not.toMatch(/\(\?[=!<]|\\[1-9]/)
    const regex = new RegExp(pattern)
    for (let i = 0; i < 50; i++) {
      const { key } = generateApiKey()
      for (const text of [key, `MATE_API_KEY=${key}`, `"${key}"`, `X-API-Key: ${key}\r`, `<a>${key}</a>`, `(${key}),`]) {
        const match = regex.exec(text)
        expect([text, match?.[1] ?? match?.[0]]).toEqual([text, key])
      }
      for (const text of [
        key.slice(0, -1),
        `${key}0`,
        key.replace('mate_', 'mate-'),
        key.replace(/.{9}$/, '-_-_-_-_-'),
        `a${key}`,
      ]) {
        expect([text, regex.test(text)]).toEqual([text, false])
      }
    }
  })
})
