// What the node's API speaks of, as it stands in its JSON. Times are RFC 3339 texts, quantities are in thousandths of the line's unit, money is in
// the currency's minor unit, and places that are sent are in 1e-7 degrees.

export type Role = 'admin' | 'dispatcher' | 'picker' | 'driver' | 'shop' | 'viewer';
/** The role of an edit's author: a later version may give roles that this one does not know. */
export type AuthorRole = Role | 'unknown';
export type Language = 'zh' | 'en';
export type Label = { [language in Language]: string };
export type Outcome = 'signed' | 'returned' | 'cancelled';
export type Evidence =
  | 'receiver' | 'signature' | 'photos' | 'reason' | 'place' | 'scan' | 'pin' | 'lines' | 'collected' | 'measure';

/** Who is at the browser, and where. */
export interface Session {
  /** The person who logged in; null for whoever opened creel on this device. */
  person: string | null;
  role: Role | null;
  party: string | null;
  device_name: string;
  organisation: string;
  hub: boolean;
  /** Whether this node has people who log in. */
  people: boolean;
  /** Where other devices find this node's screens; null where it serves itself alone. */
  address?: string | null;
  login_needed: boolean;
}

export interface Person {
  name: string;
  role: Role;
}

export interface Peer {
  name: string;
  role: Role;
  party: string | null;
  device: string;
  hub: boolean;
  connected: boolean;
  /** Edits on their way to it. */
  unacknowledged: number;
  address?: string;
  last_seen?: string;
}

export interface NodeStatus {
  organisation: string;
  organisation_id: string;
  device: string;
  name: string;
  role: Role | null;
  party: string | null;
  hub: boolean;
  shipments: number;
  /** Edits held here that the hub is not known to have. */
  waiting: number;
  held_back: number;
  refused: number;
  refreshing: number;
  roster_height: number;
  peers: Peer[];
  quic: string;
  http: string;
  /** Who is logged in at this browser; nodes of before do not say. */
  person?: string | null;
  /** The door for other devices, where there is one. */
  https?: { urls: string[]; fingerprint: string; self_signed: boolean };
}

export interface Step {
  key: string;
  label: Label;
  colour: string;
  rank: number;
  outcome?: Outcome | null;
  by: Role[];
  needs: Evidence[];
  ways: string[];
}

export interface Workflow {
  id: string;
  name: string;
  label: Label;
  /** Whether new shipments are opened with it. */
  current: boolean;
  /** The roster's height at which it was published. */
  published: number;
  toml: string;
  steps: Step[];
}

export type ExceptionKind =
  | 'contradiction' | 'resolution_disputed' | 'resolution_on_retracted' | 'retracted_after_use' | 'evidence_cut' | 'number_twice';
/** Kinds of a row's exceptions, and records that a person may want to look at. */
export type Kind = ExceptionKind | 'short' | 'damaged' | 'not_counted';

/** A shipment in a list. */
export interface Row {
  id: string;
  /** Empty where nobody valid opened it. */
  number: string;
  /** A step's key, or `none` where nobody valid opened it. */
  status: string;
  status_label: Label;
  colour: string;
  exceptions: number;
  consignee: string;
  driver: string;
  run: string;
  /** `FROM/TO`, or empty. */
  window: string;
  outcome: '' | Outcome;
  rank: number;
  parties: string[];
  address: string;
  /** `LAT,LON` in decimal degrees, or empty. */
  place: string;
  stop: number | null;
  opened: string;
  since: string;
  /** When it was signed for, by the clock of the device that recorded it. */
  signed?: string | null;
  messages: number;
  lines: number;
  kinds: Kind[];
  workflow: string;
  due: number | null;
}

export interface Line {
  line: string;
  sku?: string;
  name?: string;
  quantity?: number;
  unit?: string;
  lot?: string;
  expiry?: string;
  /** Whether it is no longer part of the order. */
  withdrawn?: boolean;
}

/** The plan as the view shows it. */
export interface Plan {
  number?: string;
  consignee?: string;
  address?: string;
  place?: string;
  window?: string;
  driver?: string;
  run?: string;
  stop?: number;
  parties?: { [kind: string]: string };
  amount_due?: number;
  handling?: string;
  note?: string;
  lines?: Line[];
  phone?: string;
  reference?: string;
  /** Minutes at the door. */
  service?: number;
  region?: string;
  group?: string;
}

/** Fields of the plan as they are set. An empty text takes a value back. */
export interface PlanFields extends Omit<Plan, 'place' | 'window'> {
  place?: [latitude: number, longitude: number];
  window?: [from: number, to: number];
  /** Fields that are taken back, of those that are no texts. */
  cleared?: string[];
}

export interface LineCount {
  line: string;
  received?: number;
  short?: number;
  damaged?: number;
  returned?: number;
}

