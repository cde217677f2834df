// A judge setting as its form sends it and as the API takes it.
import type { Api } from '#server/pages.ts'
import type { Problem } from '../context.ts'
import type { JudgeSetting } from './api-types.ts'
import { foldErrors, fractionOf, numberOf, oneOf, percentOf, textOf, textsOf } from './form-fields.ts'
import { scoreNames } from './wording.ts'

export const maxCriteria = 50

/** By the path at which the API tells what is wrong with it. */
export const judgeLabels = {
  name: 'Name',
  provider: 'Judged by',
  passThreshold: 'A case passes from a score of (%)',
  isDefault: 'Default',
  'weights.taskSuccess': scoreNames.taskSuccess,
  'weights.intentMatch': scoreNames.intentMatch,
  'weights.factuality': scoreNames.factuality,
  'weights.helpfulness': scoreNames.helpfulness,
  'weights.safety': scoreNames.safety,
  'model.url': 'Address',
  'model.name': 'Model',
  'model.secret': 'Secret',
  'model.temperature': 'Temperature',
  'model.maxTokens': 'Tokens at most',
  'model.timeoutSeconds': 'Time-out in seconds',
}
export type JudgeField = keyof typeof judgeLabels

const criterionLabels = {
  name: 'Name',
  type: 'The reply',
  pattern: 'Text or pattern',
  weight: 'Weight',
  isMandatory: 'Mandatory',
}
type CriterionField = keyof typeof criterionLabels
export type CriterionValues = Record<CriterionField, string>

/** Of the form's fields by their ids. */
export const judgeFieldLabels: Record<string, string> = {
  ...judgeLabels,
  weights: 'Weights',
  criteria: 'Criteria',
  ...Object.fromEntries(
    Array.from({ length: maxCriteria }, (_, i) =>
      Object.entries(criterionLabels).map(([field, label]) => [
        `criteria.${i}.${field}`,
        `Criterion ${i + 1}, ${label.toLowerCase()}`,
      ]),
    ).flat(),
  ),
}

/** The labels of one criterion's fields by their names. */
export function labelsOfCriterion(index: number): Record<string, string> {
  return Object.fromEntries(Object.entries(criterionLabels).map(([field, label]) => [`criteria.${index}.${field}`, label]))
}

export interface JudgeValues {
  texts: Record<JudgeField, string>
  /** With the empty ones, in the order of the form. */
  criteria: CriterionValues[]
}

type JudgeInput = Parameters<Api['judgeSettings']['create']>[0]

export const providers = ['rubrics', 'model', 'hybrid'] as const
const criterionTypes = ['contains', 'notContains', 'regex'] as const

export const emptyCriterion: CriterionValues = { name: '', type: 'contains', pattern: '', weight: '1', isMandatory: '' }

export const newJudge: JudgeValues = {
  texts: {
    name: '',
    provider: 'rubrics',
    passThreshold: '70',
    isDefault: '',
    'weights.taskSuccess': '20',
    'weights.intentMatch': '20',
    'weights.factuality': '20',
    'weights.helpfulness': '20',
    'weights.safety': '20',
    'model.url': '',
    'model.name': '',
    'model.secret': '',
    'model.temperature': '0',
    'model.maxTokens': '1000',
    'model.timeoutSeconds': '30',
  },
  criteria: [],
}

export function valuesOfJudge({ name, provider, passThreshold, isDefault, weights, criteria, model }: JudgeSetting): JudgeValues {
  const weighed = Object.entries(weights).map(([score, weight]) => [`weights.${score}`, percentOf(weight)])
  const modelled = model && {
    'model.url': model.url,
    'model.name': model.name,
    'model.temperature': String(model.temperature),
    'model.maxTokens': String(model.maxTokens),
    'model.timeoutSeconds': String(model.timeoutSeconds),
  }
  const texts = {
    ...newJudge.texts,
    name,
    provider,
    passThreshold: percentOf(passThreshold),
    isDefault: isDefault ? 'yes' : '',
    ...Object.fromEntries(weighed),
    ...modelled,
  }
  return {
    texts,
    criteria: criteria.map(({ weight, isMandatory, ...rest }) => ({
      ...rest,
      weight: String(weight),
      isMandatory: isMandatory ? 'yes' : '',
    })),
  }
}

/** What the form holds, without its secret: that is for the API alone. */
export function readJudgeForm(form: FormData): { values: JudgeValues; input: JudgeInput } {
  const texts = textsOf(form, judgeLabels)
  const provider = oneOf(texts.provider, providers)
  const criteria = readCriteria(form)
  const input: JudgeInput = {
    name: texts.name,
    provider,
    passThreshold: fractionOf(texts.passThreshold),
    isDefault: texts.isDefault === 'yes',
    weights: weightsOf(texts),
    criteria: provider === 'model' ? [] : criteria.filter(isFilled).map(toCriterion),
    model: provider === 'rubrics' ? null : modelOf(texts, textOf(form, 'removeSecret') === 'yes'),
  }
  return { values: { texts: { ...texts, 'model.secret': '' }, criteria }, input }
}

const isFilled = ({ name, pattern }: CriterionValues) => name.trim() !== '' || pattern !== ''

function readCriteria(form: FormData): CriterionValues[] {
  return Array.from({ length: maxCriteria }, (_, i) => i)
    .filter((i) => form.has(`criteria.${i}.pattern`))
    .map((i) => {
      const field = (name: CriterionField) => textOf(form, `criteria.${i}.${name}`)
      return {
        name: field('name'),
        type: field('type'),
        pattern: field('pattern'),
        weight: field('weight'),
        isMandatory: field('isMandatory'),
      }
    })
}

function toCriterion({ name, type, pattern, weight, isMandatory }: CriterionValues) {
  return {
    name,
    type: oneOf(type, criterionTypes),
    pattern,
    weight: numberOf(weight),
    isMandatory: isMandatory === 'yes',
  }
}

function weightsOf(texts: JudgeValues['texts']) {
  return {
    taskSuccess: fractionOf(texts['weights.taskSuccess']),
    intentMatch: fractionOf(texts['weights.intentMatch']),
    factuality: fractionOf(texts['weights.factuality']),
    helpfulness: fractionOf(texts['weights.helpfulness']),
    safety: fractionOf(texts['weights.safety']),
  }
}

function modelOf(texts: JudgeValues['texts'], isSecretRemoved: boolean): JudgeInput['model'] {
  const secret = texts['model.secret'] || (isSecretRemoved ? null : undefined)
  return {
    url: texts['model.url'].trim(),
    name: texts['model.name'],
    temperature: numberOf(texts['model.temperature']),
    maxTokens: numberOf(texts['model.maxTokens']),
    timeoutSeconds: numberOf(texts['model.timeoutSeconds']),
    ...(secret === undefined ? {} : { secret }),
  }
}

/** An error of a criterion is told at its place in the form, where empty ones may stand before it. */
export function judgeProblem(problem: Problem, { criteria }: JudgeValues): Problem {
  const places = criteria.flatMap((criterion, place) => (isFilled(criterion) ? [place] : []))
  const errors = problem.errors?.map(({ path, message }) => {
    if (path === 'weights') return { path, message: 'The weights must sum to 100 %.' }
    const [list, index, ...rest] = path.split('.')
    if (list !== 'criteria' || index === undefined) return { path, message }
    return { path: ['criteria', places[Number(index)] ?? 0, ...rest].join('.'), message }
  })
  return foldErrors(errors ? { ...problem, errors } : problem, judgeFieldLabels)
}
