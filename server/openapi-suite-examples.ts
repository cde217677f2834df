// Examples of the OpenAPI document for suites, cases, how they are judged, and what came of them.
const at = { createdAt: '2026-11-24T10:15:00.000Z', updatedAt: '2026-11-24T10:15:00.000Z' }
const page = (item: unknown) => ({ items: [item], nextCursor: null })

const suiteInput = {
  name: 'Orders',
  description: 'What customers ask about their orders.',
  passThreshold: 0.9,
  delayBetweenTestsMs: 250,
  tags: ['support'],
}
const suite = { id: '1d0f8a4b-6c2e-4b7a-9f11-3e5d7c9b2a60', ...suiteInput, judgeSettingId: null, caseCount: 12, ...at }

const caseInput = {
  name: 'Late parcel',
  description: 'The customer knows the order’s number.',
  userInput: ['My parcel is late.', 'The order is 4711.'],
  acceptanceCriteria: 'Says when the parcel arrives, and apologises.',
  expectedIntent: 'order_status',
  expectedEntities: ['4711'],
  referenceAnswer: 'I am sorry. Order 4711 arrives tomorrow.',
  tags: ['orders', 'late'],
  isActive: true,
  sortOrder: 3,
}
const testCase = { id: 'e2a6b1c4-7d3f-4c8e-8a25-9b0f1d2c3e71', suiteId: suite.id, ...caseInput, ...at }

const modelInput = {
  url: 'https://models.example.com/v1',
  name: 'judge-large',
  temperature: 0,
  maxTokens: 1000,
  timeoutSeconds: 30,
  secret: 'the-models-own-token',
}
const settingInput = {
  name: 'Polite and right',
  provider: 'hybrid',
  weights: { taskSuccess: 0.4, intentMatch: 0.1, factuality: 0.3, helpfulness: 0.1, safety: 0.1 },
  passThreshold: 0.75,
  criteria: [
    { name: 'Names the order', type: 'regex', pattern: '[Oo]rder 4711', weight: 2, isMandatory: true },
    { name: 'Promises no refund', type: 'notContains', pattern: 'refund', weight: 1, isMandatory: false },
  ],
  model: modelInput,
  isDefault: true,
}
const { secret: _, ...model } = modelInput
const setting = {
  id: '84c7e9d2-1b5a-4f60-b3d8-6a2c0e4f7b93',
  ...settingInput,
  model: { ...model, hasSecret: true },
  ...at,
}

export const suiteExamples = {
  'testSuites.list': { response: page(suite) },
  'testSuites.get': { response: suite },
  'testSuites.create': { request: suiteInput, response: { ...suite, caseCount: 0 } },
  'testSuites.update': { request: suiteInput, response: suite },
  'testSuites.delete': {},
  'testCases.list': { response: page(testCase) },
  'testCases.get': { response: testCase },
  'testCases.create': { request: caseInput, response: testCase },
  'testCases.update': { request: caseInput, response: testCase },
  'testCases.delete': {},
  'judgeSettings.list': { response: page(setting) },
  'judgeSettings.get': { response: setting },
  'judgeSettings.create': { request: settingInput, response: setting },
  'judgeSettings.update': { request: settingInput, response: setting },
  'judgeSettings.delete': {},
  'metrics.getSummary': {
    response: {
      days: 2,
      runs: { total: 3, completed: 2, failed: 0, cancelled: 1 },
      cases: { total: 36, passed: 26, failed: 2, skipped: 6, errors: 2 },
      passRate: 26 / 30,
      medianLatencyMs: 412.5,
      byDay: [
        { day: '2026-11-23', runs: 1, passed: 10, judged: 12 },
        { day: '2026-11-24', runs: 2, passed: 16, judged: 18 },
      ],
    },
  },
}
