import { encode } from 'uqr'

/** A QR code as the path of an SVG of `size` × `size` modules, a margin of four around it (ISO/IEC 18004). */
export function qrCode(text: string): { size: number; path: string } {
  const { size, data } = encode(text, { ecc: 'M', border: 4 })
  const modules = data.flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? `M${x} ${y}h1v1h-1z` : [])))
  return { size, path: modules.join('') }
}
