// A test case as its form sends it and as the API takes it.
import type { Api } from '#server/pages.ts'
import type { Problem } from '../context.ts'
import type { TestCase } from './api-types.ts'
import { foldErrors, tagsOf, textOf, textsOf } from './form-fields.ts'

export const maxTurns = 20

export const caseLabels = {
  name: 'Name',
  description: 'Description',
  acceptanceCriteria: 'Acceptance criteria',
  expectedIntent: 'Expected intent',
  expectedEntities: 'Expected entities',
  referenceAnswer: 'Reference answer',
  tags: 'Tags',
  isActive: 'Active',
}

export type CaseField = keyof typeof caseLabels

export interface CaseValues {
  texts: Record<CaseField, string>
  /** With the empty ones, in the order of the form. */
  turns: string[]
}

/** All that the form says; a place in the suite is not among it. */
type CaseInput = Omit<Parameters<Api['testCases']['create']>[0], 'suiteId' | 'sortOrder'>

export const newCase: CaseValues = {
  texts: {
    name: '',
    description: '',
    acceptanceCriteria: '',
    expectedIntent: '',
    expectedEntities: '',
    referenceAnswer: '',
    tags: '',
    isActive: 'yes',
  },
  turns: [],
}

export function valuesOfCase(testCase: TestCase): CaseValues {
  return {
    texts: {
      name: testCase.name,
      description: testCase.description,
      acceptanceCriteria: testCase.acceptanceCriteria,
      expectedIntent: testCase.expectedIntent ?? '',
      expectedEntities: testCase.expectedEntities.join(', '),
      referenceAnswer: testCase.referenceAnswer ?? '',
      tags: testCase.tags.join(', '),
      isActive: testCase.isActive ? 'yes' : '',
    },
    turns: testCase.userInput,
  }
}

export function readCaseForm(form: FormData): { values: CaseValues; input: CaseInput } {
  const texts = textsOf(form, caseLabels)
  const turns = form.getAll('userInput').filter((turn) => typeof turn === 'string')
  const input: CaseInput = {
    name: texts.name,
    description: texts.description,
    userInput: turns.filter((turn) => turn.trim() !== ''),
    acceptanceCriteria: texts.acceptanceCriteria,
    expectedIntent: texts.expectedIntent.trim() || null,
    expectedEntities: tagsOf(texts.expectedEntities),
    referenceAnswer: texts.referenceAnswer.trim() || null,
    tags: tagsOf(texts.tags),
    isActive: textOf(form, 'isActive') === 'yes',
  }
  return { values: { texts, turns }, input }
}

/** An error of a turn is told at the turn, by its place in the form. */
export function caseProblem(problem: Problem, { turns }: CaseValues): Problem {
  const places = turns.flatMap((turn, place) => (turn.trim() === '' ? [] : [place]))
  const errors = problem.errors?.map(({ path, message }) => {
    const [, index] = /^userInput\.(\d+)$/.exec(path) ?? []
    if (path === 'userInput') return { path: turnId(0), message }
    return index === undefined ? { path, message } : { path: turnId(places[Number(index)] ?? 0), message }
  })
  return foldErrors(errors ? { ...problem, errors } : problem, caseLabels)
}

/** Of the form's fields by their ids. */
export const caseFieldLabels: Record<string, string> = {
  ...caseLabels,
  ...Object.fromEntries(Array.from({ length: maxTurns }, (_, place) => [`turn-${place + 1}`, `Turn ${place + 1}`])),
}

export const turnId = (place: number) => `turn-${place + 1}`
