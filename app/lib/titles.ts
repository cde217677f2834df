export function titled(page: string) {
  return [{ title: `${page} · mate` }]
}
