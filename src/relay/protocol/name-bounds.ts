/** Characters of one name or URI, whoever invented it: comparing it with every rule must not take long. */
export const MAX_NAME = 8_192;
/** Characters of all names and URIs in one message of a client. */
export const MAX_NAMES = 262_144;
/** Characters of all names and URIs in one list of a server. */
export const MAX_LISTED = 1_048_576;
/** Characters of a method. */
export const MAX_METHOD = 256;
/** Names and URIs in one message of a client. */
export const MAX_OBJECTS = 1_000;
/** Characters of the id of a message, and of a progress token: each end keeps them until there is an answer. */
export const MAX_ID = 1_024;
