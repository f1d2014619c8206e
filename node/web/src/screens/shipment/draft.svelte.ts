// What was typed, drawn and photographed for a step that is not recorded yet. It outlives its sheet: a press beside it must lose nothing.

import { newTap, type LineCount, type Step, type StepRecord, type Tap } from '../../creel';
import { thousandths } from '../../i18n/format';
import { live } from '../../live.svelte';
import { markOf, type Expected } from './expected';
import type { Point } from './signature';

export interface Picture {
  tap: Tap;
  file: Blob;
  /** Empty until the photo is durable on this device. */
  hash: string;
  problem: string;
}

export class Draft {
  signedAs = $state('recipient');
  receiver = $state('');
  relation = $state('');
  reason = $state('');
  pin = $state('');
  note = $state('');
  scan = $state('');
  collected = $state('');
  quantity = $state('');
  value = $state('');
  unit = $state('°C');
  /** Latitude and longitude in decimal degrees, as they are typed. */
  place = $state('');
  /** The signature as SVG in base64, and the strokes it was made from. */
  signature = $state('');
  strokes: Point[][] = $state.raw([]);
  pictures: Picture[] = $state([]);
  /** Lines that are ticked off at pickup. */
  ticked: { [line: string]: boolean } = $state({});
  /** Present where a line is not as ordered, as it was typed. */
  amiss: { [line: string]: { short: string; damaged: string } } = $state({});

  get keeping(): boolean {
    return this.pictures.some((picture) => picture.hash === '' && picture.problem === '');
  }

  /** Photos that were taken and could not be kept: the record must not go without them unseen. */
  get unkept(): boolean {
    return this.pictures.some((picture) => picture.hash === '' && picture.problem !== '');
  }

  add(file: Blob): Picture {
    this.pictures.push({ tap: newTap(), file, hash: '', problem: '' });
    return this.pictures.at(-1)!;
  }
}

const drafts = new Map<string, Draft>();
live.onAnother(() => drafts.clear());
const named = (shipment: string, step: string) => `${shipment} ${step}`;

export function draftOf(shipment: string, step: string): Draft {
  const name = named(shipment, step);
  let draft = drafts.get(name);
  if (!draft) drafts.set(name, (draft = new Draft()));
  return draft;
}

export const forget = (shipment: string, step: string) => drafts.delete(named(shipment, step));

const typed = (text: string) => (text.trim() === '' ? 0 : thousandths(text));

/** What became of a line; null where what was typed can't be. */
export function countOf({ line, quantity: expected, unpicked }: Expected, draft: Draft): LineCount | null {
  const { short, damaged } = draft.amiss[markOf(line)] ?? { short: '', damaged: '' };
  const [less, broken] = [typed(short), typed(damaged)];
  if (less === null || broken === null || less + broken > (expected ?? Number.POSITIVE_INFINITY)) return null;
  return {
    line,
    ...(expected !== undefined && { received: expected - less - broken }),
    // Short is told against the order.
    ...(less > 0 && { short: less + unpicked }),
    ...(broken > 0 && { damaged: broken }),
  };
}

/** A place as it is sent, or null where what was typed is none. */
export function placeOf(text: string): [number, number] | null {
  const parts = text.split(/[,，\s]+/).filter(Boolean).map(Number);
  const [latitude, longitude] = parts;
  if (parts.length !== 2 || latitude === undefined || longitude === undefined) return null;
  if (!(Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180)) return null;
  return [Math.round(latitude * 1e7), Math.round(longitude * 1e7)];
}

/** The record that a draft is. */
export function recordOf(step: Step, draft: Draft, lines: Expected[], asksReceiver: boolean): StepRecord {
  const text = (value: string) => value.trim();
  const place = placeOf(draft.place);
  // The same picture taken twice is one photo.
  const photos = [...new Set(draft.pictures.flatMap(({ hash }) => (hash ? [hash] : [])))];
  const counts = lines.flatMap((line) => countOf(line, draft) ?? []);
  const told = step.needs.includes('lines') ? counts : counts.filter((count) => count.short || count.damaged);
  const collected = thousandths(draft.collected);
  return {
    step: step.key,
    ...(text(draft.receiver) && { receiver: text(draft.receiver) }),
    ...(asksReceiver && text(draft.receiver) && { signed_as: draft.signedAs === 'proxy' ? ('proxy' as const) : ('recipient' as const) }),
    ...(draft.signedAs === 'proxy' && text(draft.relation) && { relation: text(draft.relation) }),
    ...(text(draft.reason) && { reason: text(draft.reason) }),
    ...(draft.signature && { signature: draft.signature }),
    ...(photos.length > 0 && { photos }),
    ...(text(draft.scan) && { scan: text(draft.scan) }),
    ...(text(draft.pin) && { pin: text(draft.pin) }),
    ...(place && { place }),
    ...(collected !== null && { collected: Math.round(collected / 10) }),
    ...(text(draft.note) && { note: text(draft.note) }),
    ...(told.length > 0 && { lines: told }),
  };
}