/** A step that was done, with its evidence. */
export interface StepRecord {
  step: string;
  reason?: string;
  receiver?: string;
  signed_as?: 'recipient' | 'proxy';
  relation?: string;
  /** An SVG in base64 when it is sent; its hash when it is shown. At most 12 KiB. */
  signature?: string;
  photos?: string[];
  scan?: string;
  pin?: string;
  place?: [latitude: number, longitude: number];
  collected?: number;
  note?: string;
  lines?: LineCount[];
}

export interface Measure {
  quantity: string;
  value: number;
  unit: string;
  sensor?: string;
}

export type Standing = 'decides' | 'superseded' | 'outranked' | 'backfill' | 'retracted' | 'rejected';

interface EntryOf<Action extends string, Detail> {
  edit: string;
  action: Action;
  /** The device's name. */
  author: string;
  device: string;
  role: AuthorRole;
  /** The person at the device. */
  by: string | null;
  /** The device's claimed time. */
  at: string;
  clock_behind: boolean;
  clock_ahead: boolean;
  after: string[];
  counted: boolean;
  /** Why it does not count, in English, in 简体中文 and as a code; null if it counts. */
  why_not: string | null;
  why_not_zh: string | null;
  why_not_code: string | null;
  step: string | null;
  label: Label | null;
  standing: Standing | null;
  skipped: string[];
  detail: Detail | null;
}

/** One edit in the timeline; `action` tells what its `detail` is. */
export type TimelineEntry =
  | EntryOf<'open', PlanFields>
  | EntryOf<'plan', PlanFields>
  | EntryOf<'record', StepRecord>
  | EntryOf<'measure', Measure>
  | EntryOf<'say', { text?: string; files?: string[] }>
  | EntryOf<'resolve', { settle?: string[]; uphold?: string; note?: string }>
  | EntryOf<'retract', { edit: string; note?: string }>
  | EntryOf<'unknown', unknown>;

/**
 * Something a person has to look at. The edits of a `retracted_after_use` are what was taken back, the edit that took it back, and the records
 * and decisions that were built on it.
 */
export interface Exception {
  kind: ExceptionKind;
  edits: string[];
  text: string;
  text_zh: string;
}

export interface Candidate {
  value: string | number | boolean;
  edit: string;
  author: string;
  role: AuthorRole;
}

/** A field of the plan that several people changed at once: the first value is shown where there is room for one. */
export interface Conflict {
  /** `lines/LINE/FIELD` of a line, `parties/KIND` of a party. */
  field: string;
  values: Candidate[];
  /** How many values are left out. */
  more: number;
}

/** A shipment with everything about it. */
export interface Shown {
  id: string;
  /** Empty where nobody valid opened it. */
  number: string;
  /** A step's key, or `none` where nobody valid opened it. */
  status: string;
  status_label: Label;
  colour: string;
  /** When it was signed for, by the clock of the device that recorded it. */
  signed: string | null;
  workflow: string;
  plan: Plan;
  conflicts: Conflict[];
  timeline: TimelineEntry[];
  /** How many edits that do not count are left out, by device. */
  void_more: { [device: string]: number };
  exceptions: Exception[];
  /** How many exceptions are left out, by kind. */
  more: { [kind in ExceptionKind]?: number };
  edits_hash: string;
  view_hash: string;
  automerge_heads: string[];
  photos: string[];
  photos_at_hub: string[];
}

/** One edit, with what only this node knows of its way. */
export interface HistoryRow {
  edit: string;
  author: string;
  device: string;
  by: string | null;
  action: string;
  step: string | null;
  counted: boolean;
  why_not: string | null;
  why_not_zh: string | null;
  why_not_code: string | null;
  at: string;
  arrived: string;
  /** When the hub was known to have it; null until then. */
  at_hub: string | null;
  detail: unknown;
}

export interface Made {
  edit: string;
  id: string;
  number: string;
}

export interface Order {
  number: string;
  row?: number;
  fields?: PlanFields;
  lines?: Line[];
}

export interface ImportReport {
  taken: number;
  updated: number;
  unchanged: number;
  kept: number;
  kept_fields: { number: string; field: string; ours: string; file: string }[];
  refused: { line: number; column: string; value: string; why: string }[];
}

export interface InviteRequest {
  role: Role;
  /** Whose the device will be; drivers and shops have one. */
  party?: string;
  name: string;
}

export interface Invite {
  invite: string;
  expires: string;
}

export interface Verdict extends Label {
  valid: boolean;
}

/** A row of the month-end sheet. */
export interface SheetRow {
  number: string;
  consignee: string;
  status: Label | null;
  line: string;
  sku: string;
  name: string;
  lot: string;
  unit: string;
  ordered: number;
  delivered: number;
  short: number;
  damaged: number;
  returned: number;
  due: number | null;
  collected: number | null;
  receiver: string;
  recorded_by: string;
  at: string;
  exceptions: string;
  exceptions_zh: string;
}
