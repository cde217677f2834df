// Text of agents, judges and tenants, made fit for a terminal and for the log of a CI system.

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it removes
const unprintable = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+/g

/** One line of at most `max` characters: no control characters, and nothing that GitHub takes for a command anywhere in a line. */
export function plain(text: string, max = 300): string {
  const oneLine = text.toWellFormed().replace(unprintable, ' ').replaceAll('##[', '## [').trim()
  const characters = [...oneLine]
  return characters.length > max ? `${characters.slice(0, max - 1).join('')}…` : oneLine
}
