// What can't be settled by an edit, such as a shortage that stands, is marked as seen on this device, so that the inbox can be emptied.

import type { Row } from '../../creel';
import type { Matter } from './rows';

const KEPT = 'creel-seen';
const KEPT_MAX = 3_000;

/** Matters that no edit makes go away. */
const SEEN_ONLY: Matter[] = ['damaged', 'short', 'not_counted'];
export const isSeenOnly = (matter: Matter) => SEEN_ONLY.includes(matter);

// The latest step is part of it, so that a shipment that something happened to comes back.
const nameOf = (row: Row, matter: Matter) => `${row.id} ${matter} ${row.since}`;

function kept(): string[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(KEPT) ?? '[]');
    return Array.isArray(found) ? found.filter((one) => typeof one === 'string') : [];
  } catch {
    return [];
  }
}

class Seen {
  #names = $state.raw(new Set(kept()));

  has(row: Row, matter: Matter): boolean {
    return this.#names.size > 0 && this.#names.has(nameOf(row, matter));
  }

  mark(row: Row, matters: Matter[]) {
    const all = [...this.#names, ...matters.map((matter) => nameOf(row, matter))].slice(-KEPT_MAX);
    this.#names = new Set(all);
    localStorage.setItem(KEPT, JSON.stringify(all));
  }
}

export const seen = new Seen();
