import { scaleLinear } from 'd3-scale'

export interface BarOfChart {
  key: string
  /** Shown on hover. */
  title: string
  base: number
  /** Stands on the base. */
  top?: number
}

interface BarChartProps {
  bars: BarOfChart[]
  /** What the picture shows, for those who do not see it. */
  label: string
  from: string
  to: string
  /** Of the bars below; what stands on them is always the colour of what went wrong. */
  baseClass?: string
}

const height = 120
const step = 8
const barWidth = 6

/** Bars, drawn on the server: they are there without JavaScript. What they show stands in a table near them. */
export function BarChart({ bars, label, from, to, baseClass = 'fill-primary' }: BarChartProps) {
  const max = Math.max(...bars.map(({ base, top = 0 }) => base + top), 2)
  const y = scaleLinear([0, max], [0, height]).nice(2)
  const ticks = y.ticks(2)
  return (
    <figure className="grid grid-cols-[minmax(0,1fr)_auto] gap-x-2 text-xs text-muted-foreground">
      <svg
        viewBox={`0 0 ${bars.length * step} ${height}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={label}
        className="h-30 w-full overflow-visible"
      >
        {ticks.map((tick) => (
          <line
            key={tick}
            x1={0}
            x2={bars.length * step}
            y1={height - y(tick)}
            y2={height - y(tick)}
            vectorEffect="non-scaling-stroke"
            className="stroke-border"
          />
        ))}
        {bars.map((bar, i) => (
          <Bar
            key={bar.key}
            bar={bar}
            x={i * step}
            baseClass={baseClass}
            heightOf={(count) => (count === 0 ? 0 : Math.max(y(count), 2))}
          />
        ))}
      </svg>
      <div aria-hidden="true" className="-my-2 flex flex-col-reverse justify-between tabular-nums">
        {ticks.map((tick) => (
          <span key={tick}>{tick.toLocaleString('en-GB')}</span>
        ))}
      </div>
      <div aria-hidden="true" className="mt-2 flex justify-between">
        <span>{from}</span>
        <span>{to}</span>
      </div>
    </figure>
  )
}

interface BarProps {
  bar: BarOfChart
  x: number
  baseClass: string
  heightOf: (count: number) => number
}

function Bar({ bar, x, baseClass, heightOf }: BarProps) {
  const [base, top] = [heightOf(bar.base), heightOf(bar.top ?? 0)]
  const left = x + (step - barWidth) / 2
  return (
    <g>
      <title>{bar.title}</title>
      <rect x={x} width={step} y={0} height={height} className="fill-transparent hover:fill-muted" />
      {base > 0 && (
        <rect x={left} width={barWidth} y={height - base} height={base} className={`pointer-events-none ${baseClass}`} />
      )}
      {top > 0 && (
        <rect x={left} width={barWidth} y={height - base - top} height={top} className="pointer-events-none fill-destructive" />
      )}
    </g>
  )
}
