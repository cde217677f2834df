// Requests to identity providers: by the guard of every outgoing request, with TLS everywhere but on this machine.
import type { CustomFetch } from 'openid-client'
import { faultOfUrl, OutboundFailure, type OutboundRules, sendOutbound } from './outbound.ts'

const timeoutMs = 10_000
const maxBytes = 1_048_576

/** Of names only those that resolve to nothing else by RFC 6761, section 6.3. */
const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/

/** What is wrong with an address of a provider, be it an issuer or one that its metadata names; undefined when nothing is. */
export function faultOfProviderUrl(text: string, rules: OutboundRules): string | undefined {
  const fault = faultOfUrl(text, rules)
  if (fault) return fault
  const { protocol, hostname } = new URL(text)
  if (protocol !== 'https:' && !loopback.test(hostname)) return 'The address of an identity provider must begin with https://.'
}

/**
 * A fetch for openid-client. No redirect is followed: what a provider publishes stands where it says.
 * @throws OutboundFailure
 */
export function providerFetch(rules: OutboundRules): CustomFetch {
  return async (url, { method, headers, body, signal }) => {
    const fault = faultOfProviderUrl(url, rules)
    if (fault) throw new OutboundFailure(fault, 'refused')
    if (method !== 'GET' && method !== 'POST') throw new OutboundFailure(`Nothing is sent by ${method}.`, 'refused')
    const answer = await sendOutbound(
      { url, method, headers, timeoutMs, maxBytes, signal, ...(body ? { body: String(body) } : {}) },
      rules,
    )
    if (answer.isCut) throw new OutboundFailure('The answer is larger than one mebibyte.', 'invalid')
    const isEmpty = [204, 205, 304].includes(answer.status)
    const type = answer.headers['content-type']
    return new Response(isEmpty ? null : new Uint8Array(answer.body), {
      status: answer.status,
      headers: type ? { 'content-type': type } : {},
    })
  }
}
