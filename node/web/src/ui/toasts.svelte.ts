// Short words about what was just done. What must not be missed belongs on the screen, not here.

import type { IconName } from './icons';

export interface Toast {
  id: number;
  text: string;
  look: 'good' | 'bad' | 'quiet';
  icon: IconName;
}

const SHOWN_MS = 5_000;
const BAD_SHOWN_MS = 12_000;
const icons: { [look in Toast['look']]: IconName } = { good: 'check', bad: 'warning', quiet: 'info' };

let last = 0;
export const toasts: Toast[] = $state([]);

export function dismiss(id: number) {
  const at = toasts.findIndex((toast) => toast.id === id);
  if (at >= 0) toasts.splice(at, 1);
}

export function toast(text: string, look: Toast['look'] = 'good') {
  const id = (last += 1);
  toasts.push({ id, text, look, icon: icons[look] });
  if (toasts.length > 3) toasts.shift();
  setTimeout(() => dismiss(id), look === 'bad' ? BAD_SHOWN_MS : SHOWN_MS);
}
