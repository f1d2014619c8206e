// When shipments were signed for. A row tells when its present status was recorded: where that is a later step, such as the shop's own count, the
// shipment itself has to be asked.

import { creel, type Row, type Shown, type Workflow } from '../../creel';
import { live, stepOf, stepsOf } from '../../live.svelte';

/** So many shipments are asked at most, those that ended last first: figures must not keep a node from its work. */
const ASKED_MAX = 300;
const AT_ONCE = 3;

/** A shipment's answer holds until something is recorded anew. */
const nameOf = (row: Row) => `${row.id} ${row.since}`;

/** The first of the records of delivery that stand is when it happened: signed, then received. */
function signingOf(view: Shown): number | null {
  const found = view.timeline.find(
    (entry) =>
      entry.action === 'record' && entry.counted && entry.standing !== 'retracted' && entry.standing !== 'rejected'
      && stepOf(view.workflow, entry.step ?? '')?.outcome === 'signed',
  );
  const at = Date.parse(found?.at ?? '');
  return Number.isNaN(at) ? null : at;
}

class Signings {
  #known = new Map<string, number | null>();
  #version = $state(0);
  #asking = new Set<string>();

  /** By the workflows it was found in: ten thousand rows ask the same few questions. */
  #signing = new WeakMap<Workflow[], Map<string, boolean>>();

  /** Whether its present status is the signing itself: no step of delivery comes before it. */
  #isSigning({ workflow, status }: Row): boolean {
    let answers = this.#signing.get(live.workflows);
    if (!answers) this.#signing.set(live.workflows, (answers = new Map()));
    const name = `${workflow} ${status}`;
    let answer = answers.get(name);
    if (answer === undefined) {
      const step = stepOf(workflow, status);
      answer = step?.outcome === 'signed' && !stepsOf(workflow).some((one) => one.outcome === 'signed' && one.rank < step.rank);
      answers.set(name, answer);
    }
    return answer;
  }

  readonly at = (row: Row): number | null => {
    void this.#version;
    if (row.outcome !== 'signed') return null;
    const at = this.#isSigning(row) ? Date.parse(row.since) : (this.#known.get(nameOf(row)) ?? null);
    return Number.isNaN(at) ? null : at;
  };

  /** Asks after those that a row does not tell. */
  async ask(rows: Row[]) {
    const left = rows
      .filter((row) => row.outcome === 'signed' && !this.#isSigning(row))
      .sort((a, b) => b.since.localeCompare(a.since))
      .slice(0, ASKED_MAX)
      .filter((row) => !this.#known.has(nameOf(row)) && !this.#asking.has(nameOf(row)));
    for (const row of left) this.#asking.add(nameOf(row));
    const one = async () => {
      for (let row = left.shift(); row; row = left.shift()) {
        const view = await creel.shipment(row.id).catch(() => null);
        this.#asking.delete(nameOf(row));
        if (view) this.#known.set(nameOf(row), signingOf(view));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    this.#version += 1;
  }
}

export const signings = new Signings();
