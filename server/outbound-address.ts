// Which addresses a request may go to when a tenant chose where: the public ones, private ones where allowed, no other.
import ipaddr from 'ipaddr.js'

/** `forbidden` is refused whatever the settings say: link-local, metadata services, and what no server can have. */
export type AddressKind = 'public' | 'private' | 'forbidden'

/** Where clouds answer any caller with credentials, beyond the link-local ranges. */
const metadata = new Set([
  '100.100.100.200', // Alibaba
  '168.63.129.16', // Azure
  '192.0.0.192', // Oracle
  'fd00:ec2::254', // AWS
  'fd00:ec2::23', // AWS, EKS
  'fd20:ce::254', // Google
])

const privateRanges = new Set<string>(['private', 'loopback', 'uniqueLocal', 'carrierGradeNat'])

/** Of an IP address as text; what is none is forbidden. */
export function addressKind(text: string): AddressKind {
  return ipaddr.isValid(text) ? kindOf(ipaddr.parse(text)) : 'forbidden'
}

function kindOf(address: ipaddr.IPv4 | ipaddr.IPv6): AddressKind {
  const range: string = address.range()
  if (address instanceof ipaddr.IPv6) {
    const inner = embeddedIn(address, range)
    if (inner) return kindOf(inner)
    // Only 2000::/3 is given out as public unicast, RFC 4291, section 2.4.
    if (range === 'unicast' && (address.parts[0] ?? 0) >> 13 !== 1) return 'forbidden'
  }
  if (metadata.has(address.toString())) return 'forbidden'
  if (range === 'unicast') return 'public'
  return privateRanges.has(range) ? 'private' : 'forbidden'
}

/** The IPv4 address that a packet to this one ends at: mapped, translated (RFC 6052, RFC 6145), 6to4. */
function embeddedIn({ parts }: ipaddr.IPv6, range: string): ipaddr.IPv4 | undefined {
  const at = (index: number) => {
    const [high = 0, low = 0] = parts.slice(index, index + 2)
    return new ipaddr.IPv4([high >> 8, high & 255, low >> 8, low & 255])
  }
  if (range === 'ipv4Mapped' || range === 'rfc6145') return at(6)
  // The well-known prefix alone: in one for local use (RFC 8215) the address may stand anywhere.
  if (range === 'rfc6052' && parts.slice(2, 6).every((part) => part === 0)) return at(6)
  if (range === '6to4') return at(1)
}
