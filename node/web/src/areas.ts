// Which areas there are, where they stand in the address, and who finds them in their navigation.

import type { Component } from 'svelte';
import type { Role } from './creel';
import type { Key } from './i18n/index.svelte';
import { news } from './news/news.svelte';
import { isToPick } from './screens/picker/steps';
import type { IconName } from './ui/icons';

/** What every area's index.svelte gets: the address behind its own first part, `#/board/x` being `['board', 'x']` for the dispatcher. */
export interface AreaProps {
  path: string[];
}

type Load = () => Promise<{ default: Component<AreaProps> }>;

const dispatcher: Load = () => import('./screens/dispatcher/index.svelte');

/** By the first part of the address. Each is loaded when it is first opened. */
export const areas: { [first: string]: Load } = {
  board: dispatcher,
  inbox: dispatcher,
  map: dispatcher,
  contacts: dispatcher,
  driver: () => import('./screens/driver/index.svelte'),
  picker: () => import('./screens/picker/index.svelte'),
  shop: () => import('./screens/shop/index.svelte'),
  boss: () => import('./screens/boss/index.svelte'),
  admin: () => import('./screens/admin/index.svelte'),
  s: () => import('./screens/shipment/index.svelte'),
  scan: () => import('./screens/scan/index.svelte'),
};

export interface Place {
  at: string;
  text: Key;
  icon: IconName;
  /** How much is new there; read while drawing, so it follows changes. */
  count?: () => number;
}

const all = () => news.count;
const toPick = () => news.countOf(isToPick);
const others = () => news.countOf((row) => !isToPick(row));

const board: Place = { at: 'board', text: 'nav.board', icon: 'board' };
const inbox: Place = { at: 'inbox', text: 'nav.inbox', icon: 'inbox', count: all };
const map: Place = { at: 'map', text: 'nav.map', icon: 'map' };
const contacts: Place = { at: 'contacts', text: 'nav.contacts', icon: 'contacts' };
const boardWithNews: Place = { ...board, count: all };
const figures: Place = { at: 'boss', text: 'nav.boss', icon: 'chart' };
const settings: Place = { at: 'admin', text: 'nav.admin', icon: 'settings' };
const picking: Place = { at: 'picker', text: 'nav.picker', icon: 'box' };
const stops: Place = { at: 'driver', text: 'nav.driver', icon: 'truck', count: all };
const arrivals: Place = { at: 'shop', text: 'nav.shop', icon: 'shop', count: all };
const scan: Place = { at: 'scan', text: 'nav.scan', icon: 'scan' };

/** The first is the role's home. A phone shows four of them and the rest behind “more”. */
export const places: { [role in Role]: Place[] } = {
  admin: [board, inbox, map, scan, contacts, picking, figures, settings],
  dispatcher: [board, inbox, map, scan, contacts, picking, figures],
  picker: [{ ...picking, count: toPick }, scan, { ...board, count: others }],
  driver: [stops, scan],
  shop: [arrivals, scan],
  viewer: [figures, boardWithNews, map],
};

export function placesOf(role: Role | null | undefined): Place[] {
  return places[role ?? 'viewer'];
}
