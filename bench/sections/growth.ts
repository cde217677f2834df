// A small database and a grown one side by side, a node each, loaded in turn: what 10 million keys and entries cost.
import { type Bench, besides, builtServer } from '../bench.ts'
import { measure, median, type Rounds } from '../measure.ts'
import { growAudit, growKeys, seed } from '../seed.ts'
import { signIn } from '../session.ts'

const html = { Accept: 'text/html' }

export async function growth({ isQuick, url, seeded, pace, report, start }: Bench): Promise<void> {
  const grownUrl = besides(url, 'mate_bench_grown')
  const grownSeed = await seed(grownUrl)
  const small = await start(builtServer)
  const grown = await start(builtServer, [], { DATABASE_URL: grownUrl })
  const sizes = isQuick ? [100_000] : [1_000_000, 10_000_000]

  report.heading(
    'Growth: keys',
    'GET /api/agents on a database of 1,000 keys and on a grown one, in turn; the cost is the median of the rounds’ ratios, and its quartiles.',
  )
  const table: string[][] = []
  let cost = Number.NaN
  for (const size of sizes) {
    await growKeys(grownUrl, size)
    const seen = await measure(
      [
        { name: 'small', subject: small, request: { path: '/api/agents', keys: seeded.keys } },
        { name: 'grown', subject: grown, request: { path: '/api/agents', keys: grownSeed.keys } },
      ],
      { rounds: pace.rounds * 3, seconds: isQuick ? 1 : 2 },
    )
    const costs = costsOf(seen)
    cost = median(costs)
    const quartile = (part: number) => percent(costs.toSorted((a, b) => a - b)[Math.floor(costs.length * part)] ?? Number.NaN)
    const speed = (name: string) => median((seen.get(name) ?? []).map(({ perSecond }) => perSecond)).toFixed(0)
    table.push([
      size.toLocaleString('en'),
      speed('small'),
      speed('grown'),
      percent(cost),
      `${quartile(0.25)} to ${quartile(0.75)}`,
    ])
  }
  report.table(['keys', '1,000 keys /s', 'grown /s', 'cost', 'quartiles'], table)
  report.verdict('3 10 million keys cost ≤ 5 % over 1 thousand', percent(cost), cost <= 0.05)

  await growAudit(grownUrl, sizes.at(-1) ?? 0)
  const cookie = await signIn(url)
  const grownCookie = await signIn(grownUrl)
  report.heading('Pages of a person who is signed in', 'HTML, first page, 4 connections.')
  report.loads(
    await measure(
      [
        { name: '/api-keys, 1,000 keys', subject: small, request: { path: '/api-keys', headers: { ...html, Cookie: cookie } } },
        {
          name: `/audit-log, ${(sizes.at(-1) ?? 0).toLocaleString('en')} entries`,
          subject: grown,
          request: { path: '/audit-log', headers: { ...html, Cookie: grownCookie } },
        },
        {
          name: `/api-keys, ${(sizes.at(-1) ?? 0).toLocaleString('en')} keys`,
          subject: grown,
          request: { path: '/api-keys', headers: { ...html, Cookie: grownCookie } },
        },
        {
          name: `GET /api/admin/audit-log, ${(sizes.at(-1) ?? 0).toLocaleString('en')} entries`,
          subject: grown,
          request: { path: '/api/admin/audit-log?limit=50', headers: { 'X-API-Key': grownSeed.adminKey } },
        },
      ],
      { ...pace, connections: 4 },
    ),
    [],
  )
}

function costsOf(seen: Rounds): number[] {
  const small = seen.get('small') ?? []
  return (seen.get('grown') ?? []).map(({ perSecond }, round) => (small[round]?.perSecond ?? Number.NaN) / perSecond - 1)
}

const percent = (part: number) => `${(part * 100).toFixed(1)} %`
