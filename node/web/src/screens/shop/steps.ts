// What a shop sees of a firm's workflow: its own step, and where the goods are in plain words.

import type { Evidence, Role, Row, Step } from '../../creel';
import { live, stepsOf } from '../../live.svelte';
import type { Key } from '../../i18n/index.svelte';
import { pickingOf } from '../picker/steps';

/** How a shop takes goods in: of the steps that end well and that a shop may do, the one that comes last. */
export function receiveStep(workflow: string): Step | undefined {
  return stepsOf(workflow)
    .filter((step) => step.outcome === 'signed' && step.by.includes('shop'))
    .sort((a, b) => b.rank - a.rank)[0];
}

export const mayReceive = (step: Step | undefined, role: Role | null | undefined) => !!role && !!step?.by.includes(role);

/** What the screen for receiving can give as evidence; a step that needs more is done where everything about the shipment is. */
const GIVEN: Evidence[] = ['receiver', 'photos', 'lines', 'pin', 'reason'];
export const isGiven = (step: Step) => step.needs.every((need) => GIVEN.includes(need));

/** Whether it is this shop's: a shop's device has only its own, but a hub that serves a shop's people has all. */
export function isOurs(row: Row): boolean {
  const party = live.session?.party;
  return party?.startsWith('shop:') ? row.parties.includes(party) : row.parties.some((one) => one.startsWith('shop:'));
}

/** Delivered, and the shop has yet to count it. */
export function isToCheck(row: Row): boolean {
  const step = receiveStep(row.workflow);
  return row.outcome === 'signed' && step !== undefined && row.rank < step.rank;
}

export interface Stage {
  text: Key;
  state: 'done' | 'now' | 'to_come';
}

/** From where on the goods are on the way. Where picking and driving off are one step, it is that one. */
export function wayStep(workflow: string): Step | undefined {
  return leavesStep(workflow) ?? pickingOf(workflow).finish;
}

function leavesStep(workflow: string): Step | undefined {
  const end = pickingOf(workflow).finish?.rank ?? 0;
  return stepsOf(workflow)
    .filter((step) => step.rank > end && !step.outcome && step.by.includes('driver'))
    .sort((a, b) => a.rank - b.rank)[0];
}

export function stagesOf(workflow: string, rank: number, outcome: string): Stage[] {
  const { finish } = pickingOf(workflow);
  const leaves = leavesStep(workflow);
  const stages: { text: Key; reached: boolean }[] = [{ text: 'shop.stage_ordered', reached: true }];
  if (finish && leaves) stages.push({ text: 'shop.stage_packed', reached: rank >= finish.rank });
  const way = wayStep(workflow);
  if (way) stages.push({ text: 'shop.stage_way', reached: rank >= way.rank });
  stages.push({ text: 'shop.stage_here', reached: outcome === 'signed' });
  const last = stages.map((stage) => stage.reached).lastIndexOf(true);
  return stages.map(({ text }, at) => ({ text, state: at < last ? 'done' : at === last ? 'now' : 'to_come' }));
}
