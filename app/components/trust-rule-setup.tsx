import type { TrustRule } from '../lib/api-types.ts'
import { providers } from '../lib/trust-rule-form.ts'
import { CodeBlock } from './code-block.tsx'
import { Card, CardTitle } from './ui/card.tsx'

interface TrustRuleSetupProps {
  rule: Pick<TrustRule, 'id' | 'issuer' | 'audience' | 'conditions'>
  /** Of this deployment, without a slash at the end. */
  origin: string
}

/** What to paste into the pipeline: nothing of it is secret. */
export function TrustRuleSetup({ rule, origin }: TrustRuleSetupProps) {
  const { issuer, conditions } = rule
  const isGitHub = issuer.startsWith(providers.github.issuer)
  const isGitLab = issuer === providers.gitlab.issuer || 'project_path' in conditions
  return (
    <Card>
      <CardTitle>In the pipeline</CardTitle>
      <p className="text-sm text-muted-foreground">
        Nothing of this is secret. <code className="font-mono text-[0.8125rem]">mate run</code> exchanges the token by itself;
        anything else gets a key as below.
      </p>
      {isGitHub && <CodeBlock label="GitHub Actions" code={githubYaml(rule, origin)} />}
      {isGitLab && <CodeBlock label="GitLab" code={gitlabYaml(rule, origin)} />}
      <CodeBlock label="A key, with curl" code={curlOf(rule, origin)} />
    </Card>
  )
}

const githubYaml = ({ id, audience, conditions }: TrustRuleSetupProps['rule'], origin: string) => `jobs:
  mate:
    runs-on: ubuntu-latest${conditions.environment ? `\n    environment: ${yamlOf(conditions.environment[0] ?? '')}` : ''}
    permissions:
      contents: read
      id-token: write
    steps:
      - uses: actions/checkout@v5
      - run: npm install --no-save ./tools/mate-0.1.0.tgz
      - run: npx --no mate run --suite Smoke --agent Assistant
        env:
          MATE_URL: ${yamlOf(origin)}
          MATE_TRUST_RULE: ${id}${audience === origin ? '' : `\n          MATE_AUDIENCE: ${yamlOf(audience)}`}`

const gitlabYaml = ({ id, audience, conditions }: TrustRuleSetupProps['rule'], origin: string) => `agent-tests:
  image: node:24${conditions.environment ? `\n  environment: ${yamlOf(conditions.environment[0] ?? '')}` : ''}
  id_tokens:
    MATE_ID_TOKEN:
      aud: ${yamlOf(audience)}
  variables:
    MATE_URL: ${yamlOf(origin)}
    MATE_TRUST_RULE: ${id}
  script:
    - npm install --no-save ./tools/mate-0.1.0.tgz
    - npx --no mate run --suite Smoke --agent Assistant`

const curlOf = ({ id }: TrustRuleSetupProps['rule'], origin: string) =>
  `key=$(jq -n --arg token "$MATE_ID_TOKEN" '{token: $token, ruleId: "${id}"}' |
  curl -sf -H 'Content-Type: application/json' -d @- ${origin}/api/token | jq -r .key)`

/** JSON is YAML: quoted only where it would read as something else. */
const yamlOf = (text: string) => (/^[A-Za-z][\w./:-]*$/.test(text) && !text.endsWith(':') ? text : JSON.stringify(text))
