// npm run readme: writes the table of settings into README.md.
import { readFileSync, writeFileSync } from 'node:fs'
import { settingsTable } from '#server/env.ts'

const begin = '<!-- settings: written by npm run readme -->\n'
const end = '<!-- /settings -->'

/** README.md with the table as server/env.ts has it. */
export function readmeWithSettings(): string {
  const readme = readFileSync('README.md', 'utf8')
  const rows = settingsTable.map((setting) => `| \`${setting.name}\` | ${setting.default ?? ''} | ${setting.description} |`)
  const table = ['| variable | default | what for |', '| --- | --- | --- |', ...rows].join('\n')
  const [before = '', rest = ''] = readme.split(begin)
  return `${before}${begin}\n${table}\n\n${end}${rest.split(end)[1] ?? ''}`
}

if (process.argv[1] === import.meta.filename) writeFileSync('README.md', readmeWithSettings())
