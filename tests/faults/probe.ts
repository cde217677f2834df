// A client that behaves: one request every ten milliseconds until its standard input ends; then prints how long they took.
import { setTimeout as sleep } from 'node:timers/promises'

const [url = '', key = ''] = process.argv.slice(2)
const took: number[] = []
const statuses: Record<number, number> = {}
let isOver = false
process.stdin.resume().on('end', () => {
  isOver = true
})

while (!isOver) {
  const from = performance.now()
  const status = await fetch(`${url}/api/agents?limit=5`, { headers: { 'X-API-Key': key } }).then(
    async (response) => {
      await response.arrayBuffer()
      return response.status
    },
    () => 0,
  )
  took.push(performance.now() - from)
  statuses[status] = (statuses[status] ?? 0) + 1
  await sleep(10)
}
process.stdout.write(JSON.stringify({ took, statuses }))
