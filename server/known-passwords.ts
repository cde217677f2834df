// Which passwords everybody knows: 49,233 of them, from leaks, by way of @zxcvbn-ts/language-common.

let known: Promise<Set<string>> | undefined

/** Loaded when first asked for: most processes never are, and reading the list takes a tenth of a second. */
async function load(): Promise<Set<string>> {
  const { dictionary } = await import('@zxcvbn-ts/language-common')
  return new Set(dictionary['passwords-common'])
}

/** Whether a password stands in the list, in whatever case. */
export async function isKnownPassword(password: string): Promise<boolean> {
  known ??= load()
  return (await known).has(password.toLowerCase())
}

const shortestWord = 4

/** Whether a password holds what is no secret of its person: their e-mail address, the part before the @, their name. */
export function holdsOwnWord(password: string, { email, name }: { email?: string; name?: string }): boolean {
  const words = [email, email?.split('@')[0], name].map((word) => word?.trim().toLowerCase() ?? '')
  return words.some((word) => word.length >= shortestWord && password.toLowerCase().includes(word))
}
