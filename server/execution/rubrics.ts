// Judging by criteria: the same answers always get the same judgement. See docs/judging.md.
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { JudgeCriterion } from '#db/schema.ts'
import { compilePattern, PatternFault } from '../rubric-pattern.ts'
import { evenScores, type Judge, type Judgement, notJudged, percent, reaches } from './judgement.ts'

/** Characters × the program's steps, of one case: about half a second at the worst. */
const maxWork = 25_000_000

/** A criterion can't be applied, for a reason in words for the tenant. */
class CriterionFault extends Error {}

interface Checked {
  criterion: JudgeCriterion
  holds: boolean
}

/** By at least one criterion, of at least one answer of the agent. */
export async function judgeByRubrics({ criteria, passThreshold }: Judge, answers: string[]): Promise<Judgement> {
  try {
    return judgementOf(await checkAll(criteria, answers), passThreshold)
  } catch (error) {
    if (error instanceof CriterionFault) return notJudged(error.message)
    throw error
  }
}

async function checkAll(criteria: JudgeCriterion[], answers: string[]): Promise<Checked[]> {
  const folded = answers.map(fold)
  const work = { left: maxWork }
  const checked: Checked[] = []
  for (const criterion of criteria) {
    // Others have their turn between two criteria.
    await nextTurn()
    const { name, type, pattern } = criterion
    if (pattern.trim() === '') throw new CriterionFault(`The criterion “${name}” has no pattern, so it would hold for anything.`)
    const isFound = type === 'regex' ? matches(criterion, answers, work) : folded.some((text) => text.includes(fold(pattern)))
    checked.push({ criterion, holds: isFound !== (type === 'notContains') })
  }
  return checked
}

/** Without case, and with one form for what Unicode writes in several ways. */
const fold = (text: string) => text.normalize('NFC').toLowerCase()

function matches({ name, pattern }: JudgeCriterion, answers: string[], work: { left: number }): boolean {
  const compiled = compile(name, pattern)
  return answers.some((text) => {
    work.left -= text.length * compiled.programSize()
    if (work.left < 0)
      throw new CriterionFault(`The answers are too long for the patterns, at “${name}”. Make the patterns shorter.`)
    return compiled.test(text)
  })
}

function compile(name: string, pattern: string) {
  try {
    return compilePattern(pattern)
  } catch (error) {
    if (error instanceof PatternFault) throw new CriterionFault(`The pattern of “${name}” can’t be used. ${error.message}`)
    throw error
  }
}

function judgementOf(checked: Checked[], passThreshold: number): Judgement {
  const weigh = (some: Checked[]) => some.reduce((sum, { criterion }) => sum + criterion.weight, 0)
  const held = checked.filter(({ holds }) => holds)
  const share = weigh(held) / weigh(checked)
  const isMandatoryMissed = checked.some(({ criterion, holds }) => criterion.isMandatory && !holds)
  const isPassed = reaches(share, passThreshold) && !isMandatoryMissed
  const sum = `${held.length} of ${checked.length} criteria hold: ${percent(share)} by weight, ${percent(passThreshold)} needed.`
  return {
    verdict: isPassed ? 'pass' : 'fail',
    scores: evenScores(share),
    overallScore: share,
    rationale: [sum, ...checked.map(lineOf)].join('\n'),
  }
}

const wordsOf = { contains: 'contains', notContains: 'does not contain', regex: 'matches' } as const

function lineOf({ criterion: { name, type, pattern, isMandatory }, holds }: Checked): string {
  const shown = pattern.length > 100 ? `${pattern.slice(0, 100).toWellFormed()}…` : pattern
  return `${holds ? '✓' : '✗'} ${name}: ${wordsOf[type]} “${shown}”${isMandatory ? ' (mandatory)' : ''}`
}
