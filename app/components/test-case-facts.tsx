import type { TestCase } from '../lib/api-types.ts'
import { caseLabels } from '../lib/test-case-form.ts'
import { Fact, Facts } from './key-facts.tsx'
import { Card } from './ui/card.tsx'

/** For those who may not change it. */
export function TestCaseFacts({ testCase }: { testCase: TestCase }) {
  const { description, userInput, acceptanceCriteria, expectedIntent, expectedEntities, referenceAnswer } = testCase
  const facts = {
    [caseLabels.description]: description,
    ...Object.fromEntries(userInput.map((turn, i) => [`Turn ${i + 1}`, turn])),
    [caseLabels.acceptanceCriteria]: acceptanceCriteria,
    [caseLabels.referenceAnswer]: referenceAnswer,
    [caseLabels.expectedIntent]: expectedIntent,
    [caseLabels.expectedEntities]: expectedEntities.join(', '),
    [caseLabels.tags]: testCase.tags.join(', '),
    [caseLabels.isActive]: testCase.isActive ? 'Yes' : 'No',
  }
  return (
    <Card>
      <Facts>
        {Object.entries(facts).map(
          ([term, text]) =>
            text && (
              <Fact key={term} term={term}>
                <span className="whitespace-pre-wrap">{text}</span>
              </Fact>
            ),
        )}
      </Facts>
    </Card>
  )
}
