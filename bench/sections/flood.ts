// Good requests at a constant rate, alone and beside 10,000 malformed keys a second, in turn; and beside as many that floor (a)
// refuses, a process of its own on the server's core: what such a flood costs whoever shares these two cores with it.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { type Bench, builtServer } from '../bench.ts'
import { loadCore, median } from '../measure.ts'

interface Reached {
  perSecond: number
  p50Ms: number
  p99Ms: number
}

const floodRate = 10_000
const goodRate = 300

export async function flood({ isQuick, seeded, pace, report, start }: Bench): Promise<void> {
  const { url } = await start(builtServer)
  const floor = await start('bench/floors.ts', ['a'])
  const seconds = isQuick ? 2 : 5
  const at = async (url: string, rate: number, connections: number, keys: string[], length = seconds): Promise<Reached> => {
    const args = ['bench/rate.ts', `${url}/api/agents`, rate, length, connections, ...keys].map(String)
    const { stdout } = await promisify(execFile)('taskset', ['-c', String(loadCore), process.execPath, ...args])
    return JSON.parse(stdout)
  }
  const good = () => at(url, goodRate, 16, seeded.keys.slice(0, 100))
  // The flood lasts longer at both ends than what is measured beside it.
  const besideFloodOf = async (flooded: string): Promise<[Reached, Reached]> => {
    const flooding = at(flooded, floodRate, 32, ['mate_x'], seconds + 2)
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    return [await good(), await flooding]
  }
  await good()
  const rounds: { alone: Reached; beside: Reached; flood: Reached; besideFloor: Reached; floorFlood: Reached }[] = []
  for (let round = 0; round < pace.rounds; round++) {
    const alone = await good()
    const [besideFloor, floorFlood] = await besideFloodOf(floor.url)
    const [beside, flood] = await besideFloodOf(url)
    rounds.push({ alone, beside, flood, besideFloor, floorFlood })
  }

  report.heading(
    'A flood of malformed keys',
    `${goodRate} good requests a second over 16 connections, alone and beside a flood over 32 connections, ${rounds.length} rounds of ${seconds} s in turn. Both generators share core ${loadCore} with each other and with PostgreSQL.`,
  )
  const mid = (pick: (round: (typeof rounds)[number]) => number) => median(rounds.map(pick))
  const row = (name: string, of: 'alone' | 'beside' | 'besideFloor', flooded: string) => [
    name,
    mid((round) => round[of].perSecond).toFixed(0),
    flooded,
    mid((round) => round[of].p50Ms).toFixed(2),
    mid((round) => round[of].p99Ms).toFixed(2),
  ]
  const reached = mid((round) => round.flood.perSecond)
  const floorReached = mid((round) => round.floorFlood.perSecond)
  report.table(
    ['good requests', 'good/s', 'malformed/s', 'p50 ms', 'p99 ms'],
    [
      row('alone', 'alone', '0'),
      row('beside the flood', 'beside', reached.toFixed(0)),
      row('beside such a flood of floor (a)', 'besideFloor', floorReached.toFixed(0)),
    ],
  )
  const moved = mid(({ alone, beside }) => beside.p99Ms / alone.p99Ms - 1)
  report.verdict(
    '4 10,000 malformed keys a second move the p99 of good requests < 10 %',
    `${(moved * 100).toFixed(0)} % at ${reached.toFixed(0)}/s`,
    moved < 0.1 && reached >= floodRate * 0.95,
  )
}
