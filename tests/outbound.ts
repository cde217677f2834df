// What leaves this machine, by fetch or as server/outbound.ts sends it, is mocked by msw or fails: no test depends on the network.
import { HttpResponse, http } from 'msw'
import { setupServer } from 'msw/node'
import { afterAll, afterEach, beforeAll } from 'vitest'

// Not by `onUnhandledFrame: 'error'`: it has no exception for the server under test (msw 3.0.5 lets a callback only write).
const elsewhere = /^https?:\/\/(?!(?:localhost|127\.0\.0\.1|\[::1\])[:/])/

/** `outbound.use(http.get('https://…', …))` answers in place of the network. */
export const outbound = setupServer(http.all(elsewhere, () => HttpResponse.error()))

beforeAll(() => outbound.listen({ onUnhandledFrame: 'bypass' }))
afterEach(() => outbound.resetHandlers())
afterAll(() => outbound.close())
