// What is new to the person at this screen: messages that they have not seen, and what their role wants to be told of. What was seen is
// remembered on this device, because it concerns nobody else.

import { untrack } from 'svelte';
import { clock } from '../clock.svelte';
import type { Row } from '../creel';
import { live } from '../live.svelte';
import { atFirst, changedFields, concerns, newTopics, topicsNow, type Field, type Reader, type Topic } from './topics';

/** What had been seen of a shipment: how many messages, and what could be said of it. */
type Mark = [messages: number, topics: string[]];

interface Kept {
  /** When this device began to remember, in milliseconds since the Unix epoch. */
  began: number;
  marks: [id: string, ...Mark][];
  /** Those with news that have ended, which are not among what is always held. */
  ended: string[];
}

export interface News {
  row: Row;
  /** Unread messages. */
  messages: number;
  topics: Topic[];
  /** The fields that are others now, where the topic is `changed`. */
  fields: Field[];
}

const MARKS_MAX = 20_000;
/** Ids in one filter: they stand in its URL. */
const ENDED_MAX = 60;
const SAVE_MS = 300;
/** What ended so long ago is not news only because this device sees it for the first time. */
const OLD_MS = 14 * 86_400_000;

const keyOf = (person: string | null | undefined) => `creel-news ${person ?? ''}`;

function kept(key: string): Kept | null {
  try {
    const found = JSON.parse(localStorage.getItem(key) ?? 'null') as Kept | null;
    return found && Array.isArray(found.marks) && Array.isArray(found.ended) ? found : null;
  } catch {
    return null;
  }
}

class AllNews {
  #key = '';
  #began = 0;
  #marks = new Map<string, Mark>();
  /** Counts up whenever the marks change. */
  #version = $state(0);
  #saving: ReturnType<typeof setTimeout> | undefined;
  #visible = $state(document.visibilityState === 'visible');
  /** Whether what had been seen is known, so that there can be news. */
  #ready = $state(false);

  readonly reader: Reader = $derived({ role: live.session?.role ?? null, party: live.session?.party ?? '' });

