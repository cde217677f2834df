import { CodeBlock } from './code-block.tsx'

interface KeyExamplesProps {
  apiKey: string
  origin: string
}

/** Ready to paste. The key stands in one of them only: the others read it from the environment, as they should. */
export function KeyExamples({ apiKey, origin }: KeyExamplesProps) {
  return (
    <section aria-labelledby="examples-title" className="mt-8 grid gap-4">
      <h2 id="examples-title" className="font-semibold">
        Use it
      </h2>
      <CodeBlock label="1. Put the key in the environment" code={`export MATE_API_KEY=${apiKey}`} />
      <CodeBlock label="2. curl, X-API-Key header" code={`curl -H "X-API-Key: $MATE_API_KEY" ${origin}/api/agents`} />
      <CodeBlock
        label="or curl, Authorization header"
        code={`curl -H "Authorization: ApiKey $MATE_API_KEY" ${origin}/api/agents`}
      />
      <CodeBlock label="or TypeScript" code={typescriptExample(origin)} />
      <CodeBlock label="or GitHub Actions, with the key as the secret MATE_API_KEY" code={actionsExample(origin)} />
    </section>
  )
}

function typescriptExample(origin: string): string {
  return `import { createMateClient } from 'mate/client'

const mate = createMateClient({
  url: '${origin}',
  apiKey: process.env.MATE_API_KEY!,
})
const { items } = await mate.agents.list.query({})`
}

function actionsExample(origin: string): string {
  return `- name: List agents
  env:
    MATE_API_KEY: \${{ secrets.MATE_API_KEY }}
  run: |
    curl --fail-with-body -H "X-API-Key: $MATE_API_KEY" \\
      ${origin}/api/agents`
}
