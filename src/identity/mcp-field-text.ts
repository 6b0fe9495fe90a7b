const ENCODED = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/i;
const PLAIN = /^[\x20-\x7e]*$/;

/**
 * The text of `Mcp-Name` and `Mcp-Method`, as forward-auth and relay both read it (MCP 2026-07-28, streamable HTTP): printable
 * ASCII, or `=?base64?…?=` for everything else. Bytes beyond ASCII are refused, because every program on the way may read them
 * in an encoding of its own; so is every second spelling of one text, which a comparison could miss.
 *
 * @returns the text, or what is wrong with it, to be said after the header's name
 */
export function readFieldText(value: string): string | { readonly problem: string } {
  if (!PLAIN.test(value)) return { problem: 'holds a character outside ASCII: encode it as =?base64?…?=' };
  if (!value.startsWith('=?')) return value;
  const encoded = ENCODED.exec(value)?.[1];
  if (encoded === undefined) return { problem: 'is in an unknown encoding' };
  const bytes = Buffer.from(encoded, 'base64');
  const text = bytes.toString('utf8');
  // The encoding must be the one that decodes to it, or a glob could be missed.
  if (bytes.toString('base64') !== encoded || !Buffer.from(text).equals(bytes))
    return { problem: 'is not base64 of UTF-8' };
  return text;
}
