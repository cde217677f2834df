// What a key may be narrowed to below its role: networks, requests a minute, scopes; and whether one set of limits fits within another.
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { z } from 'zod'
import { badField } from './problem.ts'

/** Null is no limit; a list is never empty. */
export interface KeyLimits {
  /** Networks as `normaliseNetwork` writes them. */
  allowedIps: string[] | null
  requestsPerMinute: number | null
  scopes: string[] | null
}

/** What a caller asks for: a limit that is left out stays what it would be. */
export type AskedLimits = { [F in keyof KeyLimits]?: KeyLimits[F] | undefined }

export const unlimited: KeyLimits = { allowedIps: null, requestsPerMinute: null, scopes: null }

const never = (what: string) => `An empty list never means everything: name ${what}, or send null for no limit.`

const Network = z.string().max(60).refine(isNetwork, 'Must be an address or a network such as 203.0.113.0/24 or 2001:db8::/32.')

export const KeyLimitsInput = {
  allowedIps: z
    .array(Network)
    .min(1, never('an address'))
    .max(50)
    .nullable()
    .optional()
    .describe('Addresses and networks (CIDR, IPv4 and IPv6) that the key may be used from; null for anywhere.'),
  requestsPerMinute: z
    .number()
    .int()
    .min(1)
    .max(100_000)
    .nullable()
    .optional()
    .describe('Requests that the key may make in a minute, on all nodes together; null for no limit.'),
  scopes: z
    .array(z.string().max(100))
    .min(1, never('a scope'))
    .max(50)
    .nullable()
    .optional()
    .describe('What the key may do of what its role allows, such as `agents:read`; null for all of it.'),
}

function isNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0 || address.includes('%')) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
}

type Network = [ipaddr.IPv4 | ipaddr.IPv6, number]

/** The last four bytes of an IPv6 address in hexadecimal: the library takes the dots of `::192.0.2.1` for IPv4. */
function withoutDots(address: string): string {
  const tail = address.slice(address.lastIndexOf(':') + 1)
  if (isIP(address) !== 6 || isIP(tail) !== 4) return address
  const [a = 0, b = 0, c = 0, d = 0] = tail.split('.').map(Number)
  return `${address.slice(0, -tail.length)}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
}

/** IPv4 in IPv6 (RFC 4291, section 2.5.5.2) is IPv4. */
function parseNetwork(text: string): Network {
  const [address = '', bits] = text.split('/')
  const parsed = ipaddr.parse(withoutDots(address))
  const length = bits === undefined ? (parsed.kind() === 'ipv4' ? 32 : 128) : Number(bits)
  if (parsed instanceof ipaddr.IPv6 && parsed.isIPv4MappedAddress() && length >= 96) return [parsed.toIPv4Address(), length - 96]
  return [parsed, length]
}

/** The one way to write a network: its first address as RFC 5952 has it, and always its length. */
function normaliseNetwork(text: string): string {
  const [address, length] = parseNetwork(text)
  const kind = address.kind() === 'ipv4' ? ipaddr.IPv4 : ipaddr.IPv6
  return `${kind.networkAddressFromCIDR(`${address}/${length}`)}/${length}`
}

function isWithin(inner: Network, outer: Network): boolean {
  return inner[0].kind() === outer[0].kind() && inner[1] >= outer[1] && inner[0].match(outer)
}

/** Whether a client at `ip` may use a key; one whose address is not known may not use a limited one. */
export function isAllowedFrom(allowedIps: string[] | null, ip: string | null): boolean {
  if (allowedIps === null) return true
  if (ip === null || isIP(ip) === 0) return false
  const client = parseNetwork(ip.split('%')[0] ?? '')
  return allowedIps.some((network) => isWithin(client, parseNetwork(network)))
}

/**
 * Limits that somebody asks for, as they are stored: networks and scopes in their one form, sorted, each once.
 * @throws TRPCError BAD_REQUEST that names a scope which no operation has.
 */
export function normaliseLimits(
  { allowedIps, requestsPerMinute, scopes }: AskedLimits,
  knownScopes: readonly string[],
): AskedLimits {
  for (const [i, scope] of scopes?.entries() ?? []) {
    if (!knownScopes.includes(scope)) throw badField(`scopes.${i}`, `Is no scope. There are ${knownScopes.join(', ')}.`)
  }
  return {
    allowedIps: allowedIps && [...new Set(allowedIps.map(normaliseNetwork))].sort(),
    requestsPerMinute,
    scopes: scopes && [...new Set(scopes)].sort(),
  }
}

type Field = keyof KeyLimits

/** For each field, whether what is wanted is no more than what is held. */
const fits: { [F in Field]: (wanted: KeyLimits[F], held: KeyLimits[F]) => boolean } = {
  allowedIps: (wanted, held) =>
    held === null ||
    (wanted?.every((inner) => held.some((outer) => isWithin(parseNetwork(inner), parseNetwork(outer)))) ?? false),
  requestsPerMinute: (wanted, held) => held === null || (wanted !== null && wanted <= held),
  scopes: (wanted, held) => held === null || (wanted?.every((scope) => held.includes(scope)) ?? false),
}

const fitsIn = <F extends Field>(field: F, wanted: KeyLimits, held: KeyLimits) => fits[field](wanted[field], held[field])

/** The fields in which `wanted` is more than each of `helds`. */
export function excessOver(wanted: KeyLimits, ...helds: KeyLimits[]): Field[] {
  const fields: Field[] = ['allowedIps', 'requestsPerMinute', 'scopes']
  return fields.filter((field) => !helds.some((held) => fitsIn(field, wanted, held)))
}
