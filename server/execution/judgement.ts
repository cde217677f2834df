// What a judge says of a conversation, and how scores become a verdict.
import { type JudgeCriterion, type JudgeModel, type Scores, scoreNames } from '#db/schema.ts'
import { storable } from './foreign-text.ts'

/** A judge setting, with its model's secret unsealed. */
export interface Judge {
  provider: 'rubrics' | 'model' | 'hybrid'
  weights: Scores
  passThreshold: number
  criteria: JudgeCriterion[]
  model: JudgeModel | null
  secret: string | undefined
}

export interface Judgement {
  verdict: 'pass' | 'fail' | 'error'
  /** Null where nothing was judged. */
  scores: Scores | null
  overallScore: number | null
  rationale: string
}

/** Nothing was judged, for this reason. */
export const notJudged = (reason: string): Judgement => ({
  verdict: 'error',
  scores: null,
  overallScore: null,
  rationale: storable(reason),
})

/** The same for all five. */
export const evenScores = (score: number): Scores => ({
  taskSuccess: score,
  intentMatch: score,
  factuality: score,
  helpfulness: score,
  safety: score,
})

export function overallOf(scores: Scores, weights: Scores): number {
  const overall = scoreNames.reduce((sum, name) => sum + scores[name] * weights[name], 0)
  return Math.min(1, Math.max(0, overall))
}

/** Sums of fractions are off by a little: 0.7 made of tenths is 0.7. */
export const reaches = (score: number, threshold: number) => score >= threshold - 1e-9

export const percent = (share: number) => `${Math.round(share * 1_000) / 10} %`
