// What the pages of sign-in and account are given: the functions of account.ts, factor-setup.ts and sign-in-steps.ts for one request.
import { TRPCError } from '@trpc/server'
import type { FormResult } from '#app/context.ts'
import type { Database } from '#db/client.ts'
import { type AccountView, changePassword, endSessions, rename, viewAccount } from './account.ts'
import type { Auth } from './auth.ts'
import {
  type Added,
  addPasskeyTo,
  addTotpTo,
  type Holder,
  offerPasskeyTo,
  offerTotpTo,
  removeFactor,
  renewRecoveryCodes,
} from './factor-setup.ts'
import type { PageRequest } from './pages.ts'
import type { RegistrationOptions, RequestOptions } from './passkeys.ts'
import { asPerson, endPending } from './person.ts'
import { hasFactor, listFactors, type TotpOffer } from './second-factor.ts'
import type { Origin } from './sessions.ts'
import {
  askAnybody,
  askPending,
  askSignedIn,
  enterByCode,
  enterByPasskey,
  renewByCode,
  renewByPasskey,
  renewByPassword,
  signInByPasskey,
  type Ways,
  waysOf,
} from './sign-in-steps.ts'

export type { RegistrationOptions, RequestOptions }

/** A session that waits: what it can be opened with, or that a factor has to be set up first. */
export interface PendingView {
  email: string
  mustSetUp: boolean
  code: boolean
  passkey: boolean
}

type Entered = Promise<FormResult<{ headers: Headers }>>
type AddedFactor = Promise<FormResult<{ codes: string[] | null; headers: Headers }>>

/** Each failure below 500 is a result; a problem of the code `sign_in_again` leads to /sign-in/again. */
export interface PeoplePages {
  passkeySignIn: {
    ask(): Promise<FormResult<{ options: RequestOptions }>>
    enter(response: string): Entered
  }
  /** Of a session that waits for its second factor. */
  secondFactor: {
    find(): Promise<PendingView | undefined>
    /** Whether this very request has opened it: its cookie is the next one's. */
    isOpened(): boolean
    enterByCode(code: string): Entered
    ask(): Promise<FormResult<{ options: RequestOptions }>>
    enterByPasskey(response: string): Entered
    /** Ends it, to sign in as somebody else. */
    leave(): Promise<void>
  }
  signInAgain: {
    ways(): Promise<Ways>
    byPassword(password: string): Promise<FormResult<object>>
    byCode(code: string): Promise<FormResult<object>>
    ask(): Promise<FormResult<{ options: RequestOptions }>>
    byPasskey(response: string): Promise<FormResult<object>>
  }
  /** Of the signed-in person, or of who has to set up a factor before they are. */
  factors: {
    offerTotp(kept?: string): Promise<FormResult<{ offer: TotpOffer }>>
    addTotp(input: { sealed: string; code: string }): AddedFactor
    offerPasskey(): Promise<FormResult<{ options: RegistrationOptions }>>
    addPasskey(input: { name: string; response: string }): AddedFactor
    /** @param id of a passkey, or `totp`. */
    remove(id: string): Promise<FormResult<object>>
    renewCodes(): Promise<FormResult<{ codes: string[] }>>
  }
  account: {
    get(): Promise<AccountView>
    rename(input: { name: string }): Promise<FormResult<object>>
    changePassword(input: { current: string; password: string }): Promise<FormResult<{ ended: number }>>
    endSession(id: string): Promise<FormResult<{ ended: number }>>
    endOtherSessions(): Promise<FormResult<{ ended: number }>>
  }
}

interface Given {
  auth: Auth
  database: Database
  call: Origin
  page: PageRequest
  expected: <T>(operation: string, work: () => Promise<T>) => Promise<FormResult<T>>
  orProblem: <T>(requestId: string, operation: string, work: () => Promise<T>) => Promise<T>
}

