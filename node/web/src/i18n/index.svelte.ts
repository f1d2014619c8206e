// Words in 简体中文 and English. Each area has its own two files, so that authors don't meet; English must have exactly the keys of the Chinese.

import type { Label, Language } from '../creel/types';
import adminEn from './admin.en';
import adminZh from './admin.zh';
import bossEn from './boss.en';
import bossZh from './boss.zh';
import commonEn from './common.en';
import commonZh from './common.zh';
import dispatcherEn from './dispatcher.en';
import dispatcherZh from './dispatcher.zh';
import driverEn from './driver.en';
import driverZh from './driver.zh';
import newsEn from './news.en';
import newsZh from './news.zh';
import pickerEn from './picker.en';
import pickerZh from './picker.zh';
import shipmentEn from './shipment.en';
import shipmentZh from './shipment.zh';
import shopEn from './shop.en';
import shopZh from './shop.zh';

const zh = { ...commonZh, ...driverZh, ...pickerZh, ...shopZh, ...dispatcherZh, ...bossZh, ...adminZh, ...shipmentZh, ...newsZh };
export type Key = keyof typeof zh;
const en: { [key in Key]: string } = {
  ...commonEn, ...driverEn, ...pickerEn, ...shopEn, ...dispatcherEn, ...bossEn, ...adminEn, ...shipmentEn, ...newsEn,
};
const words = { zh, en };

const KEPT = 'creel-language';

function first(): Language {
  const kept = localStorage.getItem(KEPT);
  if (kept === 'zh' || kept === 'en') return kept;
  return navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en';
}

let chosen: Language = $state(first());

export const language = {
  get now(): Language {
    return chosen;
  },
  set now(next: Language) {
    chosen = next;
    localStorage.setItem(KEPT, next);
  },
  /** For `lang` and `Intl`. */
  get tag(): string {
    return chosen === 'zh' ? 'zh-CN' : 'en-GB';
  },
};

export type Params = { [name: string]: string | number };

/**
 * A text in the person's language. `{name}` stands for a parameter, and `{n:record|records}` for the first word where `n` is 1 and else the
 * second.
 */
export function t(key: Key, params: Params = {}): string {
  return words[chosen][key].replace(/\{(\w+)(?::([^|}]*)\|([^}]*))?\}/g, (whole, name: string, one?: string, more?: string) => {
    const value = params[name];
    if (value === undefined) return whole;
    if (one === undefined) return String(value);
    return Number(value) === 1 ? one : (more ?? '');
  });
}

/** A text that comes in both languages from the node. */
export function label(both: Label | null | undefined): string {
  return both ? both[chosen] : '';
}

/** Whether there are words for a key that is put together, such as `role.${role}`. */
export function isKey(key: string): key is Key {
  return key in zh;
}
