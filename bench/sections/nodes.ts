// One, two and four nodes on one PostgreSQL, all loaded at once, 32 connections over all.
import postgres from 'postgres'
import { type Bench, builtServer, dropMade } from '../bench.ts'
import { load, type Request } from '../load.ts'
import { loadCore, median } from '../measure.ts'
import type { Subject } from '../subjects.ts'
import { newAgent } from './writes.ts'

export async function nodes({ url, seeded, pace, report, start }: Bench): Promise<void> {
  const started: Subject[] = []
  for (let i = 0; i < 4; i++) started.push(await start(builtServer, [], { MATE_DB_CONNECTIONS: '8' }))
  const client = postgres(url, { max: 1, onnotice: () => {} })
  const read: Request = { path: '/api/agents', keys: seeded.keys }
  const write: Request = {
    path: '/api/agents',
    method: 'POST',
    headers: { 'X-API-Key': seeded.adminKey, 'Content-Type': 'application/json' },
    body: JSON.stringify(newAgent),
  }
  /** What `count` nodes answer together, a second. */
  const together = async (count: number, request: Request) => {
    await dropMade(client, 'agents')
    const options = { seconds: pace.seconds, connections: 32 / count, core: loadCore }
    // Each generator has names of its own, or the nodes would refuse each other's.
    const ofNode = (i: number) => ({ ...request, ...(request.body ? { body: request.body.replace('made', `made ${i}`) } : {}) })
    const measured = await Promise.all(started.slice(0, count).map(({ url }, i) => load(url, ofNode(i), options)))
    if (measured.some(({ refused, failed }) => refused + failed > 0))
      throw new Error(`A node refused: ${JSON.stringify(measured)}`)
    return measured.reduce((sum, { perSecond }) => sum + perSecond, 0)
  }

  const counts = [1, 2, 4]
  const seen = new Map(counts.map((count) => [count, { reads: [] as number[], writes: [] as number[] }]))
  await together(4, read)
  for (let round = 0; round < pace.rounds; round++) {
    for (const [count, { reads, writes }] of seen) {
      reads.push(await together(count, read))
      writes.push(await together(count, write))
    }
  }
  await client.end()

  report.heading(
    'Growth: nodes on one PostgreSQL',
    'All nodes share the server’s core here, so this shows what nodes cost each other, and not what a core each would add.',
  )
  const one = seen.get(1)
  const overOne = (values: number[], first: number[] = []) =>
    median(values.map((value, round) => value / (first[round] ?? Number.NaN))).toFixed(2)
  report.table(
    ['nodes', 'reads/s, sum', '÷ one node', 'audited writes/s, sum', '÷ one node'],
    [...seen].map(([count, { reads, writes }]) => [
      String(count),
      median(reads).toFixed(0),
      overOne(reads, one?.reads),
      median(writes).toFixed(0),
      overOne(writes, one?.writes),
    ]),
  )
}
