// What may be done next with a shipment. It is found by role, rank and needs, so that a firm may name and order its steps as it likes.

import type { Role, Step } from '../../creel';
import { pickingIn } from '../picker/steps';

/** The status of a shipment for which nothing has been recorded. No one records it. */
const CREATED = 'created';
/** Evidence without which a record has to be refused, and which one press can't give. */
export const isOnePress = (step: Step) => step.needs.length === 0 && !step.outcome;

/**
 * A step that tells that something did not work out: nobody's next step, but always at hand. It asks for a reason, or leads back to several
 * steps before it.
 */
const isSetback = (step: Step) => !step.outcome && (step.needs.includes('reason') || step.ways.length > 1);

export function stepsBy(steps: Step[], role: Role | null | undefined): Step[] {
  return role ? steps.filter((step) => step.key !== CREATED && step.by.includes(role)) : [];
}

/** Work in the warehouse: everything up to where picking ends, and what leads back into it, such as goods that were sorted out. */
function isPicking(steps: Step[], step: Step): boolean {
  const end = pickingIn(steps).finish?.rank ?? 0;
  return step.rank <= end || (!step.outcome && step.ways.some((way) => steps.some((one) => one.key === way && one.rank <= end)));
}

/** The way of the goods as a driver goes it, from where they are taken over. What is left out can be recorded among the other steps. */
function drivers(steps: Step[]): Step[] {
  const forward = stepsBy(steps, 'driver').filter((step) => !isSetback(step));
  const own = forward.filter((step) => !isPicking(steps, step));
  // Where picking and driving off are one step, it is that one.
  return own.some((step) => !step.outcome) ? own : forward;
}

/** The next step of that role: the next higher rank, leaving out other outcomes than delivery and what tells of a setback. */
export function nextStep(steps: Step[], role: Role | null | undefined, rank: number, ended: boolean): Step | undefined {
  if (ended) return undefined;
  return (role === 'driver' ? drivers(steps) : stepsBy(steps, role))
    .filter((step) => step.rank > rank && !isSetback(step) && (!step.outcome || step.outcome === 'signed'))
    .sort((a, b) => a.rank - b.rank)[0];
}

/** Where the goods are handed over: of the steps that end well, the first. */
export function deliveryStep(steps: Step[], role: Role | null | undefined): Step | undefined {
  return stepsBy(steps, role).filter((step) => step.outcome === 'signed').sort((a, b) => a.rank - b.rank)[0];
}

/** What that role may record when it did not work out, from here on until the goods are handed over. */
export function setbacks(steps: Step[], role: Role | null | undefined, rank: number): Step[] {
  const end = deliveryStep(steps, role)?.rank ?? Number.POSITIVE_INFINITY;
  const all = stepsBy(steps, role).filter((step) => step.rank > rank && step.rank < end && isSetback(step));
  return role === 'driver' ? all.filter((step) => !isPicking(steps, step)) : all;
}

/**
 * Everything else that may be recorded now: what is further along, and where the workflow leads back to. Once it has ended, only where the
 * workflow says so, or further along without undoing the end.
 */
export function otherSteps(steps: Step[], role: Role | null | undefined, now: Step | undefined, next: Step | undefined): Step[] {
  const rank = now?.rank ?? 0;
  return stepsBy(steps, role).filter((step) => {
    if (step === next || step.key === now?.key) return false;
    if (now?.outcome) return now.ways.includes(step.key) || (step.rank > rank && (!step.outcome || step.outcome === now.outcome));
    return true;
  });
}

/** Whether it is the step at which the goods are taken over from those who picked them: there the lines are checked. */
export function isPickup(steps: Step[], step: Step): boolean {
  const own = drivers(steps).filter((one) => !one.outcome).sort((a, b) => a.rank - b.rank);
  // A reading that the goods wait for, such as that of the empty van, comes before it.
  return (own.find(isOnePress) ?? own[0])?.key === step.key;
}
