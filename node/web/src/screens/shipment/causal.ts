// What each edit's author knew, made visible: edits that did not know of each other stand in lanes beside each other, which fork and join.

import type { TimelineEntry } from '../../creel';

export interface Placed {
  entry: TimelineEntry;
  /** From 0 at the left. */
  lane: number;
  /** In each lane, whether a line comes in from above and whether one goes on below. */
  rails: { above: boolean; below: boolean }[];
  /** A line across at the height of the dot, where lanes fork or join. */
  across: { from: number; to: number } | null;
  /** The records above it that its author did not know of. */
  unaware: TimelineEntry[];
  /** Whether it brings several lanes together. */
  joins: boolean;
}

/** More lanes than a phone has room for are drawn as the last. */
const LANES_MAX = 4;

/** Everything that each edit's author knew. The node lists an edit below all of those. */
function pasts(timeline: TimelineEntry[]): Map<string, Set<string>> {
  const known = new Map<string, Set<string>>();
  for (const entry of timeline) {
    const past = new Set<string>();
    for (const before of entry.after) {
      past.add(before);
      for (const older of known.get(before) ?? []) past.add(older);
    }
    known.set(entry.edit, past);
  }
  return known;
}

/** Places those entries of a timeline that are shown; the others only carry on what was known. */
export function placed(timeline: TimelineEntry[], isShown: (entry: TimelineEntry) => boolean): Placed[] {
  const known = pasts(timeline);
  const shown = timeline.filter(isShown);
  const place = new Map(shown.map((entry, at) => [entry.edit, at]));
  // For each entry, the shown ones that it directly stands on.
  const standsOn = new Map<string, number[]>();
  for (const entry of timeline) {
    const on = entry.after.flatMap((edit) => place.get(edit) ?? standsOn.get(edit) ?? []);
    // What another of them already knew is no line of its own.
    standsOn.set(entry.edit, [...new Set(on)].filter((one) => !on.some((other) => known.get(shown[other]!.edit)?.has(shown[one]!.edit))));
  }

  const tips: number[] = [];
  const lanes: number[] = [];
  const rows = shown.map((entry): Placed => ({ entry, lane: 0, rails: [], across: null, unaware: [], joins: false }));
  const rail = (row: number, lane: number) => (rows[row]!.rails[lane] ??= { above: false, below: false });
  const down = (lane: number, from: number, to: number) => {
    rail(from, lane).below = true;
    for (let row = from + 1; row < to; row += 1) Object.assign(rail(row, lane), { above: true, below: true });
    rail(to, lane).above = true;
  };
  const across = (row: number, one: number, other: number) => {
    const { from, to } = rows[row]!.across ?? { from: one, to: one };
    rows[row]!.across = { from: Math.min(from, one, other), to: Math.max(to, one, other) };
  };

  shown.forEach((entry, at) => {
    const row = rows[at]!;
    const on = standsOn.get(entry.edit) ?? [];
    // It goes on in the lane of the first that nothing stands on yet, and else begins a lane.
    const goesOn = on.find((one) => tips[lanes[one]!] === one);
    const lane = goesOn === undefined ? Math.min(tips.length, LANES_MAX - 1) : lanes[goesOn]!;
    lanes[at] = row.lane = lane;
    tips[lane] = at;
    rail(at, lane);
    on.forEach((one, nth) => {
      const theirs = lanes[one]!;
      if (theirs === lane) return down(lane, one, at);
      if (goesOn === undefined && nth === 0) {
        across(one, theirs, lane);
        return down(lane, one, at);
      }
      down(theirs, one, at);
      across(at, theirs, lane);
    });
    row.joins = on.length > 1;
    // That two people wrote messages at once matters to nobody.
    const past = known.get(entry.edit);
    row.unaware = entry.action === 'say' ? [] : shown.slice(0, at).filter((above) => above.action !== 'say' && !past?.has(above.edit));
  });
  return rows;
}
