// The drawn signature out of a proof of delivery (docs/wire.md, sections 3, 4, 5 and 12). It is only taken out to be looked at: whether the proof is
// valid is for the node to say.

export interface Drawn {
  /** The device's claimed time, in milliseconds since the Unix epoch: it tells which record of the timeline it is. */
  at: number;
  step: string;
  /** An SVG as its author made it, fit for an `<img>` only: in there nothing of it runs. */
  svg: Uint8Array<ArrayBuffer>;
}

type Item = number | string | boolean | null | Uint8Array<ArrayBuffer> | Item[] | Map<Item, Item>;

/** Reads CBOR as far as statements use it. */
class Reader {
  #at = 0;
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;

  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  item(): Item {
    const head = this.#view.getUint8(this.#at++);
    const [major, short] = [head >> 5, head & 31];
    const n = this.#count(short);
    if (major === 0) return n;
    if (major === 1) return -1 - n;
    if (major === 2) return this.#take(n);
    if (major === 3) return new TextDecoder().decode(this.#take(n));
    if (major === 4) return Array.from({ length: n }, () => this.item());
    if (major === 5) return new Map(Array.from({ length: n }, () => [this.item(), this.item()]));
    // What a tag says of what follows is known here from where it stands.
    if (major === 6) return this.item();
    return short === 21 ? true : short === 20 ? false : null;
  }

  #count(short: number): number {
    if (short < 24) return short;
    const size = 1 << (short - 24);
    const at = this.#at;
    this.#at += size;
    if (size === 1) return this.#view.getUint8(at);
    if (size === 2) return this.#view.getUint16(at);
    return size === 4 ? this.#view.getUint32(at) : Number(this.#view.getBigUint64(at));
  }

  #take(n: number): Uint8Array<ArrayBuffer> {
    if (this.#at + n > this.#bytes.length) throw new RangeError('the proof ends too early');
    return this.#bytes.subarray(this.#at, (this.#at += n));
  }
}

/** Null where the proof has none, or is of a version that is not known here. */
export function drawnIn(proof: Uint8Array<ArrayBuffer>): Drawn | null {
  const read = (bytes: Item | undefined) => (bytes instanceof Uint8Array ? new Reader(bytes).item() : null);
  const of = (item: Item | undefined, key: number) => (item instanceof Map ? item.get(key) : undefined);
  try {
    const statement = read(of(read(proof), 6));
    const edit = read(Array.isArray(statement) ? statement[2] : undefined);
    const action = of(edit, 8);
    const [at, record] = [of(edit, 7), Array.isArray(action) && action[0] === 3 ? action[2] : undefined];
    const [step, svg] = [of(record, 1), of(record, 6)];
    return typeof at === 'number' && typeof step === 'string' && svg instanceof Uint8Array ? { at, step, svg } : null;
  } catch {
    return null;
  }
}
