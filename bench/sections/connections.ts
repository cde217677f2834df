// The same read from 1 to 100 connections.
import { type Bench, builtServer } from '../bench.ts'
import { measure, middle, ratio } from '../measure.ts'

export async function connections({ seeded, pace, report, start }: Bench): Promise<void> {
  const request = { path: '/api/agents', keys: seeded.keys }
  const rows = [
    { name: '(c)', subject: await start('bench/floors.ts', ['c']), request },
    { name: 'mate', subject: await start(builtServer), request },
  ]
  report.heading('Growth: connections')
  const table: string[][] = []
  for (const count of [1, 10, 32, 100]) {
    const seen = await measure(rows, { ...pace, connections: count })
    table.push([
      String(count),
      middle(seen, 'mate').toFixed(0),
      middle(seen, '(c)').toFixed(0),
      ratio(seen, 'mate', '(c)').toFixed(2),
    ])
  }
  report.table(['connections', 'mate REST/s', '(c)/s', '÷ (c)'], table)
}
