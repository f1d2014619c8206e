// Colours come from the firm's own workflow and may be any. Text on them has to be read in the sun: contrast of at least 7:1 (WCAG 2.2, 1.4.6).

type Rgb = [number, number, number];

const CONTRAST = 7.05;
const DARK: Rgb = [11, 26, 29];
const WHITE: Rgb = [255, 255, 255];

function parsed(colour: string): Rgb {
  const hex = /^#([0-9a-f]{6})$/i.exec(colour)?.[1] ?? '57606a';
  return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)) as Rgb;
}

/** Relative luminance by WCAG's definition. */
function luminance(colour: Rgb): number {
  const [r, g, b] = colour.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as Rgb;
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one: Rgb, other: Rgb): number {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

const mixed = (from: Rgb, to: Rgb, share: number) => from.map((part, at) => Math.round(part + (to[at]! - part) * share)) as Rgb;
const written = (colour: Rgb) => `rgb(${colour.join(' ')})`;

export interface Readable {
  background: string;
  ink: string;
}

const known = new Map<string, Readable>();

/** The colour moved as little as needed towards dark or light until white or dark ink can be read on it. */
export function readable(colour: string): Readable {
  const before = known.get(colour);
  if (before) return before;
  const from = parsed(colour);
  let found: Readable = { background: '#083f47', ink: '#ffffff' };
  for (let share = 0; share <= 1; share += 0.02) {
    const darker = mixed(from, DARK, share);
    const lighter = mixed(from, WHITE, share);
    if (contrast(darker, WHITE) >= CONTRAST) {
      found = { background: written(darker), ink: '#ffffff' };
      break;
    }
    if (contrast(lighter, DARK) >= CONTRAST) {
      found = { background: written(lighter), ink: written(DARK) };
      break;
    }
  }
  known.set(colour, found);
  return found;
}
