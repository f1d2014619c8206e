// The interface over a node's HTTP API.

import { t } from '../i18n/index.svelte';
import { CreelError, newTap, type Creel, type Follower, type Tap } from './creel';
import { follow } from './stream';
import type * as Its from './types';

const BASE = 'api/v1';
/** How often a tap whose answer got lost is sent again; the node answers it with the first edit. */
const TRIES = 3;
const TRY_AGAIN_MS = 400;
/** How long an answer is waited for: of how the node is, in general, and of what is much. */
const STATUS_MS = 5_000;
const ASKED_MS = 30_000;
const MUCH_MS = 300_000;
/** From so many shipments on it is much. */
const MANY = 100;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const part = encodeURIComponent;
const timeFor = (shipments: string[]) => (shipments.length < MANY ? ASKED_MS : MUCH_MS);

/** The API tells a workflow's name and its id. Several that were published one after the other have one name: the id says which. */
type Told<T> = T & { workflow_id?: string | null };

function byId<T extends { workflow: string }>(told: Told<T>): T {
  told.workflow = told.workflow_id ?? told.workflow;
  return told;
}

export class HttpCreel implements Creel {
  #shutOut = () => {};
  #doubt = () => {};
  /** Whom this tab shows. Tabs share a cookie: somebody else may have logged in by another one, and nothing is to be done in their name. */
  #person: string | null | undefined;

  onShutOut(then: () => void) {
    this.#shutOut = then;
  }

  onDoubt(then: () => void) {
    this.#doubt = then;
  }

