// The interface over a node's HTTP API.

import { CreelError, newTap, type Creel, type Follower, type Tap } from './creel';
import { drawnIn } from './proof';
import { follow } from './stream';
import type * as Its from './types';

const BASE = 'api/v1';
/** How often a tap whose answer got lost is sent again; the node answers it with the first edit. */
const TRIES = 3;
const TRY_AGAIN_MS = 400;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const part = encodeURIComponent;

/** The API tells a workflow's name and its id. Several that were published one after the other have one name: the id says which. */
type Told<T> = T & { workflow_id?: string | null };

function byId<T extends { workflow: string }>(told: Told<T>): T {
  told.workflow = told.workflow_id ?? told.workflow;
  return told;
}

export class HttpCreel implements Creel {
  #shutOut = () => {};

  onShutOut(then: () => void) {
    this.#shutOut = then;
  }

  async #send(path: string, init: RequestInit = {}): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(`${BASE}${path}`, { credentials: 'same-origin', ...init });
    } catch (error) {
      throw new CreelError(0, error instanceof Error ? error.message : String(error));
    }
    if (response.ok) return response;
    const said: unknown = await response.json().catch(() => null);
    const words = said && typeof said === 'object' && 'error' in said ? String(said.error) : response.statusText;
    if (response.status === 401 && path !== '/login') this.#shutOut();
    throw new CreelError(response.status, words);
  }

  async #get<T>(path: string): Promise<T> {
    return (await this.#send(path)).json() as Promise<T>;
  }

  async #post<T>(path: string, tap: Tap, body: BodyInit, type: string): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const headers = { 'content-type': type, 'idempotency-key': tap };
        return (await (await this.#send(path, { method: 'POST', headers, body })).json()) as T;
      } catch (error) {
        const lost = error instanceof CreelError && error.status === 0;
        if (!lost || attempt === TRIES) throw error;
        await pause(TRY_AGAIN_MS * attempt);
      }
    }
  }

  #act<T>(path: string, tap: Tap, body: unknown): Promise<T> {
    return this.#post(path, tap, JSON.stringify(body), 'application/json');
  }

  session = () => this.#get<Its.Session>('/session');

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

  status = () => this.#get<Its.NodeStatus>('/status');

  workflows = () => this.#get<Its.Workflow[]>('/workflows');
  shipments = async (filter: string) => (await this.#get<Told<Its.Row>[]>(`/shipments?filter=${part(filter)}`)).map(byId);
  shipment = async (ref: string) => byId(await this.#get<Told<Its.Shown>>(`/shipments/${part(ref)}`));
  history = (ref: string) => this.#get<Its.HistoryRow[]>(`/shipments/${part(ref)}/history`);
  why = (ref: string) => this.#get<Its.Label[]>(`/shipments/${part(ref)}/why`);
  verify = (ref: string) => this.#get<Its.Verdict>(`/shipments/${part(ref)}/verify`);
  tracking = (ref: string) => this.#get<{ path: string; url: string | null }>(`/shipments/${part(ref)}/tracking`);
  photo = async (hash: string) => (await this.#send(`/photos/${part(hash)}`)).blob();
  drawn = async (ref: string) => drawnIn(new Uint8Array(await (await this.#send(`/shipments/${part(ref)}/proof`)).arrayBuffer()));
  sheet = (fromMs: number, toMs: number) => this.#get<Its.SheetRow[]>(`/sheet?from=${fromMs}&to=${toMs}`);
  proofLink = (ref: string) => `${BASE}/shipments/${part(ref)}/proof`;
  sheetLink = (from: string, to: string, language: Its.Language, format: 'xlsx' | 'csv') =>
    `${BASE}/sheet.${format}?from=${part(from)}&to=${part(to)}&lang=${language}`;

  follow = (follower: Follower) => follow(`${BASE}/events`, follower);

  record = (tap: Tap, shipments: string[], record: Its.StepRecord) =>
    this.#act<Its.Made[]>('/records', tap, { shipments, record });
  measure = (tap: Tap, shipments: string[], measure: Its.Measure) =>
    this.#act<Its.Made[]>('/measurements', tap, { shipments, measure });
  plan = (tap: Tap, shipments: string[], fields: Its.PlanFields) =>
    this.#act<Its.Made[]>('/plans', tap, { shipments, fields });
  planAll = (tap: Tap, filter: string, fields: Its.PlanFields) => this.#act<Its.Made[]>('/plans', tap, { filter, fields });
  say = (tap: Tap, shipment: string, text: string) => this.#act<Its.Made>('/messages', tap, { shipment, text });
  resolve = (tap: Tap, shipment: string, settle: string[], uphold: string | null, note?: string) =>
    this.#act<Its.Made>('/resolutions', tap, { shipment, settle, uphold, note });
  retract = (tap: Tap, edit: string, note?: string) => this.#act<Its.Made>('/retractions', tap, { edit, note });
  keepPhoto = async (tap: Tap, photo: Blob) =>
    (await this.#post<{ hash: string }>('/photos', tap, photo, 'application/octet-stream')).hash;
  importOrders = (tap: Tap, orders: Its.Order[], dryRun: boolean) =>
    this.#act<Its.ImportReport>('/imports', tap, { orders, dry_run: dryRun });

  people = () => this.#get<Its.Person[]>('/people');
  setPerson = async (tap: Tap, name: string, role: Its.Role, pin: string) =>
    void (await this.#act('/people', tap, { name, role, pin }));
  removePerson = async (tap: Tap, name: string) => void (await this.#act('/people/remove', tap, { name }));
  invite = (tap: Tap, request: Its.InviteRequest) => this.#act<Its.Invite>('/invites', tap, request);
  checkWorkflow = (toml: string) => this.#act<Its.Workflow>('/workflows', newTap(), { toml, check: true });
  publishWorkflow = (tap: Tap, toml: string) => this.#act<Its.Workflow>('/workflows', tap, { toml });
  nudge = async (tap: Tap) => void (await this.#act('/nudge', tap, {}));
}
