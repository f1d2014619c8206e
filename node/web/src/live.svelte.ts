// Live state: what the node holds, kept up with as it changes. Screens read it and never poll.

import { clock } from './clock.svelte';
import { NO_STATUS, creel, type Following, type HistoryRow, type NodeStatus, type Row, type Session, type Shown, type Step, type Workflow } from './creel';

/** The first change is fetched at once; those that follow within this time are gathered, so that a burst is few requests. */
const GATHER_MS = 50;
/** Ids in one request: they stand in its URL. */
const IDS_PER_REQUEST = 60;
/** From so many changes on, the lists are loaded anew instead. */
const IDS_MAX = 600;
/** How long the lists wait for the stream of changes at the start. */
const STREAM_MS = 1_500;
/** How often the node is asked how it is. Nothing tells when a peer comes or goes. */
const STATUS_MS = 5_000;
const STATUS_WAITING_MS = 1_000;
/** When what could not be loaded is tried again: later each time. */
const RELOAD_MS = 1_000;
const RELOAD_MAX_MS = 15_000;

/** Rows by id. One version for all of them, because ten thousand signals would be slower than looking at ten thousand rows. */
class Rows {
  #byId = new Map<string, Row>();
  #version = $state(0);
  /** All rows, in no order. */
  all: Row[] = $derived.by(() => (this.#version, [...this.#byId.values()]));
  /** Those that have not ended, and that somebody valid opened: whoever has a key can make documents of which nothing counts. */
  open: Row[] = $derived(this.all.filter((row) => row.outcome === '' && row.status !== NO_STATUS));

  get size(): number {
    return this.#version, this.#byId.size;
  }

  get(id: string): Row | undefined {
    return this.#version, this.#byId.get(id);
  }

  /** Takes rows in; those asked for that did not come are not here any more. */
  take(rows: Row[], asked: string[] = []) {
    const came = new Set(rows.map((row) => row.id));
    for (const id of asked) if (!came.has(id)) this.#byId.delete(id);
    for (const row of rows) this.#byId.set(row.id, row);
    this.#version += 1;
  }

  replace(rows: Row[]) {
    this.#byId = new Map(rows.map((row) => [row.id, row]));
    this.#version += 1;
  }
}

class Live {
  readonly rows = new Rows();
  session: Session | null = $state.raw(null);
  status: NodeStatus | null = $state.raw(null);
  workflows: Workflow[] = $state.raw([]);
  /** Whether changes arrive as they happen, and nothing of before is missing. */
  connection: 'live' | 'stale' = $state('stale');
  /** Since when the connection is as it is, in milliseconds since the Unix epoch. */
  connectionSince = $state(Date.now());
  /** The node asks who this is. */
  shutOut = $state(false);
  /** Counts up whenever somebody else is there than before. */
  people = $state(0);
  /** Whether the lists have been loaded once. */
  loaded = $state(false);
  /** Why the app could not start; empty while nothing is wrong. */
  problem = $state('');

  #wanted = new Map<string, number>();
  #changed = new Set<string>();
  #gathering: ReturnType<typeof setTimeout> | undefined;
  #asking: ReturnType<typeof setTimeout> | undefined;
  #fetched = 0;
  /** For each loading of the lists that is under way, what changed meanwhile. */
  #reloading = new Set<Set<string>>();
  /** Loadings of the lists are numbered; the newest whose rows are shown. */
  #begun = 0;
  #shown = 0;
  /** From which loading on the rows are right, if changes arrive; none before the stream is open. */
  #right = Number.POSITIVE_INFINITY;
  #again: ReturnType<typeof setTimeout> | undefined;
  #wait = RELOAD_MS;
  #listeners = new Set<(id: string | null) => void>();
  #following: Following | null = null;
  #starts = 0;
  #others = new Set<() => void>();

  constructor() {
    // By another tab somebody may have logged in or out meanwhile.
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState !== 'visible') return;
      if (this.shutOut) void this.start();
      else if (this.#following) this.#askStatusLater(0);
    });
  }

