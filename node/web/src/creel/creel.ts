// The one small interface that every screen goes through. Today a node's HTTP API stands behind it (http.ts); a replica in WebAssembly can stand
// behind the same interface later, so nothing else in the app knows of fetch or of URLs under /api.

import type {
  HistoryRow, ImportReport, Invite, InviteRequest, Label, Language, Made, Measure, NodeStatus, Order, Person, PlanFields, Role, Row, Session,
  SheetRow, Shown, StepRecord, Verdict, Workflow,
} from './types';

/** Names one tap of a person: the same tap twice is one edit. Made by `newTap`. */
export type Tap = string & { readonly tap: unique symbol };

/** The status of a document that nobody valid opened: nothing about it counts. */
export const NO_STATUS = 'none';

/** Why something was not done, in the node's own words where it could be reached. */
export class CreelError extends Error {
  constructor(
    /** The HTTP status; 0 where the node was not reached, so that nobody knows whether it was done. */
    readonly status: number,
    message: string,
  ) {
    super(message);
    this.name = 'CreelError';
  }

  /** Whether trying the same tap again may help. */
  get mayPass(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** What is told of a replica's changes while they are followed. */
export interface Follower {
  /** A document changed. */
  changed(id: string): void;
  /** Changes may have been missed: look at everything again. */
  reload(): void;
  /** Changes arrive from now on. */
  live(): void;
  /** None arrive for now; it is tried again. */
  stale(): void;
}

/** Changes that are being followed. */
export interface Following {
  /** Begins again, where changes do not arrive although nothing said so. */
  renew(): void;
  stop(): void;
}

export interface Creel {
  session(): Promise<Session>;
  /** Whose names the login screen shows. */
  peopleNames(): Promise<Person[] | null>;
  login(name: string, pin: string): Promise<void>;
  logout(): Promise<void>;
  /** Is called whenever the node asks who this is. */
  onShutOut(then: () => void): void;
  /** Is called when the node refuses something that another person, or an earlier act, may stand against. */
  onDoubt(then: () => void): void;

  status(): Promise<NodeStatus>;
  workflows(): Promise<Workflow[]>;
  /** Shipments by words and terms such as `is:open`, `is:exception`, `id:a,b`, `since:2026-06-01`, `driver:`, `run:`, `status:`, `limit:`. */
  shipments(filter: string): Promise<Row[]>;
  /** One shipment, by number or id. */
  shipment(ref: string): Promise<Shown>;
  history(ref: string): Promise<HistoryRow[]>;
  why(ref: string): Promise<Label[]>;
  verify(ref: string): Promise<Verdict>;
  /** A link for the customer, absolute within this node. */
  tracking(ref: string): Promise<{ path: string; url: string | null }>;
  photo(hash: string): Promise<Blob>;
  /** The signature that was drawn for a record: an SVG as its author made it, fit for an `<img>` only, in which nothing of it runs. */
  signature(edit: string): Promise<Blob>;
  sheet(fromMs: number, toMs: number): Promise<SheetRow[]>;
  /** Where the browser downloads something from. A proof is of the record that decides, or of one that is named. */
  proofLink(ref: string, edit?: string): string;
  sheetLink(from: string, to: string, language: Language, format: 'xlsx' | 'csv'): string;
  follow(follower: Follower): Following;

  record(tap: Tap, shipments: string[], record: StepRecord): Promise<Made[]>;
  measure(tap: Tap, shipments: string[], measure: Measure): Promise<Made[]>;
  plan(tap: Tap, shipments: string[], fields: PlanFields): Promise<Made[]>;
  planAll(tap: Tap, filter: string, fields: PlanFields): Promise<Made[]>;
  say(tap: Tap, shipment: string, text: string): Promise<Made>;
  resolve(tap: Tap, shipment: string, settle: string[], uphold: string | null, note?: string): Promise<Made>;
  retract(tap: Tap, edit: string, note?: string): Promise<Made>;
  /** Keeps a photo on this device (at most 20 MiB) and answers its hash, which a record then names. */
  keepPhoto(tap: Tap, photo: Blob): Promise<string>;
  importOrders(tap: Tap, orders: Order[], dryRun: boolean): Promise<ImportReport>;

  people(): Promise<Person[]>;
  setPerson(tap: Tap, name: string, role: Role, pin: string): Promise<void>;
  removePerson(tap: Tap, name: string): Promise<void>;
  invite(tap: Tap, request: InviteRequest): Promise<Invite>;
  /** Reads a workflow without publishing it; refused in words where it is wrong. */
  checkWorkflow(toml: string): Promise<Workflow>;
  publishWorkflow(tap: Tap, toml: string): Promise<Workflow>;
  /** There may be a road again: the node dials at once. */
  nudge(tap: Tap): Promise<void>;
}

/** A tap that nobody has made before. `crypto.randomUUID` is missing on plain HTTP in a LAN; `getRandomValues` is not. */
export function newTap(): Tap {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('') as Tap;
}
