// Judges a conversation as its setting says: by criteria, by a model, or by a model what meets the criteria.
import type { TestCaseSnapshot } from '#db/schema.ts'
import type { Exchange } from './connector.ts'
import { evenScores, type Judge, type Judgement, notJudged } from './judgement.ts'
import { judgeByModel } from './model-judge.ts'
import type { CallContext } from './patient-call.ts'
import { judgeByRubrics } from './rubrics.ts'

export type { Judge, Judgement } from './judgement.ts'

/**
 * Never passes what nothing judged: without a setting, or with one that lacks what it needs, it is an error that says so.
 * @param judge undefined when neither suite nor agent has a setting, and the tenant no default.
 * @throws the reason of `context.signal`.
 */
export async function judgeConversation(
  judge: Judge | undefined,
  testCase: TestCaseSnapshot,
  conversation: Exchange[],
  context: CallContext,
): Promise<Judgement> {
  if (!judge) return notJudged('No judge: neither the suite nor the agent has a judge setting, and the tenant has no default.')
  const answers = conversation.flatMap(({ role, content }) => (role === 'agent' ? [content] : []))
  if (answers.length === 0) return notJudged('There is no answer of the agent to judge.')
  const { provider, model, criteria } = judge
  if (provider !== 'model' && criteria.length === 0) return notJudged(`The judge setting is “${provider}” and has no criteria.`)
  if (provider !== 'rubrics' && !model) return notJudged(`The judge setting is “${provider}” and has no model.`)
  if (answers.every((text) => text.trim() === '')) return blank
  if (provider === 'rubrics' || !model) return judgeByRubrics(judge, answers)
  if (provider === 'model') return judgeByModel(judge, model, testCase, conversation, context)
  const gate = await judgeByRubrics(judge, answers)
  if (gate.verdict !== 'pass') return gate
  const judgement = await judgeByModel(judge, model, testCase, conversation, context)
  return { ...judgement, rationale: `${judgement.rationale}\n\n${gate.rationale}` }
}

/** Otherwise silence would meet any criterion about what must not be said. */
const blank: Judgement = {
  verdict: 'fail',
  scores: evenScores(0),
  overallScore: 0,
  rationale: 'The agent’s answers are all empty.',
}