  /** Shipments with news, by id. */
  readonly items: ReadonlyMap<string, News> = $derived.by(() => {
    const items = new Map<string, News>();
    void this.#version;
    if (!this.#ready) return items;
    const [reader, now] = [this.reader, clock.now];
    for (const row of live.rows.all) {
      const found = this.#newsOf(row, reader, now);
      if (found) items.set(row.id, found);
    }
    return items;
  });

  /** How much is new in all. */
  readonly count: number = $derived(this.countOf(() => true));

  constructor() {
    document.addEventListener('visibilitychange', () => (this.#visible = document.visibilityState === 'visible'));
    // Another window of this browser has seen something.
    addEventListener('storage', ({ key }) => key === this.#key && key !== '' && this.#read());
    $effect.root(() => {
      $effect(() => {
        const key = live.loaded && live.session ? keyOf(live.session.person) : null;
        untrack(() => (key === null ? (this.#ready = false) : this.#begin(key)));
      });
      $effect(() => (this.#ready ? this.#tidy() : undefined));
    });
  }

  get ready(): boolean {
    return this.#ready;
  }

  countOf(which: (row: Row) => boolean): number {
    let count = 0;
    for (const { row, messages, topics } of this.items.values()) if (which(row)) count += messages + topics.length;
    return count;
  }

  /** Unread messages of one shipment. */
  messages(id: string): number {
    return this.items.get(id)?.messages ?? 0;
  }

  /**
   * A person has this shipment's thread before them, with so many messages: call it in an `$effect`. What comes while nobody looks at the page
   * stays unread until somebody does.
   */
  read(id: string, messages: number) {
    if (!this.#visible || !this.#ready) return;
    const row = live.rows.get(id);
    this.#mark(id, messages, row ? topicsNow(row, this.reader, clock.now) : this.#marks.get(id)?.[1] ?? []);
  }

  /** What is to be said of it was seen, but not its messages. */
  look(row: Row) {
    this.#mark(row.id, this.#marks.get(row.id)?.[0] ?? 0, topicsNow(row, this.reader, clock.now));
  }

  #mark(id: string, messages: number, topics: string[]) {
    const before = this.#marks.get(id);
    const most = Math.max(messages, before?.[0] ?? 0);
    if (before ? before[0] === most && same(before[1], topics) : most === 0 && topics.length === 0) return;
    this.#marks.delete(id);
    this.#marks.set(id, [most, topics]);
    this.#changed();
  }

  #newsOf(row: Row, reader: Reader, now: number): News | null {
    const mark = this.#marks.get(row.id);
    // Most rows have no messages, and for most roles nothing else is news.
    if (row.messages <= (mark?.[0] ?? 0) && (reader.role === 'picker' || reader.role === 'viewer' || reader.role === null)) return null;
    if (!concerns(row, reader, now) || (!mark && this.#isOld(row, now))) return null;
    const [told, before] = [topicsNow(row, reader, now), mark?.[1] ?? []];
    const topics = newTopics(told, before, reader);
    const messages = Math.max(0, row.messages - (mark?.[0] ?? 0));
    if (messages === 0 && topics.length === 0) return null;
    return { row, messages, topics, fields: topics[0] === 'changed' ? changedFields(told[0]!, before[0]!) : [] };
  }

  #isOld(row: Row, now: number): boolean {
    return row.outcome !== '' && Date.parse(row.since) < Math.max(this.#began, now - OLD_MS);
  }

  #begin(key: string) {
    if (key === this.#key && this.#ready) return;
    this.#key = key;
    if (!this.#read()) {
      // A device that is new here has seen nothing, but what was there before is no news.
      const now = Date.now();
      this.#began = now;
      this.#marks = new Map();
      for (const row of live.rows.all) {
        const topics = concerns(row, this.reader, now) ? atFirst(row, topicsNow(row, this.reader, now)) : [];
        if (row.messages > 0 || topics.length > 0) this.#marks.set(row.id, [row.messages, topics]);
      }
      this.#changed();
    }
    this.#ready = true;
  }

  #read(): boolean {
    const found = kept(this.#key);
    if (!found) return false;
    this.#began = found.began;
    this.#marks = new Map(found.marks.map(([id, messages, topics]) => [id, [messages, topics]]));
    if (!this.#ready && found.ended.length > 0) live.want(`id:${found.ended.slice(0, ENDED_MAX).join(',')}`);
    this.#version += 1;
    return true;
  }

  /** What was seen and is over is forgotten, so that it is news when it comes again. */
  #tidy() {
    const [reader, now] = [this.reader, clock.now];
    void live.rows.all;
    if (reader.role === 'driver') return;
    for (const [id, [messages, topics]] of this.#marks) {
      if (topics.length === 0) continue;
      const row = live.rows.get(id);
      if (!row) continue;
      const left = topicsNow(row, reader, now);
      const still = topics.filter((one) => left.includes(one));
      if (still.length === topics.length) continue;
      this.#marks.set(id, [messages, still]);
      this.#save();
    }
  }

  #changed() {
    untrack(() => (this.#version += 1));
    this.#save();
  }

  #save() {
    this.#saving ??= setTimeout(() => {
      this.#saving = undefined;
      const ended = [...this.items.values()].flatMap(({ row }) => (row.outcome === '' ? [] : [row.id]));
      const marks = [...this.#marks].slice(-MARKS_MAX).map(([id, mark]): [string, ...Mark] => [id, ...mark]);
      const text = JSON.stringify({ began: this.#began, marks, ended: ended.slice(-ENDED_MAX) } satisfies Kept);
      try {
        localStorage.setItem(this.#key, text);
      } catch {
        // A full store forgets what was seen; nothing else hangs on it.
      }
    }, SAVE_MS);
  }
}

const same = (one: string[], other: string[]) => one.length === other.length && one.every((text) => other.includes(text));

export const news = new AllNews();
