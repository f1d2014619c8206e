// What the figures are computed from: rows only, so that each number can be followed to its shipments.
import type { Row } from '../../creel';
import { windowOf } from '../../i18n/format';

export const DAY = 86_400_000;

/** From opening to the signing; `since` is the claimed time of the step that decides, so a wrong clock can make it negative. */
export function turnover(row: Row): number | null {
  const ms = Date.parse(row.since) - Date.parse(row.opened);
  return row.outcome === 'signed' && Number.isFinite(ms) && ms >= 0 ? ms : null;
}

export function median(numbers: number[]): number | null {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  if (sorted.length === 0) return null;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Null where nothing can be said yet: no window, or still open before the window's end. */
export function onTime(row: Row, now: number): boolean | null {
  const window = windowOf(row.window);
  if (!window || row.outcome === 'cancelled') return null;
  if (row.outcome === 'signed') {
    const signed = Date.parse(row.since);
    return Number.isNaN(signed) ? null : signed <= window.to;
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

/** Shipments that were open at a moment. */
export const openAt = (rows: Row[], at: number) =>
  rows.filter((row) => Date.parse(row.opened) <= at && (row.outcome === '' || Date.parse(row.since) > at));

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
