// A run as JUnit XML, in the form that GitHub, GitLab and Jenkins read.
import type { RouterOutputs } from '../client/index.ts'

export type Run = RouterOutputs['runs']['get']
export type Result = RouterOutputs['results']['list']['items'][number]

/** `url` is the address of the run's page. */
export function toJunit(run: Run, results: Result[], url: string): string {
  const cases = results.map((result) => toCase(run, result))
  const counts = {
    tests: String(cases.length),
    failures: String(cases.filter(({ outcome }) => outcome === 'failure').length),
    errors: String(cases.filter(({ outcome }) => outcome === 'error').length),
    skipped: String(cases.filter(({ outcome }) => outcome === 'skipped').length),
    time: seconds(run.startedAt && run.completedAt ? Date.parse(run.completedAt) - Date.parse(run.startedAt) : 0),
  }
  const properties = Object.entries({
    agent: run.agentName,
    run: run.id,
    url,
    status: run.status,
    passRate: run.passRate ?? '',
    passThreshold: run.passThreshold,
  }).map(([name, value]) => element('property', { name, value: String(value) }))
  const suite = element('testsuite', { name: run.suiteName, timestamp: run.startedAt ?? run.createdAt, ...counts }, [
    element('properties', {}, properties),
    ...cases.map(({ xml }) => xml),
  ])
  return `<?xml version="1.0" encoding="UTF-8"?>\n${element('testsuites', { name: 'mate', ...counts }, [suite])}\n`
}

type Outcome = 'passed' | 'failure' | 'error' | 'skipped'

const outcomes = { pass: 'passed', fail: 'failure', skipped: 'skipped', error: 'error' } as const

function toCase(run: Run, result: Result): { outcome: Outcome; xml: string } {
  // What was never judged is no success, and no report may look as if it were.
  const outcome = result.verdict === null ? 'error' : outcomes[result.verdict]
  const reason = result.verdict === null ? `Not judged: the run is ${run.status}.` : (result.rationale ?? '')
  const attributes = { name: result.name, classname: run.suiteName, time: seconds(result.latencyMs ?? 0) }
  const [message = ''] = reason.split('\n', 1)
  const details = outcome === 'passed' ? [] : [element(outcome, { message }, [escapeText(`${reason}${scoresOf(result)}`)])]
  return { outcome, xml: element('testcase', attributes, details) }
}

function scoresOf({ scores, overallScore }: Result): string {
  if (!scores) return ''
  const each = Object.entries({ overall: overallScore, ...scores }).map(
    ([name, score]) => `${name}: ${Math.round(Number(score) * 1_000) / 1_000}`,
  )
  return `\n\n${each.join('\n')}`
}

const seconds = (ms: number) => (ms / 1_000).toFixed(3)

/** `children` are XML already. */
function element(name: string, attributes: Record<string, string>, children: string[] = []): string {
  const written = Object.entries(attributes).map(([key, value]) => ` ${key}="${escapeAttribute(value)}"`)
  const start = `<${name}${written.join('')}`
  return children.length === 0 ? `${start}/>` : `${start}>${children.join('')}</${name}>`
}

/** XML 1.0, section 2.2: every other character ends the reading of a document, escaped or not. */
const notAllowed = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu

const escapes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\t': '&#9;', '\n': '&#10;' }

function escapeText(text: string): string {
  return text.replace(notAllowed, '\ufffd').replace(/[&<>\r]/g, (each) => escapes[each] ?? '&#13;')
}

/** Section 3.3.3: a line break that is not escaped is read as a space. */
function escapeAttribute(text: string): string {
  return text.replace(notAllowed, '\ufffd').replace(/[&<>"\t\n\r]/g, (each) => escapes[each] ?? '&#13;')
}
