// How a timeline's entries are named.

import type { Shown, TimelineEntry } from '../../creel';
import { isKey, label, t } from '../../i18n/index.svelte';
import { stepOf } from '../../live.svelte';
import { partyName } from '../../parties.svelte';

export const nameOf = (entry: TimelineEntry) => label(entry.label) || t(`shipment.action_${entry.action}`);

/** The person where one is known, and else the device. */
export const whoOf = (entry: { by: string | null; author: string }) => entry.by ?? entry.author;

/** As the node counts them in a row. */
export const messagesOf = (view: Shown) => view.timeline.filter((entry) => entry.action === 'say' && entry.counted).length;

export const stepName = (workflow: string, key: string) => label(stepOf(workflow, key)?.label) || key;

/** A field of the plan in words. */
export function fieldName(field: string): string {
  const key = `shipment.field_${field}`;
  if (isKey(key)) return t(key);
  const [, line, what] = /^line\.(.+)\.([^.]+)$/.exec(field) ?? [];
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
    .map(([kind, party]) => {
      const key = `shipment.party_${kind}`;
      return `${isKey(key) ? t(key) : kind} ${partyName(party)}`;
    })
    .join(t('shipment.and'));

/** A place as it stands in an edit (1e-7 degrees), for people. */
export const placeText = ([latitude, longitude]: readonly [number, number]) =>
  `${(latitude / 1e7).toFixed(5)}, ${(longitude / 1e7).toFixed(5)}`;
