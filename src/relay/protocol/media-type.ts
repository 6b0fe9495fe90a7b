type ContentType = string | readonly string[] | undefined;

/** Read as clients do, which take every type that begins so: what they would read must have been read here. */
export function isJson(contentType: ContentType): boolean {
  return mediaType(contentType).startsWith('application/json');
}

export function isEventStream(contentType: ContentType): boolean {
  return mediaType(contentType).startsWith('text/event-stream');
}

/** @returns of a `Content-Type` field, in lower case (RFC 9110 §8.3.1); empty where there is none */
function mediaType(contentType: ContentType): string {
  return String(contentType ?? '')
    .trim()
    .toLowerCase();
}
