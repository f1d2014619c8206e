// The system's notices of what is new while this page is out of sight. They are asked for by a press, never by themselves.

import { language, t } from '../i18n/index.svelte';
import { live } from '../live.svelte';
import { router } from '../router.svelte';
import { news, type News } from './news.svelte';
import { newsWords } from './words';

const KEPT = 'creel-tell';
/** More than so many at once, such as when a time has passed for many, are one notice. */
const AT_ONCE = 3;

/** `refused`: by the browser, which is not asked again. `unable`: this browser has none, or not for this page. */
export type Telling = 'off' | 'on' | 'refused' | 'unable';

class Tell {
  #wanted = $state(localStorage.getItem(KEPT) === '1');
  #permission: NotificationPermission | 'none' = $state(globalThis.isSecureContext && 'Notification' in globalThis ? Notification.permission : 'none');
  /** What there was when it was looked at last; null before the lists have been loaded. */
  #before: ReadonlyMap<string, News> | null = null;
  /** Shipments to which something happened since the page was opened. */
  #happened = new Set<string>();
  /** Something may have happened to any of them. */
  #anything = false;

  readonly state: Telling = $derived.by(() => {
    if (this.#permission === 'none') return 'unable';
    if (this.#permission === 'denied') return 'refused';
    return this.#wanted && this.#permission === 'granted' ? 'on' : 'off';
  });

  constructor() {
    live.onChanged((id) => (id === null ? (this.#anything = true) : this.#happened.add(id)));
    $effect.root(() => {
      $effect(() => {
        if (news.ready) this.#look(news.items);
        else this.#before = null;
      });
    });
  }

  async set(on: boolean) {
    this.#wanted = on;
    localStorage.setItem(KEPT, on ? '1' : '');
    if (on && this.#permission === 'default') this.#permission = await Notification.requestPermission();
  }

  #look(items: ReadonlyMap<string, News>) {
    const before = this.#before;
    this.#before = items;
    const anything = this.#anything;
    this.#anything = false;
    if (before === null || this.state !== 'on' || document.visibilityState !== 'hidden') return;
    const fresh = [...items.values()].filter((item) => {
      const { id } = item.row;
      const was = before.get(id);
      const more = item.messages > (was?.messages ?? 0) || item.topics.some((topic) => !was?.topics.includes(topic));
      // Lateness comes without an event. All else that appears without one was only loaded late.
      return more && (anything || this.#happened.has(id) || item.topics.includes('overdue'));
    });
    if (fresh.length > AT_ONCE) return this.#show(t('news.many', { n: fresh.length }), '', 'creel', []);
    for (const item of fresh) {
      const { id, number, consignee } = item.row;
      this.#show(number, [consignee, newsWords(item)].filter(Boolean).join('\n'), `creel ${id}`, ['s', id]);
    }
  }

  #show(title: string, body: string, tag: string, path: string[]) {
    try {
      const notice = new Notification(title, { body, tag, lang: language.tag });
      notice.onclick = () => {
        focus();
        router.go(path);
        notice.close();
      };
    } catch {
      // Some phones only show notices of installed apps.
      this.#permission = 'none';
    }
  }
}

export const tell = new Tell();
