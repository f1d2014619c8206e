// What the dispatcher's screens ask of a row, and the filters that stand in the address.

import type { Kind, Row, Step } from '../../creel';
import { windowOf } from '../../i18n/format';
import { partyName } from '../../parties.svelte';

interface Facts {
  text: string;
  from: number;
  to: number;
}

// A row is replaced when it changes, so what was read from it holds for as long as it lives. Ten thousand rows are looked at with every key typed.
const known = new WeakMap<Row, Facts>();

function factsOf(row: Row): Facts {
  let facts = known.get(row);
  if (!facts) {
    const window = windowOf(row.window);
    const text = `${row.number} ${row.consignee} ${row.address} ${row.run} ${row.driver} ${partyName(row.driver)}`.toLowerCase();
    facts = { text, from: window?.from ?? Infinity, to: window?.to ?? Infinity };
    known.set(row, facts);
  }
  return facts;
}

/** When its window ended, for those that had to be done by then. */
export const endOf = (row: Row) => factsOf(row).to;

/** Its window has ended, and it has not. */
export const isLate = (row: Row, now: number) => row.outcome === '' && factsOf(row).to < now;

/** Stands in the address for shipments that have none. */
export const NONE = 'none';

export interface Filter {
  words: string[];
  status: string;
  driver: string;
  run: string;
  late: boolean;
  exception: boolean;
}

export function filterOf(query: URLSearchParams): Filter {
  const get = (key: string) => query.get(key) ?? '';
  return {
    words: get('q').toLowerCase().split(/\s+/).filter((word) => word !== ''),
    status: get('status'),
    driver: get('driver'),
    run: get('run'),
    late: get('late') !== '',
    exception: get('exception') !== '',
  };
}

const fits = (wanted: string, value: string) => wanted === '' || (wanted === NONE ? value === '' : value === wanted);

/** All filters but the one that is named: its own choices are counted with all the others applied. */
export function matches(row: Row, filter: Filter, now: number, except?: 'status'): boolean {
  return (
    // A status may itself be `none`.
    (except === 'status' || filter.status === '' || filter.status === row.status) &&
    fits(filter.driver, row.driver) &&
    fits(filter.run, row.run) &&
    (!filter.late || isLate(row, now)) &&
    (!filter.exception || row.exceptions > 0) &&
    filter.words.every((word) => factsOf(row).text.includes(word))
  );
}

const order = <T>(a: T, b: T) => (a === b ? 0 : a < b ? -1 : 1);

/** What has to be done first stands first. */
export function byTime(a: Row, b: Row): number {
  return order(factsOf(a).from, factsOf(b).from) || order(a.stop ?? 0, b.stop ?? 0) || order(a.number, b.number);
}

export interface Group {
  id: string;
  rows: Row[];
}

export function grouped(rows: Row[], by: (row: Row) => string): Group[] {
  const groups = new Map<string, Group>();
  for (const row of rows) {
    const id = by(row);
    const group = groups.get(id);
    if (group) group.rows.push(row);
    else groups.set(id, { id, rows: [row] });
  }
  return [...groups.values()];
}

export function counted(values: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

/** Stages in their order: the steps a shipment goes through, and whatever else some row stands at. */
export function stagesOf(steps: Step[], rows: Row[]) {
  const stages = new Map(
    steps.filter((step) => !step.outcome).map(({ key, label, colour, rank }) => [key, { key, label, colour, rank }]),
  );
  for (const row of rows) {
    if (!stages.has(row.status)) {
      stages.set(row.status, { key: row.status, label: row.status_label, colour: row.colour, rank: row.rank });
    }
  }
  return [...stages.values()].sort((a, b) => a.rank - b.rank);
}

/** `message` is no matter of the shipment's but of who has not seen it yet: it is found by `news`. */
export type Matter = Kind | 'overdue' | 'message';

/** In the order in which they should be looked at. */
export const MATTERS: Matter[] = [
  'contradiction', 'resolution_disputed', 'resolution_on_retracted', 'retracted_after_use', 'evidence_cut', 'number_twice', 'overdue', 'damaged', 'short',
  'not_counted', 'message',
];

export function mattersOf(row: Row, now: number): Matter[] {
  const late = isLate(row, now);
  if (row.kinds.length === 0) return late ? ['overdue'] : [];
  return MATTERS.filter((matter) => (matter === 'overdue' ? late : row.kinds.includes(matter as Kind)));
}

/** A `datetime-local` field's text, in this device's time zone. */
export function localTime(ms: number): string {
  const date = new Date(ms);
  return new Date(ms - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** Two such texts as a window; null where they are none. */
export function windowFrom(from: string, to: string): [number, number] | null {
  const [start, end] = [new Date(from).getTime(), new Date(to).getTime()];
  return start < end ? [start, end] : null;
}
