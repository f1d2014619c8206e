// Where the person is, kept in the address after the #: `#/board?q=west` or `#/s/ID`. So a link can be sent, and the back button works.

class Router {
  #hash = $state(location.hash);
  #address = $derived(this.#hash.replace(/^#\/?/, ''));
  /** The parts of the path: `['s', ID]`. Empty at home. */
  path: string[] = $derived(
    (this.#address.split('?')[0] ?? '').split('/').filter((part) => part !== '').map(decoded),
  );
  /** Search and filters. */
  query: URLSearchParams = $derived(new URLSearchParams(this.#address.split('?')[1] ?? ''));

  constructor() {
    addEventListener('hashchange', () => (this.#hash = location.hash));
  }

  get(key: string): string {
    return this.query.get(key) ?? '';
  }

  go(path: string[] | string, query: Query = {}) {
    location.hash = link(path, query);
  }

  /** Sets search and filters without a step in the browser's history; an empty value takes one away. */
  filter(changes: Query) {
    const query: Query = { ...Object.fromEntries(this.query), ...changes };
    history.replaceState(history.state, '', link(this.path, query));
    this.#hash = location.hash;
  }
}

export type Query = { [key: string]: string | number | null | undefined };

/** An address within the app, for `href`. */
export function link(path: string[] | string, query: Query = {}): string {
  const parts = typeof path === 'string' ? path.split('/').filter((part) => part !== '') : path;
  const filled = Object.entries(query).filter(([, value]) => value !== '' && value !== null && value !== undefined);
  const search = new URLSearchParams(filled.map(([key, value]) => [key, String(value)])).toString();
  return `#/${parts.map(encodeURIComponent).join('/')}${search && `?${search}`}`;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    // A mistyped address is shown as it is, and finds nothing.
    return part;
  }
}

export const router = new Router();
