// Patterns of rubric criteria: regular expressions of RE2, whose time grows with the text and never explodes.
import { RE2JS } from 're2js'

/** Why a pattern can't be used, in words for the tenant. */
export class PatternFault extends Error {}

/** A match costs text × program: a text of 65,536 characters takes at most about a third of a second with this many steps. */
const maxProgramSize = 500

/** @throws PatternFault */
export function compilePattern(pattern: string): RE2JS {
  const compiled = parse(pattern)
  if (compiled.programSize() <= maxProgramSize) return compiled
  throw new PatternFault('Is too large once its repetitions are written out. Repeat less, or make several criteria of it.')
}

function parse(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern)
  } catch (cause) {
    // "error parsing regexp: missing closing ]: `[a`": what is wrong, and where in the tenant's own text.
    const words = cause instanceof Error ? cause.message.replace(/^error parsing regexp: /, '') : 'not understood'
    throw new PatternFault(`Is no regular expression of RE2: ${words}.`, { cause })
  }
}
