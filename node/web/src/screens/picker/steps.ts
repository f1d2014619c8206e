// Which steps of a firm's workflow are the picker's. They are found by role and rank, so that a firm may name them as it likes.

import type { Role, Row, Step } from '../../creel';
import { stepsOf } from '../../live.svelte';

export interface Picking {
  /** Missing where the workflow has only one step before the goods leave. */
  start?: Step;
  finish?: Step;
}

export const pickingOf = (workflow: string): Picking => pickingIn(stepsOf(workflow));

export function pickingIn(all: Step[]): Picking {
  const steps = all
    .filter((step) => step.rank > 0 && !step.outcome && step.by.includes('picker'))
    .sort((a, b) => a.rank - b.rank);
  // Where a picker may also load the truck, picking ends earlier: the presets call that end `picked`; else it is the second step.
  const named = steps.findIndex((step) => step.key === 'picked');
  const end = named >= 0 ? named : Math.min(1, steps.length - 1);
  return { start: steps[end - 1], finish: steps[end] };
}

export function isToPick(row: Row): boolean {
  const { finish } = pickingOf(row.workflow);
  return row.outcome === '' && finish !== undefined && row.rank < finish.rank;
}

export const may = (step: Step | undefined, role: Role | null | undefined): step is Step =>
  step !== undefined && role !== null && role !== undefined && step.by.includes(role);

/** Needs that one tap can't meet: those steps are recorded where everything about the shipment is. */
export const isOneTap = (step: Step) => step.needs.length === 0;
