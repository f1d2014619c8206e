// The stream of a node's changes. A browser opens six connections to a node and no more, and an open stream keeps one for good: so the tabs of one
// browser share a single one. The tab that holds a lock has it and passes on to the others what it hears.

import type { Follower, Following } from './creel';

/** How long the stream is left alone after it was refused. */
const AGAIN_MS = 1_500;
/** A node tells every ten seconds that it is there. From this long on without a word it is not. Nodes of before that tell nothing are believed. */
const SILENT_MS = 25_000;
/** How much longer a tab waits that hears by another one. */
const PASSED_ON_MS = 5_000;
/** How long the tab that has the stream may take to answer: one that a phone has put to sleep never does. */
const ANSWER_MS = 3_000;
/** Several tabs that ask for a new stream at about the same time get one. */
const RENEWED_MS = 3_000;

type Heard = { kind: 'live' | 'stale' | 'beat' | 'reload' } | { kind: 'changed'; id: string };
/** What tabs say to each other: what the stream told, perhaps as the answer for one of them alone, and what they ask for. */
type Said = (Heard & { to?: string }) | { kind: 'hello' | 'renew'; from: string };

/** Calls back when it was silent for too long, once it is known that beats come. */
class Silence {
  #beats = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly ms: number,
    readonly then: () => void,
  ) {}

  heard(kind: Heard['kind']) {
    clearTimeout(this.#timer);
    // Whether they come is known of each stream anew.
    if (kind === 'stale' || kind === 'live') this.#beats = false;
    if (kind === 'beat') this.#beats = true;
    if (this.#beats) this.#timer = setTimeout(this.then, this.ms);
  }

  end() {
    clearTimeout(this.#timer);
  }
}

/** A stream of one's own, which is opened again for as long as it is wanted. */
class Stream {
  now: 'live' | 'stale' = 'stale';
  #source: EventSource | null = null;
  #again: ReturnType<typeof setTimeout> | undefined;
  #opened = 0;
  #silence = new Silence(SILENT_MS, () => this.#open());

  constructor(
    readonly url: string,
    readonly hear: (heard: Heard) => void,
  ) {
    this.#open();
  }

  #tell(heard: Heard) {
    this.#silence.heard(heard.kind);
    if (heard.kind === 'live' || heard.kind === 'stale') this.now = heard.kind;
    this.hear(heard);
  }

  #open() {
    this.close();
    if (this.now === 'live') this.#tell({ kind: 'stale' });
    this.#opened = Date.now();
    const source = new EventSource(this.url, { withCredentials: true });
    this.#source = source;
    source.onopen = () => this.#tell({ kind: 'live' });
    source.addEventListener('changed', (event) => this.#tell({ kind: 'changed', id: (JSON.parse(event.data) as { id: string }).id }));
    source.addEventListener('reload', () => this.#tell({ kind: 'reload' }));
    source.addEventListener('beat', () => this.#tell({ kind: 'beat' }));
    source.onerror = () => {
      this.#tell({ kind: 'stale' });
      // A broken stream is opened again by the browser; a refused one (node restarting, logged out) is not.
      if (source.readyState !== EventSource.CLOSED) return;
      clearTimeout(this.#again);
      this.#again = setTimeout(() => this.#open(), AGAIN_MS);
    };
  }

  renew() {
    if (Date.now() - this.#opened > RENEWED_MS) this.#open();
  }

  close() {
    clearTimeout(this.#again);
    this.#silence.end();
    this.#source?.close();
  }
}

function pass(heard: Heard, follower: Follower) {
  if (heard.kind === 'changed') follower.changed(heard.id);
  else if (heard.kind !== 'beat') follower[heard.kind]();
}

function alone(url: string, follower: Follower): Following {
  const stream = new Stream(url, (heard) => pass(heard, follower));
  return { renew: () => stream.renew(), stop: () => stream.close() };
}

export function follow(url: string, follower: Follower): Following {
  // Without TLS, and not on this device itself, a browser has no locks.
  if (!('locks' in navigator) || !('BroadcastChannel' in globalThis)) return alone(url, follower);

  // Two nodes may stand behind one host of a firm's own web server.
  const name = `creel ${new URL(url, location.href).href}`;
  const channel = new BroadcastChannel(name);
  const me = String(Math.random());
  let stream: Stream | null = null;
  /** Where there are locks, but not for this page. */
  let own: Following | null = null;
  let stopped = false;
  let place = new AbortController();
  let waiting: ReturnType<typeof setTimeout> | undefined;
  const silence = new Silence(SILENT_MS + PASSED_ON_MS, () => {
    follower.stale();
    ask('renew');
  });

  function hear(heard: Heard) {
    clearTimeout(waiting);
    silence.heard(heard.kind);
    pass(heard, follower);
  }

  /** Asks the tab that has the stream. If it does not answer, this tab takes it away from it. */
  function ask(kind: 'hello' | 'renew') {
    channel.postMessage({ kind, from: me } satisfies Said);
    clearTimeout(waiting);
    waiting = setTimeout(() => stream || lead(true), ANSWER_MS);
  }

  channel.onmessage = ({ data }: MessageEvent<Said>) => {
    if ('from' in data) {
      if (!stream) return;
      if (data.kind === 'renew') stream.renew();
      channel.postMessage({ kind: stream.now, to: data.from } satisfies Said);
    } else if (!stream && (data.to === undefined || data.to === me)) {
      hear(data);
    }
  };

  /** Has the stream as soon as no other tab does. */
  function lead(steal: boolean) {
    place.abort();
    const mine = (place = new AbortController());
    const hold = () =>
      new Promise<void>((release) => {
        if (mine.signal.aborted) return release();
        silence.end();
        clearTimeout(waiting);
        const held = new Stream(url, (heard) => {
          channel.postMessage(heard satisfies Said);
          pass(heard, follower);
        });
        stream = held;
        mine.signal.addEventListener('abort', () => {
          held.close();
          if (stream === held) stream = null;
          release();
        });
      });
    navigator.locks.request(name, steal ? { steal } : { signal: mine.signal }, hold).catch((error: unknown) => {
      if (stopped || mine.signal.aborted) return;
      // Another tab took it away, because this one was asleep for too long.
      if (error instanceof DOMException && error.name === 'AbortError') return lead(false);
      place.abort();
      own = alone(url, follower);
    });
  }

  lead(false);
  ask('hello');
  return {
    renew: () => (own ? own.renew() : stream ? stream.renew() : ask('renew')),
    stop: () => {
      stopped = true;
      clearTimeout(waiting);
      silence.end();
      place.abort();
      own?.stop();
      channel.close();
    },
  };
}
