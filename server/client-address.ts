// The client's address: the socket's, or what a trusted proxy says of it.
import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'

export type ClientAddress = (request: IncomingMessage) => string | null

/**
 * Reads X-Forwarded-For from the right, past the proxies that `trusted` names, and no further: what stands left of the
 * first address that is not a trusted proxy was written by the client and proves nothing.
 * @param trusted comma-separated addresses or CIDRs.
 * @throws Error that names a part which is neither.
 */
export function clientAddressReader(trusted: string | undefined): ClientAddress {
  if (!trusted) return (request) => unmap(request.socket.remoteAddress)
  const proxies = parseList(trusted)
  return (request) => {
    let address = unmap(request.socket.remoteAddress)
    const forwarded = String(request.headers['x-forwarded-for'] ?? '')
      .split(',')
      .map((part) => part.trim())
    while (address !== null && isIn(proxies, address)) {
      const next = unmap(forwarded.pop())
      if (next === null || isIP(next) === 0) break
      address = next
    }
    return address
  }
}

function parseList(text: string): BlockList {
  const list = new BlockList()
  for (const part of text.split(',').map((each) => each.trim())) {
    const [address = '', bits] = part.split('/')
    const family = isIP(address)
    if (family === 0) throw new Error(`MATE_TRUST_PROXY: “${part}” is neither an address nor a CIDR.`)
    const type = family === 4 ? 'ipv4' : 'ipv6'
    if (bits === undefined) list.addAddress(address, type)
    else list.addSubnet(address, Number(bits), type)
  }
  return list
}

function isIn(list: BlockList, address: string): boolean {
  const family = isIP(address)
  return family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6')
}

/** IPv4 in IPv6 (RFC 4291, section 2.5.5.2), as a socket that listens on both shows it, is IPv4. */
function unmap(address: string | undefined): string | null {
  if (!address) return null
  return address.toLowerCase().startsWith('::ffff:') ? address.slice(7) : address
}

/** What one client has for itself: an IPv4 address, or the /64 of an IPv6 one (RFC 6177), so that it can't hop within it. */
export function networkOf(address: string): string {
  if (isIP(address) !== 6) return address
  const [head = '', tail] = (address.split('%', 1)[0] ?? '').split('::')
  const front = head === '' ? [] : head.split(':')
  const zeros = tail === undefined ? [] : Array(8).fill('0')
  const firstFour = [...front, ...zeros].slice(0, 4)
  return `${firstFour.map((part) => Number.parseInt(part, 16).toString(16)).join(':')}::/64`
}
