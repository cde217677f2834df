// A test suite as its form sends it and as the API takes it.
import type { Api } from '#server/pages.ts'
import type { Problem } from '../context.ts'
import type { TestSuite } from './api-types.ts'
import { foldErrors, fractionOf, numberOf, percentOf, tagsOf, textsOf } from './form-fields.ts'

export const suiteLabels = {
  name: 'Name',
  description: 'Description',
  passThreshold: 'A run passes from (% of cases)',
  delayBetweenTestsMs: 'Pause between cases (ms)',
  tags: 'Tags',
  judgeSettingId: 'Judged by',
}

export type SuiteField = keyof typeof suiteLabels
type SuiteValues = Record<SuiteField, string>
type SuiteInput = Parameters<Api['testSuites']['create']>[0]

export const newSuite: SuiteValues = {
  name: '',
  description: '',
  passThreshold: '80',
  delayBetweenTestsMs: '0',
  tags: '',
  judgeSettingId: '',
}

export function valuesOfSuite(suite: TestSuite): SuiteValues {
  return {
    name: suite.name,
    description: suite.description,
    passThreshold: percentOf(suite.passThreshold),
    delayBetweenTestsMs: String(suite.delayBetweenTestsMs),
    tags: suite.tags.join(', '),
    judgeSettingId: suite.judgeSettingId ?? '',
  }
}

export function readSuiteForm(form: FormData): { values: SuiteValues; input: SuiteInput } {
  const values = textsOf(form, suiteLabels)
  const input: SuiteInput = {
    name: values.name,
    description: values.description,
    passThreshold: fractionOf(values.passThreshold),
    delayBetweenTestsMs: numberOf(values.delayBetweenTestsMs),
    tags: tagsOf(values.tags),
    judgeSettingId: values.judgeSettingId || null,
  }
  return { values, input }
}

export const suiteProblem = (problem: Problem) => foldErrors(problem, suiteLabels)