export function createPeoplePages({ auth, database, call, page, expected, orProblem }: Given): PeoplePages {
  const { origin, cookie } = page
  const desk = { database, call, origin }
  let isOpened = false
  // An id that no session has is refused as one that has ended is.
  const own = () => page.session?.sessionId ?? crypto.randomUUID()
  const pending = async () => (await auth.findPending(cookie)) ?? crypto.randomUUID()
  const here = () => ({ database, call, sessionId: own() })
  const holder = async (): Promise<Holder> =>
    page.session ? { ...desk, sessionId: own(), isPending: false } : { ...desk, sessionId: await pending(), isPending: true }
  const enter = (work: () => Promise<string>) => expected('sign in', async () => ({ headers: await auth.cookieOf(await work()) }))
  const added = (work: () => Promise<Added>) =>
    expected('add a second factor', async () => {
      const { codes, token } = await work()
      isOpened = token !== undefined
      return { codes, headers: token === undefined ? new Headers() : await auth.cookieOf(token) }
    })
  const done = (work: () => Promise<void>) =>
    expected('account', async () => {
      await work()
      return {}
    })

  return {
    passkeySignIn: {
      ask: () => expected('sign in', async () => ({ options: await askAnybody(desk) })),
      enter: (response) => enter(() => signInByPasskey(desk, response)),
    },
    secondFactor: {
      find: () => orProblem(call.requestId, 'second factor', async () => findPending(database, await auth.findPending(cookie))),
      isOpened: () => isOpened,
      enterByCode: (code) => enter(async () => enterByCode(desk, await pending(), code)),
      ask: () => expected('second factor', async () => ({ options: await askPending(desk, await pending()) })),
      enterByPasskey: (response) => enter(async () => enterByPasskey(desk, await pending(), response)),
      leave: () => orProblem(call.requestId, 'second factor', async () => endPending(database, await auth.findPending(cookie))),
    },
    signInAgain: {
      ways: () => orProblem(call.requestId, 'sign in again', () => waysOf(desk, own())),
      byPassword: (password) => done(() => renewByPassword(desk, own(), password)),
      byCode: (code) => done(() => renewByCode(desk, own(), code)),
      ask: () => expected('sign in again', async () => ({ options: await askSignedIn(desk, own()) })),
      byPasskey: (response) => done(() => renewByPasskey(desk, own(), response)),
    },
    factors: {
      offerTotp: (kept) => expected('second factor', async () => ({ offer: await offerTotpTo(await holder(), kept) })),
      addTotp: (input) => added(async () => addTotpTo(await holder(), input)),
      offerPasskey: () => expected('second factor', async () => ({ options: await offerPasskeyTo(await holder()) })),
      addPasskey: (input) => added(async () => addPasskeyTo(await holder(), input)),
      remove: (id) => done(() => removeFactor(here(), id)),
      renewCodes: () => expected('recovery codes', async () => ({ codes: await renewRecoveryCodes(here()) })),
    },
    account: {
      get: () => orProblem(call.requestId, 'account', () => viewAccount(here())),
      rename: (input) => done(() => rename(here(), input)),
      changePassword: (input) => expected('account', () => changePassword(here(), input)),
      endSession: (id) => expected('account', () => endSessions(here(), id)),
      endOtherSessions: () => expected('account', () => endSessions(here())),
    },
  }
}

async function findPending(database: Database, sessionId: string | undefined): Promise<PendingView | undefined> {
  if (sessionId === undefined) return undefined
  const view = asPerson(database, sessionId, { isPending: true }, async (tx, { id, email }) => {
    const factors = await listFactors(tx, id)
    const code = factors.totpSince !== null || factors.codesLeft > 0
    return { email, mustSetUp: !hasFactor(factors), code, passkey: factors.passkeys.length > 0 }
  })
  // It waited too long, or its person was deactivated meanwhile: they sign in anew, or not.
  return view.catch((error) => {
    if (error instanceof TRPCError && error.code === 'UNAUTHORIZED') return undefined
    throw error
  })
}
