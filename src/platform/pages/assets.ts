import { createHash } from 'node:crypto';
import { STYLESHEET } from './stylesheet.ts';

/** A gate in a wall, so that a browser asks for no `/favicon.ico`, which some rule would refuse. */
const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="6" fill="#1746c7"/><path d="M9 27V14a7 7 0 0 1 14 0v13M16 7v20" fill="none" stroke="#fff" stroke-width="3"/><circle cx="19.5" cy="18" r="1.6" fill="#fff"/></svg>
`;

export interface Asset {
  readonly type: string;
  readonly body: string | Buffer;
  readonly etag: string;
  /** Address that changes with the contents. */
  readonly url: string;
}

/** Everything that the pages load, by its path. */
export type Assets = ReadonlyMap<string, Asset>;

export interface AssetContents {
  /** Another one than that of the pages for people. */
  readonly stylesheet?: string;
  /** By name. */
  readonly scripts?: Readonly<Record<string, string>>;
  /** Instead of our icon. */
  readonly logo?: { readonly type: string; readonly body: Buffer } | undefined;
}

/** @param base path below which the process serves them */
export function createAssets(
  base: string,
  { stylesheet = STYLESHEET, scripts = {}, logo }: AssetContents = {},
): Assets {
  return new Map([
    asset(base, 'postern.css', 'text/css', stylesheet),
    logo === undefined
      ? asset(base, 'icon.svg', 'image/svg+xml', ICON)
      : asset(base, `logo.${logo.type.replace(/^image\/|\+xml$/g, '')}`, logo.type, logo.body),
    ...Object.entries(scripts).map(([name, body]) => asset(base, name, 'text/javascript', body)),
  ]);
}

/** @returns undefined where there is none of this kind, such as `text/css` */
export function assetOf(assets: Assets, kind: string): Asset | undefined {
  return [...assets.values()].find(({ type }) => type.startsWith(kind));
}

function asset(base: string, name: string, type: string, body: string | Buffer): [path: string, asset: Asset] {
  const hash = createHash('sha256').update(body).digest('hex').slice(0, 16);
  const path = `${base}/${name}`;
  return [path, { type, body, etag: `"${hash}"`, url: `${path}?v=${hash}` }];
}
