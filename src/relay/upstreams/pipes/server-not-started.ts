/** A server that is not there to be asked: it could not be started, or ended before it answered `initialize`. */
export class ServerNotStarted extends Error {
  override readonly name = 'ServerNotStarted';

  /** @param why for the client, behind "the MCP server could not be started: " */
  constructor(why: string, cause?: unknown) {
    super(`the MCP server could not be started: ${why}`, { cause });
  }
}

/** A program that ran has ended by itself. */
export class ProgramEnded extends Error {
  override readonly name = 'ProgramEnded';
}
