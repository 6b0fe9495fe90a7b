type ContentType = string | readonly string[] | undefined;

/** Read as clients do, which take every type that begins so: what they would read must have been read here. */
export function isJson(contentType: ContentType): boolean {
  return mediaType(contentType).startsWith('application/json');
}

export function isEventStream(contentType: ContentType): boolean {
  return mediaType(contentType).startsWith('text/event-stream');
}

/** One of the two types with no other charset than that of JSON (RFC 8259 §8.1), and nothing else. */
const EXACT = /^(application\/json|text\/event-stream)\s*(?:;\s*charset\s*=\s*(?:utf-8|"utf-8"|utf8)\s*)?;?$/;

/** For whom two readers must not differ. `similar`: a client could read it as one of the two. */
export function exactMediaType(contentType: ContentType): 'json' | 'stream' | 'similar' | 'other' {
  const type = mediaType(contentType);
  const exact = EXACT.exec(type)?.[1];
  if (exact !== undefined) return exact === 'application/json' ? 'json' : 'stream';
  return /json|event-stream/.test(type) ? 'similar' : 'other';
}

/** @returns of a `Content-Type` field, in lower case (RFC 9110 §8.3.1); empty where there is none */
function mediaType(contentType: ContentType): string {
  return String(contentType ?? '')
    .trim()
    .toLowerCase();
}
