/** Grounds of the pages, on which links and buttons must be read: see the stylesheet. */
export const GROUNDS = { light: '#ffffff', dark: '#1c222b' } as const;
/** WCAG 2.2 §1.4.3. */
export const LEAST_CONTRAST = 4.5;

/** Contrast of two colors, `#rrggbb` each (WCAG 2.2, "contrast ratio"). */
export function contrast(one: string, other: string): number {
  const [a, b] = [luminance(one), luminance(other)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

/** What can be read on a color: the lighter or the darker ink. */
export function inkOn(color: string): string {
  return contrast(color, '#ffffff') >= contrast(color, '#0d1526') ? '#ffffff' : '#0d1526';
}

/** The same hue, as much lighter as it takes to be read on the dark ground. */
export function lightened(color: string): string {
  for (let share = 0; share < 1; share += 0.05) {
    const mixed = mix(color, share);
    if (contrast(mixed, GROUNDS.dark) >= LEAST_CONTRAST) return mixed;
  }
  return '#ffffff';
}

function mix(color: string, share: number): string {
  const parts = channels(color).map((value) => Math.round(value + (255 - value) * share));
  return `#${parts.map((value) => value.toString(16).padStart(2, '0')).join('')}`;
}

function luminance(color: string): number {
  const [red = 0, green = 0, blue = 0] = channels(color).map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function channels(color: string): number[] {
  return [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16));
}
