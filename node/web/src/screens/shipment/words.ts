// How a timeline's entries are named.

import type { Shown, TimelineEntry } from '../../creel';
import { isKey, label, language, t } from '../../i18n/index.svelte';
import { stepOf } from '../../live.svelte';
import { partyName } from '../../parties.svelte';

export const nameOf = (entry: TimelineEntry) => label(entry.label) || t(`shipment.action_${entry.action}`);

/** The person where one is known, and else the device. */
export const whoOf = (entry: { by: string | null; author: string }) => entry.by ?? entry.author;

/** Its number, or the beginning of its id where nobody valid gave it one. */
export const numberOf = (shipment: { number: string; id: string }) => shipment.number || shipment.id.slice(0, 8);

/** Why an edit does not count. */
export const whyNot = (entry: TimelineEntry) => (language.now === 'zh' ? entry.why_not_zh : entry.why_not) ?? '';

/** What is wrong with the claimed time, by what others knew; empty where nothing is. */
export const clockText = (entry: TimelineEntry) =>
  entry.clock_behind ? t('shipment.clock_behind') : entry.clock_ahead ? t('shipment.clock_ahead') : '';

/** What was taken back by its author. */
export const takenBack = (view: Shown) =>
  new Set(view.timeline.flatMap((entry) => (entry.action === 'retract' && entry.counted && entry.detail ? [entry.detail.edit] : [])));

/** As the node counts them in a row. */
export const messagesOf = (view: Shown) => view.timeline.filter((entry) => entry.action === 'say' && entry.counted).length;

export const stepName = (workflow: string, key: string) => label(stepOf(workflow, key)?.label) || key;

function partyKind(kind: string): string {
  const key = `shipment.party_${kind}`;
  return isKey(key) ? t(key) : kind;
}

/** A field of the plan in words. */
export function fieldName(field: string): string {
  const key = `shipment.field_${field}`;
  if (isKey(key)) return t(key);
  const [, kind] = /^parties\/([^/]+)$/.exec(field) ?? [];
  if (kind !== undefined) return partyKind(kind);
  const [, line, what] = /^lines\/([^/]+)\/([^/]+)$/.exec(field) ?? [];
  if (line === undefined) return field;
  const named = `shipment.field_${what}`;
  return `${t('shipment.line', { line })} · ${isKey(named) ? t(named) : what}`;
}

export const lineName = (view: Shown, line: string) => {
  const found = view.plan.lines?.find((one) => one.line === line);
  return found?.name ?? found?.sku ?? line;
};

/** Everyone a shipment concerns beside its driver, each with what they are. */
export const partiesText = (parties: { [kind: string]: string }) =>
  Object.entries(parties)
    .filter(([, party]) => party)
    .map(([kind, party]) => `${partyKind(kind)} ${partyName(party)}`)
    .join(t('shipment.and'));

/** A place as it stands in an edit (1e-7 degrees), for people. */
export const placeText = ([latitude, longitude]: readonly [number, number]) =>
  `${(latitude / 1e7).toFixed(5)}, ${(longitude / 1e7).toFixed(5)}`;
