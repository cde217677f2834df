import type { JudgeSetting } from '../lib/api-types.ts'
import { percent } from '../lib/numbers.ts'
import { criterionTypes, judgeProviders } from '../lib/wording.ts'
import { Fact, Facts } from './key-facts.tsx'
import { Card, CardTitle } from './ui/card.tsx'

/** For those who may not change it. */
export function JudgeFacts({ judge: { provider, passThreshold, criteria, model, isDefault } }: { judge: JudgeSetting }) {
  return (
    <Card>
      <Facts>
        <Fact term="Judged by">{judgeProviders[provider].label}</Fact>
        <Fact term="A case passes from">{percent(passThreshold)}</Fact>
        <Fact term="Default">{isDefault ? 'Yes' : 'No'}</Fact>
        {model && (
          <Fact term="Model">
            {model.name} at {model.url}
          </Fact>
        )}
      </Facts>
      {criteria.length > 0 && (
        <section className="grid gap-2 border-t pt-4">
          <CardTitle>Criteria</CardTitle>
          <ul className="grid gap-2 text-sm">
            {criteria.map(({ name, type, pattern, weight, isMandatory }) => (
              <li key={`${name} ${pattern}`} className="wrap-anywhere">
                {name}
                <div className="text-muted-foreground">
                  {criterionTypes[type]} <code className="font-mono text-[0.8125rem]">{pattern}</code>, weight {weight}
                  {isMandatory && ', mandatory'}
                </div>
              </li>
            ))}
          </ul>
        </section>
      )}
    </Card>
  )
}
