/** Characters of a secret at the end of a text that was cut off, from which on they tell something. */
const MIN_PART = 4;

/** One character as JSON, an address or HTML may write it. */
const ESCAPED =
  /\\u([0-9a-f]{4})|%([0-9a-f]{2})|&#x0*([0-9a-f]{1,5});|&#0*([0-9]{1,6});|\\(["\\/])|&(lt|gt|amp|quot|apos);/gi;
const NAMED: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

/**
 * A text of somebody else, such as a server's error, without secrets that it repeats: as they are, escaped, or cut off at its end.
 *
 * @param secrets the longest first
 * @param cut whether the text may end within a secret
 * @returns the text as it was, unescaped where a secret was found in that form only
 */
export function withoutSecrets(text: string, secrets: readonly string[], cut = false): string {
  const redacted = redact(text, secrets, cut);
  const plain = unescaped(redacted);
  const found = redact(plain, secrets.map(unescaped), cut);
  return found === plain ? redacted : found;
}

function redact(text: string, secrets: readonly string[], cut: boolean): string {
  let rest = text;
  for (const secret of secrets) rest = rest.replaceAll(secret, '[redacted]');
  if (!cut) return rest;
  const part = Math.max(0, ...secrets.map((secret) => partAtEnd(rest, secret)));
  return part < MIN_PART ? rest : `${rest.slice(0, -part)}[redacted]`;
}

/** @returns characters of the secret's beginning with which the text ends */
function partAtEnd(text: string, secret: string): number {
  const end = text.slice(-secret.length);
  for (let at = 0; at < end.length; at++) if (secret.startsWith(end.slice(at))) return end.length - at;
  return 0;
}

function unescaped(text: string): string {
  return text.replace(ESCAPED, (whole, unicode, percent, hexadecimal, decimal, itself, named) => {
    if (itself !== undefined) return itself;
    if (named !== undefined) return NAMED[String(named).toLowerCase()] ?? whole;
    const code = Number.parseInt(unicode ?? percent ?? hexadecimal ?? decimal, decimal === undefined ? 16 : 10);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}
