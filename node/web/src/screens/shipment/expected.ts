// What should arrive: what was ordered, less what was already missing before the goods left.

import type { Line, Shown, TimelineEntry } from '../../creel';
import { stepOf } from '../../live.svelte';

/** A line whose quantity is what should arrive. */
export interface Expected extends Line {
  ordered?: number;
  /** What is missing from the order already. */
  unpicked: number;
}

const stands = (entry: TimelineEntry) => entry.counted && entry.standing !== 'retracted' && entry.standing !== 'rejected';

/** The lines that are still ordered. */
export const ordered = (view: Shown): Line[] => (view.plan.lines ?? []).filter((line) => !line.withdrawn);

/** The last record before the delivery that tells of a shortage has the last word, as in the month-end sheet. */
export function expected(view: Shown): Expected[] {
  const missing = new Map<string, number>();
  for (const entry of view.timeline) {
    if (entry.action !== 'record' || !stands(entry) || stepOf(view.workflow, entry.step ?? '')?.outcome) continue;
    for (const { line, short } of entry.detail?.lines ?? []) if (short !== undefined && short !== null) missing.set(line, short);
  }
  return ordered(view).map((line) => {
    const unpicked = Math.min(missing.get(line.line) ?? 0, line.quantity ?? 0);
    return { ...line, ordered: line.quantity, unpicked, quantity: line.quantity === undefined ? undefined : line.quantity - unpicked };
  });
}

/** Where what is marked of a line is kept: a line may be called anything, and `constructor` is a name that every object knows. */
export const markOf = (line: string) => `line ${line}`;
