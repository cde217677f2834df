// Keys that are refused, and changes with their audit entries.
import postgres from 'postgres'
import { type Bench, builtServer, dropMade } from '../bench.ts'
import { measure, middle, ratio } from '../measure.ts'

export const newAgent = { name: 'made {n}', environment: 'test', connector: { type: 'http', url: 'https://a.example.com/' } }

export async function writes({ url, seeded, pace, report, start }: Bench): Promise<void> {
  const subject = await start(builtServer)
  const client = postgres(url, { max: 1, onnotice: () => {} })
  const change = (path: string, body: unknown) => ({
    path,
    method: 'POST',
    headers: { 'X-API-Key': seeded.adminKey, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  })
  const refused = (key: string) => ({
    subject,
    request: { path: '/api/agents', headers: { 'X-API-Key': key } },
    expectRefusals: true,
  })

  report.heading('Refusals and writes')
  const floor = {
    name: '(a)',
    subject: await start('bench/floors.ts', ['a']),
    request: { path: '/api/agents', keys: seeded.keys },
  }
  const seen = await measure(
    [
      floor,
      { name: 'malformed key', ...refused('mate_x') },
      { name: 'revoked key', ...refused(seeded.revokedKey) },
      { name: 'POST agent, audited', subject, request: change('/api/agents', newAgent), reset: () => dropMade(client, 'agents') },
      {
        name: 'POST API key, audited',
        subject,
        request: change('/api/admin/api-keys', { name: 'made {n}', role: 'Viewer' }),
        reset: () => dropMade(client, 'api_keys'),
      },
    ],
    pace,
  )
  await client.end()
  report.loads(seen, ['(a)'])
  const malformed = ratio(seen, 'malformed key', '(a)')
  report.verdict('2 malformed key ≥ 0.80 of (a)', malformed.toFixed(2), malformed >= 0.8)
  const audited = middle(seen, 'POST agent, audited')
  report.verdict('7 audited writes of one tenant ≥ 1,000/s', `${audited.toFixed(0)}/s`, audited >= 1_000)
}
