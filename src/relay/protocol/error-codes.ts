/** Codes of JSON-RPC errors: JSON-RPC 2.0 §5.1, what MCP defines, and the relay's own. */
export const PARSE_ERROR = -32700;
export const INVALID_REQUEST = -32600;
export const METHOD_NOT_FOUND = -32601;
export const INVALID_PARAMS = -32602;
export const INTERNAL_ERROR = -32603;
/** The first of the codes that are left to implementations. */
export const SERVER_ERROR = -32000;

/** The relay's own: the policy or a pin forbids it; a rate limit is reached. From -32020 on the codes are MCP's (2026-07-28, basic). */
export const FORBIDDEN = -32003;
export const LIMITED = -32005;

/** What MCP servers say of a session that they do not know. */
export const NO_SESSION = -32001;
/** Up to 2025-11-25, server/resources: there is no such resource; since 2026-07-28 the parameters are invalid. */
export const RESOURCE_NOT_FOUND = -32002;
/** 2025-11-25, client/elicitation: the call can be made again when the person has been at some addresses. */
export const URL_ELICITATION_REQUIRED = -32042;

/** 2026-07-28, basic/transports: a mirrored header and the body differ. */
export const HEADER_MISMATCH = -32020;
/** 2026-07-28, basic: the client has not declared what it would need for this. */
export const MISSING_CAPABILITY = -32021;
/** 2026-07-28, basic: the revision is not spoken here. */
export const UNSUPPORTED_VERSION = -32022;
