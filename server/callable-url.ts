// Refuses early, at input, what sendOutbound would refuse each time: an address that mate may not call.
import { faultOfUrl } from './outbound.ts'
import { badField } from './problem.ts'
import { getRuntime } from './runtime.ts'

/**
 * A name is looked up only when it is called: it may lead anywhere by then.
 * @throws TRPCError BAD_REQUEST about the field at `path`.
 */
export function requireCallable(url: string, path: string): void {
  const fault = faultOfUrl(url, { allowPrivate: getRuntime().env.MATE_ALLOW_PRIVATE_AGENTS })
  if (fault) throw badField(path, fault)
}