  /** Begins, or begins again after a login. */
  async start() {
    this.stop();
    const start = (this.#starts += 1);
    creel.onShutOut(() => this.#leave());
    creel.onDoubt(() => this.#following && this.#askStatusLater(0));
    try {
      const session = await creel.session();
      if (start !== this.#starts) return;
      this.shutOut = session.login_needed;
      if (session.login_needed) return;
      if (this.session && this.session.person !== session.person) this.#another();
      this.session = session;
      const [status, workflows] = await Promise.all([creel.status(), creel.workflows()]);
      if (start !== this.#starts) return;
      [this.status, this.workflows, this.problem] = [status, workflows, ''];
    } catch (error) {
      if (this.shutOut || start !== this.#starts) return;
      this.problem = error instanceof Error ? error.message : String(error);
      setTimeout(() => start === this.#starts && void this.start(), 2_000);
      return;
    }
    this.#follow();
    // Where something on the way holds the stream back, the lists are shown all the same, as stale.
    setTimeout(() => this.loaded || this.#following === null || void this.#reload(), STREAM_MS);
    this.#askStatusLater();
  }

  #follow() {
    this.#following = creel.follow({
      changed: (id) => this.#change(id),
      reload: () => void this.#reload(),
      live: () => {
        // What happened while nothing was told has to be looked for, and until it was found this is not live.
        this.#right = this.#begun + 1;
        void this.#reload();
      },
      stale: () => {
        this.#right = Number.POSITIVE_INFINITY;
        this.#connect('stale');
      },
    });
  }

  stop() {
    this.#following?.stop();
    this.#following = null;
    clearTimeout(this.#asking);
    clearTimeout(this.#gathering);
    clearTimeout(this.#again);
    [this.#gathering, this.#again, this.#wait] = [undefined, undefined, RELOAD_MS];
    this.#changed.clear();
    this.#right = Number.POSITIVE_INFINITY;
    this.#connect('stale');
  }

  #leave() {
    if (this.shutOut) return;
    // What is half typed stays with the one who typed it: the session and the rows are still theirs when they come back.
    this.shutOut = true;
    this.#starts += 1;
    this.stop();
  }

  /** Somebody else is there now: what the one before saw and typed is none of theirs. */
  #another() {
    this.people += 1;
    this.loaded = false;
    this.rows.replace([]);
    for (const then of this.#others) then();
  }

  /** Calls back when somebody else is there. */
  onAnother(then: () => void) {
    this.#others.add(then);
  }

  #connect(connection: 'live' | 'stale') {
    if (connection === this.connection) return;
    this.connection = connection;
    this.connectionSince = Date.now();
    clock.now = Date.now();
  }

  /**
   * Keeps the shipments that a filter finds in `rows` until the returned function is called: call it in an `$effect` and return what it
   * returns. What is open is always there.
   */
  want(filter: string): () => void {
    const count = this.#wanted.get(filter) ?? 0;
    this.#wanted.set(filter, count + 1);
    if (count === 0 && this.loaded) void creel.shipments(filter).then((rows) => this.rows.take(rows), () => {});
    return () => {
      const left = (this.#wanted.get(filter) ?? 1) - 1;
      // The rows stay until the next reload: somebody is likely to come back to them.
      if (left > 0) this.#wanted.set(filter, left);
      else this.#wanted.delete(filter);
    };
  }

  /** Calls back with each id that changed, or with null when anything may have. */
  onChanged(then: (id: string | null) => void): () => void {
    this.#listeners.add(then);
    return () => this.#listeners.delete(then);
  }

  #change(id: string) {
    if (!this.#following) return;
    this.#changed.add(id);
    for (const missed of this.#reloading) missed.add(id);
    this.#gathering ??= setTimeout(() => void this.#fetchChanged(), this.#fetched + GATHER_MS - Date.now());
    for (const listener of this.#listeners) listener(id);
  }

  async #fetchChanged() {
    const ids = [...this.#changed];
    const following = this.#following;
    this.#changed.clear();
    this.#fetched = Date.now();
    try {
      if (ids.length > IDS_MAX) {
        await this.#reload();
      } else {
        for (let from = 0; from < ids.length; from += IDS_PER_REQUEST) {
          const some = ids.slice(from, from + IDS_PER_REQUEST);
          const rows = await creel.shipments(`id:${some.join(',')}`);
          if (following !== this.#following) return;
          this.rows.take(rows, some);
        }
      }
    } catch (error) {
      if (following === this.#following) this.#missed(error);
    } finally {
      // Only now the next batch: a slow node is not asked twice at once.
      this.#gathering = this.#changed.size > 0 ? setTimeout(() => void this.#fetchChanged(), GATHER_MS) : undefined;
    }
    // What was recorded here now waits for the hub, or does not any more.
    this.#askStatusLater(GATHER_MS);
  }

  /** Something could not be fetched, so what is shown may be old: that is said, and all of it is loaded anew by and by. */
  #missed(error: unknown) {
    if (this.shutOut || !this.#following) return;
    this.problem = error instanceof Error ? error.message : String(error);
    if (this.#right <= this.#begun) this.#right = this.#begun + 1;
    this.#connect('stale');
    this.#again ??= setTimeout(() => this.#reloadAgain(), this.#wait);
  }

  #reloadAgain() {
    this.#wait = Math.min(2 * this.#wait, RELOAD_MAX_MS);
    // A node that is slow is not asked for the same once more while it looks for it.
    this.#again = this.#reloading.size > 0 ? setTimeout(() => this.#reloadAgain(), this.#wait) : undefined;
    if (this.#again === undefined) void this.#reload();
  }

  async #lists(): Promise<Row[]> {
    const lists = new Map<string, Row[]>();
    // A screen may ask for more while the others are on their way.
    for (;;) {
      const missing = ['is:open', ...this.#wanted.keys()].filter((filter) => !lists.has(filter));
      if (missing.length === 0) return [...lists.values()].flat();
      const loaded = await Promise.all(missing.map((filter) => creel.shipments(filter)));
      missing.forEach((filter, at) => lists.set(filter, loaded[at] ?? []));
    }
  }

  async #reload() {
    const turn = (this.#begun += 1);
    const following = this.#following;
    const missed = new Set<string>();
    this.#reloading.add(missed);
    try {
      const rows = await this.#lists();
      // What was asked for before a login is not shown after it.
      if (following !== this.#following) return;
      // One that began later may have been faster.
      if (turn > this.#shown) {
        this.#shown = turn;
        this.rows.replace(rows);
        this.loaded = true;
        for (const listener of this.#listeners) listener(null);
      }
      this.workflows = await creel.workflows();
      await this.#askStatus();
      if (following !== this.#following) return;
      this.problem = '';
      this.#wait = RELOAD_MS;
      if (turn < this.#right) return;
      clearTimeout(this.#again);
      this.#again = undefined;
      this.#connect('live');
    } catch (error) {
      if (following === this.#following) this.#missed(error);
    } finally {
      this.#reloading.delete(missed);
      // The lists may be older than what changed while they were on their way.
      for (const id of missed) this.#change(id);
    }
  }

  async #askStatus() {
    const following = this.#following;
    const status = await creel.status();
    if (following !== this.#following) return;
    this.status = status;
    if (status.person !== undefined && this.session && status.person !== this.session.person) void this.start();
  }

  #askStatusLater(wait = this.status && this.status.waiting > 0 ? STATUS_WAITING_MS : STATUS_MS) {
    clearTimeout(this.#asking);
    this.#asking = setTimeout(async () => {
      try {
        if (document.visibilityState === 'visible') await this.#askStatus();
      } catch (error) {
        // A node that does not answer tells nothing new, whatever its stream looks like: one that died on the way looks open for ever.
        this.#missed(error);
        this.#following?.renew();
      }
      if (this.#following) this.#askStatusLater();
    }, wait);
  }

  /** Looks at everything again: after a workflow was published, which no event tells. */
  async refresh() {
    await this.#reload();
  }
}

export const live = new Live();

/** The step of a workflow by its id, or by its name: the newest published one that knows it. */
export function stepOf(workflow: string, key: string): Step | undefined {
  const own = live.workflows.filter((one) => one.id === workflow);
  const named = live.workflows.filter((one) => one.name === workflow).sort((a, b) => b.published - a.published);
  for (const one of [...own, ...named, ...live.workflows]) {
    const step = one.steps.find((candidate) => candidate.key === key);
    if (step) return step;
  }
  return undefined;
}

/** The steps a shipment of that workflow goes through. */
export function stepsOf(workflow: string): Step[] {
  const own = live.workflows.find((one) => one.id === workflow);
  const named = live.workflows.filter((one) => one.name === workflow);
  return (own ?? named.find((one) => one.current) ?? named[0] ?? live.workflows[0])?.steps ?? [];
}

/** A shipment that is being looked at. */
export class ShipmentWatch {
  view: Shown | null = $state.raw(null);
  history: HistoryRow[] = $state.raw([]);
  problem = $state('');
  #asked = 0;

  async load(ref: string) {
    const asked = (this.#asked += 1);
    try {
      const [view, history] = await Promise.all([creel.shipment(ref), creel.history(ref)]);
      if (asked !== this.#asked) return;
      [this.view, this.history, this.problem] = [view, history, ''];
    } catch (error) {
      if (asked === this.#asked) this.problem = error instanceof Error ? error.message : String(error);
    }
  }

  forget() {
    this.#asked += 1;
    [this.view, this.history, this.problem] = [null, [], ''];
  }

  /** Whether the hub is known to have an edit: ✓✓. */
  atHub(edit: string): boolean {
    return this.history.some((row) => row.edit === edit && row.at_hub !== null);
  }
}

/** Follows one shipment, by number or id, for as long as the component lives: call it while a component is made. */
export function watchShipment(ref: () => string): ShipmentWatch {
  const watch = new ShipmentWatch();
  $effect(() => {
    const shipment = ref();
    watch.forget();
    if (!shipment) return;
    let waiting: ReturnType<typeof setTimeout> | undefined;
    let loaded = Date.now();
    void watch.load(shipment);
    const unlisten = live.onChanged((id) => {
      if (id !== null && id !== shipment && id !== watch.view?.id) return;
      waiting ??= setTimeout(() => {
        waiting = undefined;
        loaded = Date.now();
        void watch.load(shipment);
      }, loaded + GATHER_MS - Date.now());
    });
    return () => {
      unlisten();
      clearTimeout(waiting);
    };
  });
  return watch;
}
