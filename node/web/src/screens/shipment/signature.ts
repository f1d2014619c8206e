// A drawn signature as an SVG that fits into an edit.

export const BYTES_MAX = 12 * 1024;

export interface Point {
  x: number;
  y: number;
}

/** Ramer–Douglas–Peucker: leaves out the points that lie nearer to the line through their neighbours than the tolerance. */
function simplified(points: Point[], tolerance: number): Point[] {
  if (points.length < 3) return points;
  const [first, last] = [points[0]!, points.at(-1)!];
  const long = Math.hypot(last.x - first.x, last.y - first.y);
  let [farthest, at] = [0, 0];
  points.forEach((point, nth) => {
    const away =
      long === 0
        ? Math.hypot(point.x - first.x, point.y - first.y)
        : Math.abs((last.x - first.x) * (first.y - point.y) - (first.x - point.x) * (last.y - first.y)) / long;
    if (away > farthest) [farthest, at] = [away, nth];
  });
  if (farthest <= tolerance) return [first, last];
  return [...simplified(points.slice(0, at + 1), tolerance).slice(0, -1), ...simplified(points.slice(at), tolerance)];
}

function path(points: Point[]): string {
  const [first, ...rest] = points.map(({ x, y }) => ({ x: Math.round(x), y: Math.round(y) }));
  if (!first) return '';
  // A dot is a line of no length: round ends make it visible.
  if (rest.length === 0) return `M${first.x} ${first.y}h0`;
  return `M${first.x} ${first.y}L${rest.map(({ x, y }) => `${x} ${y}`).join(' ')}`;
}

/** The SVG in base64, drawn more coarsely until it is small enough; empty where nothing was drawn or it never is. */
export function signatureSvg(strokes: Point[][], width: number, height: number): string {
  if (strokes.every((stroke) => stroke.length === 0)) return '';
  for (const tolerance of [0.4, 0.8, 1.5, 3, 6, 12, 24]) {
    const paths = strokes.map((stroke) => path(simplified(stroke, tolerance))).join('');
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${Math.round(width)} ${Math.round(height)}"><path d="${paths}" fill="none" stroke="#0b1a1d" stroke-width="2.500" stroke-linecap="round" stroke-linejoin="round"/></svg>`;
    if (svg.length <= BYTES_MAX) return btoa(svg);
  }
  return '';
}