  /** Sends one request, and reads its answer: both within the time that `signal` gives. */
  async #send<T>(path: string, read: (response: Response) => Promise<T>, init: RequestInit): Promise<T> {
    const lost = (error: unknown) => {
      const late = error instanceof DOMException && error.name === 'TimeoutError';
      return new CreelError(0, late ? t('app.no_answer') : error instanceof Error ? error.message : String(error));
    };
    let response: Response;
    try {
      response = await fetch(`${BASE}${path}`, { credentials: 'same-origin', ...init });
      if (response.ok) return await read(response);
    } catch (error) {
      throw lost(error);
    }
    const said: unknown = await response.json().catch(() => null);
    const words = said && typeof said === 'object' && 'error' in said ? String(said.error) : response.statusText;
    if (response.status === 401 && path !== '/login') this.#shutOut();
    if (response.status === 409) this.#doubt();
    throw new CreelError(response.status, words);
  }

  #read<T>(path: string, read: (response: Response) => Promise<T>, within: number): Promise<T> {
    return this.#send(path, read, { signal: AbortSignal.timeout(within) });
  }

  #get<T>(path: string, within = ASKED_MS): Promise<T> {
    return this.#read(path, (response) => response.json() as Promise<T>, within);
  }

  async #post<T>(path: string, tap: Tap, body: BodyInit, type: string, within: number): Promise<T> {
    // All tries together: a node that is silent is not waited for three times. Who presses again makes the same tap.
    const signal = AbortSignal.timeout(within);
    const shown = this.#person !== undefined && path !== '/login' && path !== '/logout';
    const headers = { 'content-type': type, 'idempotency-key': tap, ...(shown && { 'creel-person': part(this.#person ?? '') }) };
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#send(path, (response) => response.json() as Promise<T>, { method: 'POST', headers, body, signal });
      } catch (error) {
        const lost = error instanceof CreelError && error.status === 0;
        if (!lost || signal.aborted || attempt === TRIES) throw error;
        await pause(TRY_AGAIN_MS * attempt);
      }
    }
  }

  #act<T>(path: string, tap: Tap, body: unknown, within = ASKED_MS): Promise<T> {
    return this.#post(path, tap, JSON.stringify(body), 'application/json', within);
  }

  session = async () => {
    const session = await this.#get<Its.Session>('/session');
    if (!session.login_needed) this.#person = session.person;
    return session;
  };

  /** Null where a name has to be typed: at another device, names are not told to strangers. */
  peopleNames = async (): Promise<Its.Person[] | null> => {
    try {
      return await this.#get<Its.Person[]>('/people-names');
    } catch (error) {
      if (error instanceof CreelError && error.status === 403) return null;
      throw error;
    }
  };

  login = async (name: string, pin: string) => void (await this.#act('/login', newTap(), { name, pin }));
  logout = async () => void (await this.#act('/logout', newTap(), {}));

  status = () => this.#get<Its.NodeStatus>('/status', STATUS_MS);

  workflows = () => this.#get<Its.Workflow[]>('/workflows');
  shipments = async (filter: string) => (await this.#get<Told<Its.Row>[]>(`/shipments?filter=${part(filter)}`)).map(byId);
  shipment = async (ref: string) => byId(await this.#get<Told<Its.Shown>>(`/shipments/${part(ref)}`));
  history = (ref: string) => this.#get<Its.HistoryRow[]>(`/shipments/${part(ref)}/history`);
  why = (ref: string) => this.#get<Its.Label[]>(`/shipments/${part(ref)}/why`);
  verify = (ref: string) => this.#get<Its.Verdict>(`/shipments/${part(ref)}/verify`);
  tracking = (ref: string) => this.#get<{ path: string; url: string | null }>(`/shipments/${part(ref)}/tracking`);
  photo = (hash: string) => this.#read(`/photos/${part(hash)}`, (response) => response.blob(), MUCH_MS);
  signature = (edit: string) => this.#read(`/edits/${part(edit)}/signature`, (response) => response.blob(), ASKED_MS);
  sheet = (fromMs: number, toMs: number) => this.#get<Its.SheetRow[]>(`/sheet?from=${fromMs}&to=${toMs}`, MUCH_MS);
  proofLink = (ref: string, edit?: string) => `${BASE}/shipments/${part(ref)}/proof${edit ? `?edit=${part(edit)}` : ''}`;
  sheetLink = (from: string, to: string, language: Its.Language, format: 'xlsx' | 'csv') =>
    `${BASE}/sheet.${format}?from=${part(from)}&to=${part(to)}&lang=${language}`;

  follow = (follower: Follower) => follow(`${BASE}/events`, follower);

  record = (tap: Tap, shipments: string[], record: Its.StepRecord) =>
    this.#act<Its.Made[]>('/records', tap, { shipments, record }, timeFor(shipments));
  measure = (tap: Tap, shipments: string[], measure: Its.Measure) =>
    this.#act<Its.Made[]>('/measurements', tap, { shipments, measure }, timeFor(shipments));
  plan = (tap: Tap, shipments: string[], fields: Its.PlanFields) =>
    this.#act<Its.Made[]>('/plans', tap, { shipments, fields }, timeFor(shipments));
  planAll = (tap: Tap, filter: string, fields: Its.PlanFields) =>
    this.#act<Its.Made[]>('/plans', tap, { filter, fields }, MUCH_MS);
  say = (tap: Tap, shipment: string, text: string) => this.#act<Its.Made>('/messages', tap, { shipment, text });
  resolve = (tap: Tap, shipment: string, settle: string[], uphold: string | null, note?: string) =>
    this.#act<Its.Made>('/resolutions', tap, { shipment, settle, uphold, note });
  retract = (tap: Tap, edit: string, note?: string) => this.#act<Its.Made>('/retractions', tap, { edit, note });
  keepPhoto = async (tap: Tap, photo: Blob) =>
    (await this.#post<{ hash: string }>('/photos', tap, photo, 'application/octet-stream', MUCH_MS)).hash;
  importOrders = (tap: Tap, orders: Its.Order[], dryRun: boolean) =>
    this.#act<Its.ImportReport>('/imports', tap, { orders, dry_run: dryRun }, MUCH_MS);

  people = () => this.#get<Its.Person[]>('/people');
  setPerson = async (tap: Tap, name: string, role: Its.Role, pin: string) =>
    void (await this.#act('/people', tap, { name, role, pin }));
  removePerson = async (tap: Tap, name: string) => void (await this.#act('/people/remove', tap, { name }));
  invite = (tap: Tap, request: Its.InviteRequest) => this.#act<Its.Invite>('/invites', tap, request);
  checkWorkflow = (toml: string) => this.#act<Its.Workflow>('/workflows', newTap(), { toml, check: true });
  publishWorkflow = (tap: Tap, toml: string) => this.#act<Its.Workflow>('/workflows', tap, { toml });
  nudge = async (tap: Tap) => void (await this.#act('/nudge', tap, {}));
}
