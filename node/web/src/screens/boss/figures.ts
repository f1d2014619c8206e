// What the figures are computed from: rows only, so that each number can be followed to its shipments.
import type { Row } from '../../creel';
import { windowOf } from '../../i18n/format';

export const DAY = 86_400_000;

/** When it was signed for, in milliseconds since the Unix epoch; null where it was not. */
function signedAt(row: Row): number | null {
  const at = row.outcome === 'signed' ? Date.parse(row.signed ?? row.since) : NaN;
  return Number.isNaN(at) ? null : at;
}

/** From opening to the signing. Both are claimed times, so a wrong clock can make it negative. */
export function turnover(row: Row): number | null {
  const ms = (signedAt(row) ?? NaN) - Date.parse(row.opened);
  return row.outcome === 'signed' && ms >= 0 ? ms : null;
}

export function median(numbers: number[]): number | null {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  if (sorted.length === 0) return null;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Null where nothing can be said yet: no window, still open before the window's end. */
export function onTime(row: Row, now: number): boolean | null {
  const window = windowOf(row.window);
  if (!window || row.outcome === 'cancelled') return null;
  if (row.outcome === 'signed') {
    const signed = signedAt(row);
    return signed === null ? null : signed <= window.to;
  }
  return row.outcome === 'returned' || now > window.to ? false : null;
}

export interface Group { name: string; rows: Row[]; signed: number }

/** What was cancelled was never to be signed. */
export function grouped(rows: Row[], by: (row: Row) => string): Group[] {
  const groups = new Map<string, Group>();
  for (const row of rows) {
    const name = by(row);
    if (!name || row.outcome === 'cancelled') continue;
    const group = groups.get(name) ?? { name, rows: [], signed: 0 };
    group.rows.push(row);
    if (row.outcome === 'signed') group.signed += 1;
    groups.set(name, group);
  }
  return [...groups.values()].sort((a, b) => b.rows.length - a.rows.length || a.name.localeCompare(b.name));
}

/** When it came to its end. */
const endedAt = (row: Row) => (row.outcome === '' ? Infinity : (signedAt(row) ?? Date.parse(row.since)));

/** Shipments that were open at a moment. */
export const openAt = (rows: Row[], at: number) =>
  rows.filter((row) => Date.parse(row.opened) <= at && endedAt(row) > at);

/** Shipments that were delivered on the day that ends then. */
export const deliveredOn = (rows: Row[], end: number) => {
  const start = new Date(end).setHours(0, 0, 0, 0);
  return rows.filter((row) => row.outcome === 'signed' && endedAt(row) >= start && endedAt(row) <= end);
};

export interface DayFigures {
  /** Its last moment, or now. */
  end: number;
  open: number;
  delivered: number;
}

/** How many were open at the end of each day, and delivered on it. Each row is looked at once, however many days there are. */
export function perDay(rows: Row[], ends: number[]): DayFigures[] {
  const days = ends.map((end) => ({ end, open: 0, delivered: 0 }));
  const start = new Date(ends[0] ?? 0).setHours(0, 0, 0, 0);
  /** The first day that ends at or after a moment. */
  const dayOf = (moment: number) => {
    let [low, high] = [0, ends.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ends[middle]! < moment) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const opened = new Array<number>(ends.length + 1).fill(0);
  for (const row of rows) {
    const [from, to] = [Date.parse(row.opened), endedAt(row)];
    if (Number.isNaN(from) || Number.isNaN(to)) continue;
    const [first, last] = [dayOf(from), dayOf(to)];
    if (last > first) {
      opened[first]! += 1;
      opened[last]! -= 1;
    }
    if (row.outcome === 'signed' && to >= start && days[last]) days[last].delivered += 1;
  }
  let open = 0;
  for (const [at, day] of days.entries()) day.open = open += opened[at]!;
  return days;
}

/** The last moment of each day of the period, or now. */
export function daysOf(from: number, now: number): number[] {
  const days: number[] = [];
  for (const end = new Date(from); ; ) {
    end.setHours(23, 59, 59, 999);
    days.push(Math.min(end.getTime(), now));
    if (end.getTime() >= now) return days;
    end.setDate(end.getDate() + 1);
  }
}

export const isoDay = (time: number) => {
  const date = new Date(time);
  return `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, '0')}-${String(date.getDate()).padStart(2, '0')}`;
};

/** The first and the last day of a month written 2026-06. */
export function monthDays(month: string): [string, string] {
  const [year = 0, number = 1] = month.split('-').map(Number);
  return [`${month}-01`, isoDay(new Date(year, number, 0).getTime())];
}
