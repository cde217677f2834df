// bench/RESULTS.md: the newest measurement of each section, so that one can be measured again without the others.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'

const path = 'bench/RESULTS.md'
const mark = (section: string) => `<!-- ${section} -->`

interface Facts {
  machine: string
  pace: string
}

/** Puts the text of one section in its place; `order` names all sections. */
export function keepSection(order: string[], section: string, text: string, { machine, pace }: Facts): void {
  const before = existsSync(path) ? readFileSync(path, 'utf8') : ''
  const texts = order.flatMap((name) => {
    const kept = name === section ? text : partOf(before, name)
    return kept ? [`${mark(name)}\n${kept.trim()}\n`] : []
  })
  const head = `# Measured by \`npm run bench\`

${machine}.
${pace}.
Floors: (a) node:http, SHA-256 and a Map, the same bytes; (b) with one SELECT of 10 rows; (c) as b, the key looked up first.
What is not met: [PROFILE.md](PROFILE.md) says where the time goes, and what it would take.
`
  writeFileSync(path, [head, ...texts].join('\n'))
}

/** Undefined when it was not measured yet. */
function partOf(text: string, section: string): string | undefined {
  const from = text.indexOf(mark(section))
  if (from < 0) return undefined
  const rest = text.slice(from + mark(section).length)
  const end = rest.indexOf('\n<!-- ')
  return end < 0 ? rest : rest.slice(0, end)
}
