/**
 * The one base of our own errors. `code` is stable and safe to log and to show, `message` is shown to the caller only
 * where `expose` is true, and `cause` never leaves the log.
 */
export class PosternError extends Error {
  readonly code: string;
  /** HTTP status with which the error answers a request. */
  readonly status: number;
  readonly expose: boolean;

  constructor(code: string, message: string, options: { status?: number; expose?: boolean; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.status = options.status ?? 500;
    this.expose = options.expose ?? false;
  }
}

/** Something that Postern needs does not answer: always 503, never a pass and never a sign-out. */
export class DependencyUnavailable extends PosternError {
  constructor(dependency: string, cause?: unknown) {
    super('dependency_unavailable', `${dependency} does not answer; try again shortly`, {
      status: 503,
      expose: true,
      cause,
    });
  }
}

/** There is more to do than this process can: 503, for requests whose credential it does not know. */
export class Overloaded extends PosternError {
  constructor() {
    super('overloaded', 'too many requests with unknown credentials at once; try again shortly', {
      status: 503,
      expose: true,
    });
  }
}

/** The configuration is wrong. `problems` holds one line each, starting with the key's path. */
export class ConfigurationError extends PosternError {
  readonly problems: readonly string[];

  constructor(problems: readonly string[], cause?: unknown) {
    super('configuration', `the configuration is wrong:\n${problems.map((line) => `  ${line}`).join('\n')}`, {
      expose: true,
      cause,
    });
    this.problems = problems;
  }
}
