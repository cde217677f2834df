// What `mate run` writes of texts that agents, judges and tenants chose: JUnit that every reader takes, and plain lines.
import { chromium } from '@playwright/test'
import { expect, inject, test } from 'vitest'
import { type Result, type Run, toJunit } from '../cli/junit.ts'
import { plain } from '../cli/plain.ts'
import { summaryOf } from '../cli/run-report.ts'

const everything = Array.from({ length: 0x300 }, (_, i) => String.fromCharCode(i)).join('')
const nasty = `${everything}\ud800 \udfff \ufffe\uffff 😀 ]]></testcase><testcase name="x"/> <!-- &amp; '`

const scores = { taskSuccess: 0, intentMatch: 0.5, factuality: 1, helpfulness: 1, safety: 1 }

const aResult = (fields: Partial<Result>): Result => ({
  ...{ id: crypto.randomUUID(), runId: crypto.randomUUID(), position: 0, testCaseId: null, name: 'A case', tags: [] },
  ...{ verdict: 'pass', scores: null, overallScore: null, rationale: null, latencyMs: 1_500, executedAt: null, human: null },
  ...fields,
})

const aRun = (fields: Partial<Run> = {}): Run => ({
  ...{ id: crypto.randomUUID(), suiteId: null, suiteName: 'A suite', agentId: null, agentName: 'An agent' },
  ...{ status: 'completed', passThreshold: 0.5, passRate: 0.5, isPassed: true },
  counts: { total: 5, passed: 1, failed: 1, skipped: 1, errors: 1 },
  latency: { averageMs: 1, medianMs: 1, p95Ms: 1 },
  requestedBy: { kind: 'key', id: 'k', name: 'k' },
  createdAt: '2027-01-01T00:00:00.000Z',
  startedAt: '2027-01-01T00:00:01.000Z',
  completedAt: '2027-01-01T00:00:03.500Z',
  errorMessage: null,
  ...fields,
})

test('JUnit of any text is well-formed XML, says what was meant, and counts its own cases', async () => {
  const results = [
    aResult({ name: nasty }),
    aResult({ verdict: 'fail', rationale: nasty, scores, overallScore: 0.7 }),
    aResult({ verdict: 'error', rationale: 'first\nsecond' }),
    aResult({ verdict: 'skipped', rationale: null }),
    aResult({ verdict: null }),
  ]
  const xml = toJunit(aRun({ suiteName: nasty, agentName: nasty }), results, 'http://localhost:3000/runs/x?a="b"&c')
  const browser = await chromium.launch({ executablePath: inject('browser'), args: ['--no-sandbox'] })
  try {
    const page = await browser.newPage()
    const read = await page.evaluate((text) => {
      const document = new DOMParser().parseFromString(text, 'application/xml')
      const all = (query: string) => [...document.querySelectorAll(query)]
      const attributes = (each: Element) => Object.fromEntries([...each.attributes].map(({ name, value }) => [name, value]))
      return {
        faults: all('parsererror').map((each) => each.textContent),
        suites: all('testsuites, testsuite').map(attributes),
        cases: all('testcase').map((each) => ({
          ...attributes(each),
          children: [...each.children].map((child) => child.nodeName),
        })),
        texts: all('failure, error, skipped').map((each) => [each.getAttribute('message'), each.textContent]),
      }
    }, xml)
    expect(read.faults).toEqual([])
    const allowed = (text: string) => text.replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd')
    const counts = { tests: '5', failures: '1', errors: '2', skipped: '1', time: '2.500' }
    expect(read.suites).toEqual([
      { name: 'mate', ...counts },
      { name: allowed(nasty), timestamp: '2027-01-01T00:00:01.000Z', ...counts },
    ])
    expect(read.cases.map(({ children }) => children)).toEqual([[], ['failure'], ['error'], ['skipped'], ['error']])
    expect(read.cases[0]).toMatchObject({ name: allowed(nasty), time: '1.500' })
    const [fail, error, , notRun] = read.texts
    const scored = 'overall: 0.7\ntaskSuccess: 0\nintentMatch: 0.5\nfactuality: 1\nhelpfulness: 1\nsafety: 1'
    expect(fail).toEqual([allowed(nasty).split('\n')[0], `${allowed(nasty)}\n\n${scored}`])
    expect(error).toEqual(['first', 'first\nsecond'])
    expect(notRun?.[0]).toBe('Not judged: the run is completed.')
  } finally {
    await browser.close()
  }
})

test('what is printed holds no control character, and no command for GitHub’s runner', () => {
  const summary = summaryOf(
    aRun(),
    [aResult({ name: nasty, verdict: 'fail', rationale: '##[add-mask]x\n::error::y' })],
    'http://x',
  )
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
  expect(summary.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202e]/)
  expect(summary).not.toMatch(/##\[|^\s*::/m)
  expect([...plain('😀'.repeat(400))]).toHaveLength(300)
})

test('a verdict is never better than it is', () => {
  const lineOf = (fields: Partial<Run>) => summaryOf(aRun(fields), [], 'http://x').split('\n')[0]
  const counts = { total: 10_000, passed: 9_999, failed: 1, skipped: 0, errors: 0 }
  expect(lineOf({ counts, passRate: 0.9999, passThreshold: 1, isPassed: false })).toMatch(
    /^NOT PASSED: 9999 of 10000 cases \(99.9 %\), needed 100 %/,
  )
  expect(lineOf({ counts: { total: 2, passed: 0, failed: 0, skipped: 2, errors: 0 }, passRate: null, isPassed: false })).toBe(
    'NOT PASSED: none of 2 cases was judged.',
  )
  expect(lineOf({ status: 'failed', isPassed: false, errorMessage: 'No\u0007 worker.' })).toBe('The run failed: No  worker.')
})
