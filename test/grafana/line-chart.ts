/** One series of a graph. */
export interface Line {
  readonly name: string;
  readonly color: string;
  /** Unix time in seconds, and value. */
  readonly points: ReadonlyArray<readonly [number, number]>;
}

export interface ChartOptions {
  readonly from: number;
  readonly to: number;
  /** Areas on top of each other. */
  readonly stacked: boolean;
  readonly label: (value: number) => string;
}

const WIDTH = 600;
const HEIGHT = 150;
const LEFT = 58;
const TICKS = 4;

/** A line chart as SVG. */
export function lineChart(lines: readonly Line[], { from, to, stacked, label }: ChartOptions): string {
  const drawn = stacked ? onTop(lines) : lines;
  const highest = Math.max(...drawn.flatMap(({ points }) => points.map(([, value]) => value)), Number.MIN_VALUE) * 1.1;
  const x = (time: number) => LEFT + ((time - from) / (to - from)) * (WIDTH - LEFT);
  const y = (value: number) => HEIGHT - 4 - (value / highest) * (HEIGHT - 12);
  const grid = Array.from({ length: TICKS + 1 }, (_, tick) => {
    const value = (highest * tick) / TICKS;
    const at = y(value).toFixed(1);
    return `<path d="M${LEFT} ${at}H${WIDTH}" stroke="#2a2f38"/><text x="${LEFT - 4}" y="${at}" text-anchor="end">${label(value)}</text>`;
  });
  // The highest sum first, so that what is below it covers it.
  const paths = [...drawn].reverse().map(({ points, color }) => {
    const line = points.map(([time, value]) => `${x(time).toFixed(1)} ${y(value).toFixed(1)}`).join('L');
    const [first, last] = [points[0]?.[0] ?? from, points.at(-1)?.[0] ?? to];
    const area = stacked
      ? `<path d="M${x(first)} ${y(0)}L${line}L${x(last)} ${y(0)}Z" fill="${color}" fill-opacity="0.5"/>`
      : '';
    return `${area}<path d="M${line}" fill="none" stroke="${color}" stroke-width="1.5"/>`;
  });
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}">${grid.join('')}${paths.join('')}</svg>`;
}

/** Each series plus all before it, point by point. */
function onTop(lines: readonly Line[]): Line[] {
  const sums = new Map<number, number>();
  return lines.map((line) => ({
    ...line,
    points: line.points.map(([time, value]) => {
      const sum = (sums.get(time) ?? 0) + value;
      sums.set(time, sum);
      return [time, sum] as const;
    }),
  }));
}
