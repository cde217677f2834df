import type { Result } from '../lib/api-types.ts'
import { score } from '../lib/numbers.ts'
import { scoreNames } from '../lib/wording.ts'

/** The five scores of the judge, each 0–1; where all are the same, the overall one says it already. */
export function ScoreList({ scores }: { scores: NonNullable<Result['scores']> }) {
  return (
    <table className="w-full text-sm tabular-nums">
      <caption className="sr-only">Scores from 0 to 1</caption>
      <tbody>
        {(Object.keys(scoreNames) as (keyof typeof scoreNames)[]).map((name) => (
          <tr key={name}>
            <th scope="row" className="py-1 pr-3 text-left font-normal whitespace-nowrap text-muted-foreground">
              {scoreNames[name]}
            </th>
            <td className="w-full py-1">
              <svg viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true" className="h-1.5 w-full rounded-full bg-muted">
                <rect width={scores[name]} height={1} className="fill-primary" />
              </svg>
            </td>
            <td className="py-1 pl-3 text-right">{score(scores[name])}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
