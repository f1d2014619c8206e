// Day, night, or as the system says.

export type Theme = 'auto' | 'light' | 'night';
const KEPT = 'creel-theme';

function first(): Theme {
  const kept = localStorage.getItem(KEPT);
  return kept === 'light' || kept === 'night' ? kept : 'auto';
}

let chosen: Theme = $state(first());

function show() {
  if (chosen === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}
show();

const dark = matchMedia('(prefers-color-scheme: dark)');
let system: boolean = $state(dark.matches);
dark.addEventListener('change', () => (system = dark.matches));

export const theme = {
  get now(): Theme {
    return chosen;
  },
  set now(next: Theme) {
    chosen = next;
    localStorage.setItem(KEPT, next);
    show();
  },
  /** Whether it is night on the screen: for what is drawn in colours that are read once. */
  get night(): boolean {
    return chosen === 'night' || (chosen === 'auto' && system);
  },
};
