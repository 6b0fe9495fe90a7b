/**
 * Text of a field value. HTTP has bytes (RFC 9110 §5.5), Node shows them as Latin-1, and today's proxies write UTF-8.
 *
 * @returns the value as it is where it is no UTF-8
 */
export function decodeText(value: string | undefined): string {
  const text = value?.trim() ?? '';
  if (!/[\x80-\xff]/.test(text)) return text;
  const decoded = Buffer.from(text, 'latin1').toString('utf8');
  return decoded.includes('\ufffd') ? text : decoded;
}

const ENCODED_WORD = /=\?([\w-]+)\?([bq])\?([^?\s]*)\?=/gi;

/** Encoded words of mail headers (RFC 2047 §2), in UTF-8, US-ASCII or Latin-1; other text stays as it is. */
export function decodeWords(text: string): string {
  // §6.2: blanks between two encoded words separate and mean nothing.
  return text
    .replace(/(\?=)\s+(=\?)/g, '$1$2')
    .replace(ENCODED_WORD, (word, charset: string, encoding: string, data: string) => {
      const latin = /^iso-8859-1$/i.test(charset);
      if (!latin && !/^(?:utf-8|us-ascii)$/i.test(charset)) return word;
      const bytes = encoding.toLowerCase() === 'b' ? Buffer.from(data, 'base64') : fromQ(data);
      return bytes.toString(latin ? 'latin1' : 'utf8');
    });
}

/** RFC 2047 §4.2. */
function fromQ(data: string): Buffer {
  return Buffer.from(
    data
      .replaceAll('_', ' ')
      .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );
}

/** A distinguished name (RFC 4514) has commas of its own, between its parts and, escaped, in their values. */
const DISTINGUISHED_NAME = /^(?:[A-Za-z]+|[\d.]+)=(?:[^,=\\]|\\.)*(?:,\s*(?:[A-Za-z]+|[\d.]+)=(?:[^,=\\]|\\.)*)*$/;

/**
 * Whether a value may be two: what joins two headers of one name is a comma (RFC 9110 §5.3), and proxies do so before
 * the relay can see that there were two.
 */
export function mayBeTwo(user: string): boolean {
  return user.includes(',') && !DISTINGUISHED_NAME.test(user);
}

/** @returns the values of a list, without empty ones */
export function splitList(text: string, delimiter: string): string[] {
  return text
    .split(delimiter)
    .map((part) => part.trim())
    .filter((part) => part !== '');
}
