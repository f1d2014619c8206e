// How times, quantities and money are written, by the person's language and this device's time zone.

import { clock } from '../clock.svelte';
import { language, t } from './index.svelte';

const made = new Map<string, Intl.DateTimeFormat>();

/** Making a formatter is slow, and a board shows thousands of times. */
function formatter(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const name = language.tag + JSON.stringify(options);
  let found = made.get(name);
  if (!found) made.set(name, (found = new Intl.DateTimeFormat(language.tag, options)));
  return found;
}

type Time = string | number | Date;

function written(time: Time, options: Intl.DateTimeFormatOptions): string {
  const date = new Date(time);
  // A device may claim any time; one that is none is shown as it is.
  return Number.isNaN(date.getTime()) ? String(time) : formatter({ hourCycle: 'h23', ...options }).format(date);
}

/** 14:05 */
export const timeOfDay = (time: Time) => written(time, { hour: '2-digit', minute: '2-digit' });
/** 1 Jun · 6月1日 */
export const day = (time: Time) => written(time, { month: 'short', day: 'numeric' });
/** 1 Jun, 14:05 */
export const dateTime = (time: Time) =>
  written(time, { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' });
/** To the second and with the year, where it is about evidence. */
export const exactTime = (time: Time) => written(time, { dateStyle: 'medium', timeStyle: 'medium' });

const isToday = (time: Time) => new Date(time).toDateString() === new Date(clock.now).toDateString();

/** The time of day, with the day where it is not today. */
export const shortTime = (time: Time) => (isToday(time) ? timeOfDay(time) : dateTime(time));

/** A row's `FROM/TO` in milliseconds, or null. */
export function windowOf(text: string | undefined): { from: number; to: number } | null {
  const [from, to] = (text ?? '').split('/').map((part) => Date.parse(part));
  return from === undefined || to === undefined || Number.isNaN(from) || Number.isNaN(to) ? null : { from, to };
}

/** 08:00–10:00, with the day where it is not today. */
export function windowText(text: string | undefined): string {
  const found = windowOf(text);
  if (!found) return '';
  const sameDay = new Date(found.from).toDateString() === new Date(found.to).toDateString();
  return `${shortTime(found.from)}–${sameDay ? timeOfDay(found.to) : dateTime(found.to)}`;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How long something lasted: 3 min, 2 h, 5 days. */
export function duration(ms: number): string {
  const long = Math.abs(ms);
  if (long < MINUTE) return t('time.under_a_minute');
  if (long < HOUR) return t('time.minutes', { n: Math.floor(long / MINUTE) });
  if (long < 2 * DAY) return t('time.hours', { n: Math.floor(long / HOUR) });
  return t('time.days', { n: Math.floor(long / DAY) });
}

/** How long ago something was; goes on by itself. */
export function age(time: Time): string {
  const ms = clock.now - new Date(time).getTime();
  if (Number.isNaN(ms)) return '';
  if (ms < MINUTE) return t('time.just_now');
  return t('time.ago', { long: duration(ms) });
}

/** A quantity that the API gives in thousandths of its unit. */
export function quantity(thousandths: number | null | undefined, unit = ''): string {
  if (thousandths === null || thousandths === undefined) return '';
  const number = new Intl.NumberFormat(language.tag, { maximumFractionDigits: 3 }).format(thousandths / 1000);
  return unit ? `${number} ${unit}` : number;
}

/** A quantity as a person typed it, in thousandths; null where it is no number of at least 0. */
export function thousandths(typed: string): number | null {
  const number = Number(typed.trim().replace(',', '.'));
  return typed.trim() === '' || !Number.isFinite(number) || number < 0 ? null : Math.round(number * 1000);
}

/** Money that the API gives in minor units. The currency is the firm's own and not written. */
export function money(minor: number | null | undefined): string {
  if (minor === null || minor === undefined) return '';
  return new Intl.NumberFormat(language.tag, { minimumFractionDigits: 2, maximumFractionDigits: 2 }).format(minor / 100);
}
