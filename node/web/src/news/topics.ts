// What each role wants to be told of, beside messages. It is read off a row, so that it costs nothing to ask.

import type { Role, Row } from '../creel';
import { stepsOf } from '../live.svelte';
import { mattersOf, type Matter } from '../screens/dispatcher/rows';
import { seen } from '../screens/dispatcher/seen.svelte';
import { isOurs, wayStep } from '../screens/shop/steps';

/** `assigned` and `changed` are a driver's, `arriving` is a shop's, all others are the dispatcher's. */
export type Topic = Matter | 'assigned' | 'changed' | 'arriving';

export interface Reader {
  role: Role | null;
  party: string;
}

const isDispatcher = ({ role }: Reader) => role === 'dispatcher' || role === 'admin';

/** Whether a shipment is one that this reader is shown somewhere; what can't be opened from any list is no news. */
export function concerns(row: Row, reader: Reader, now: number): boolean {
  if (isDispatcher(reader)) return true;
  if (reader.role === 'driver') {
    const today = new Date(now).setHours(0, 0, 0, 0);
    return (!reader.party || row.driver === reader.party) && (row.outcome === '' || Date.parse(row.since) >= today);
  }
  if (reader.role === 'shop') return isOurs(row);
  return row.outcome === '';
}

/** The fields of the plan that a driver goes by, with the names that they have in the words for `shipment.field_`. */
const GONE_BY = {
  stop: (row: Row) => `${row.run} ${row.stop ?? ''}`,
  window: (row: Row) => row.window,
  consignee: (row: Row) => row.consignee,
  address: (row: Row) => row.address,
  place: (row: Row) => row.place,
  amount_due: (row: Row) => String(row.due ?? ''),
  lines: (row: Row) => String(row.lines),
};
const FIELDS = Object.keys(GONE_BY) as (keyof typeof GONE_BY)[];
export type Field = keyof typeof GONE_BY;
const BETWEEN = '\u001f';

/**
 * What can be said of it at the moment, each as a text that stays the same for as long as it is the same thing. For a driver it is the plan
 * itself.
 */
export function topicsNow(row: Row, reader: Reader, now: number): string[] {
  if (isDispatcher(reader)) return mattersOf(row, now).filter((matter) => !seen.has(row, matter));
  if (row.outcome !== '') return [];
  if (reader.role === 'driver') return [FIELDS.map((field) => GONE_BY[field](row)).join(BETWEEN)];
  if (reader.role === 'shop') {
    const way = stepsOf(row.workflow).find((step) => step.key === 'out_for_delivery') ?? wayStep(row.workflow);
    return way && row.rank >= way.rank ? ['arriving'] : [];
  }
  return [];
}

/** Those that are there at the start are no news, except what contradicts itself: that waits for somebody until it is settled. */
export const atFirst = (row: Row, topics: string[]) => (row.exceptions > 0 ? topics.filter((one) => LASTING.has(one)) : topics);
const LASTING = new Set<string>(['overdue', 'damaged', 'short', 'not_counted']);

/** The news among what can be said now, given what could be said when it was last looked at. */
export function newTopics(now: string[], before: string[], { role }: Reader): Topic[] {
  if (role !== 'driver') return now.filter((one) => !before.includes(one)) as Topic[];
  if (now.length === 0 || now[0] === before[0]) return [];
  return [before.length === 0 ? 'assigned' : 'changed'];
}

/** Which fields of a driver's plan are others now. */
export function changedFields(now: string, before: string): Field[] {
  const [these, those] = [now.split(BETWEEN), before.split(BETWEEN)];
  return FIELDS.filter((_, at) => these[at] !== those[at]);
}

