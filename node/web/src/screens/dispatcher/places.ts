// Where shipments are, gathered into circles that do not cover each other at a scale.

import type { Row } from '../../creel';

/** Longitude and latitude in decimal degrees, as maps want them. */
export type Point = [longitude: number, latitude: number];

const known = new WeakMap<Row, Point | null>();

export function pointOf(row: Row): Point | null {
  let point = known.get(row);
  if (point === undefined) {
    const parts = row.place.split(',');
    const [latitude, longitude] = parts.map(Number);
    const right = parts.length === 2 && Math.abs(latitude!) <= 85 && Math.abs(longitude!) <= 180;
    point = right ? [longitude!, latitude!] : null;
    known.set(row, point);
  }
  return point;
}

/** A place on the whole world's square, from 0 to 1 in both directions (Web Mercator). */
function onSquare([longitude, latitude]: Point): [x: number, y: number] {
  const sin = Math.sin((latitude * Math.PI) / 180);
  return [longitude / 360 + 0.5, 0.5 - Math.log((1 + sin) / (1 - sin)) / (4 * Math.PI)];
}

export interface Place {
  id: string;
  point: Point;
  rows: Row[];
}

/** So far apart are the circles, in pixels. */
const CELL = 72;
/** In cells: circles closer than this would cover each other. */
const CLOSE = 0.8;
const TILE = 512;

export function gathered(rows: Row[], zoom: number): Place[] {
  const cells = (TILE * 2 ** zoom) / CELL;
  const squares = new Map<string, Place & { x: number; y: number }>();
  for (const row of rows) {
    const point = pointOf(row);
    if (!point) continue;
    const [x, y] = onSquare(point).map((part) => part * cells) as [number, number];
    const id = `${Math.floor(x)} ${Math.floor(y)}`;
    const place = squares.get(id);
    if (place) join(place, { point, rows: [row], x, y });
    else squares.set(id, { id, point: [...point], rows: [row], x, y });
  }
  // Two that lie close to each other across a square's edge are one as well.
  const apart = new Map<string, Place & { x: number; y: number }>();
  for (const place of squares.values()) {
    const near = around(place.id).flatMap((id) => apart.get(id) ?? []);
    const close = near.find((other) => Math.hypot(other.x - place.x, other.y - place.y) < CLOSE);
    if (close) join(close, place);
    else apart.set(place.id, place);
  }
  return [...apart.values()].map(({ id, point, rows: here }) => ({ id: `${zoom} ${id}`, point, rows: here }));
}

function around(id: string): string[] {
  const [x, y] = id.split(' ').map(Number) as [number, number];
  return [-1, 0, 1].flatMap((across) => [-1, 0, 1].map((down) => `${x + across} ${y + down}`));
}

interface Heap {
  point: Point;
  rows: Row[];
  x: number;
  y: number;
}

/** A circle stands in the middle of its shipments: those that come move it by their share. */
function join(place: Heap, more: Heap) {
  const share = more.rows.length / (place.rows.length + more.rows.length);
  for (const at of [0, 1] as const) place.point[at] += (more.point[at] - place.point[at]) * share;
  place.x += (more.x - place.x) * share;
  place.y += (more.y - place.y) * share;
  place.rows.push(...more.rows);
}

export type Bounds = [west: number, south: number, east: number, north: number];

export function boundsOf(rows: Row[]): Bounds | null {
  let bounds: Bounds | null = null;
  for (const row of rows) {
    const point = pointOf(row);
    if (!point) continue;
    const [x, y] = point;
    bounds = bounds ? [Math.min(bounds[0], x), Math.min(bounds[1], y), Math.max(bounds[2], x), Math.max(bounds[3], y)] : [x, y, x, y];
  }
  return bounds;
}

const STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30];
const LINES = 8;

/** Lines of longitude and latitude through what is seen, at round degrees: where the ground has nothing to show they tell how far and which way. */
export function graticule([west, south, east, north]: Bounds): Point[][] {
  const step = STEPS.find((one) => Math.max(east - west, north - south) / one <= LINES) ?? 45;
  const from = (value: number) => Math.floor(value / step) * step;
  const lines: Point[][] = [];
  for (let x = from(west); x <= east + step; x += step) lines.push([[x, Math.max(-85, south - step)], [x, Math.min(85, north + step)]]);
  for (let y = from(south); y <= north + step; y += step) lines.push([[west - step, y], [east + step, y]]);
  return lines;
}
