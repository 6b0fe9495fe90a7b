import type { Call, Method } from './call.ts';
import { message, messageTypes } from './messages.ts';
import { CallFailure, STATUS } from './status.ts';

/** Source: grpc/health/v1/health.proto. */
const typeOf = messageTypes({
  nested: {
    HealthCheckRequest: message({ service: ['string', 1] }),
    HealthCheckResponse: message({ status: ['int32', 1] }),
    HealthListResponse: message({ statuses: ['HealthCheckResponse', 1, { map: 'string' }] }),
  },
});
const request = typeOf<{ readonly service: string }>('HealthCheckRequest');
const response = typeOf<{ readonly status: number }>('HealthCheckResponse');
const listResponse = typeOf<{ readonly statuses: Readonly<Record<string, { readonly status: number }>> }>(
  'HealthListResponse',
);

/** grpc.health.v1.HealthCheckResponse.ServingStatus */
const SERVING = 1;
const NOT_SERVING = 2;
const SERVICE_UNKNOWN = 3;

const STOPPED = new CallFailure(STATUS.UNAVAILABLE, 'the server stops');

const SERVICE = 'grpc.health.v1.Health';

/** The health service of gRPC for some services, all of which serve until they are stopped. */
export class Health {
  readonly #services: ReadonlySet<string>;
  /** Calls that are told of each change, and whether they ask about one of these services. */
  readonly #watching = new Map<Call, boolean>();
  #status = SERVING;

  /** @param services their names; the empty one stands for the whole server */
  constructor(services: readonly string[]) {
    this.#services = new Set(services);
  }

  /** By path. */
  get methods(): ReadonlyMap<string, Method> {
    return new Map<string, Method>([
      [`/${SERVICE}/Check`, (message, call) => this.#check(message, call)],
      [`/${SERVICE}/List`, (_message, call) => this.#list(call)],
      [`/${SERVICE}/Watch`, (message, call) => this.#watch(message, call)],
    ]);
  }

  /** Nothing serves any more, which is told to all who watch. */
  stop(): void {
    if (this.#status === NOT_SERVING) return;
    this.#status = NOT_SERVING;
    const told = response.encode({ status: this.#status });
    for (const [call, known] of this.#watching) if (known) call.send(told);
  }

  /** Ends all calls that watch: they would keep their connections open for ever. */
  close(): void {
    for (const call of this.#watching.keys()) call.fail(STOPPED);
  }

  #check(message: Buffer, call: Call): void {
    if (this.#knows(message)) call.answer(response.encode({ status: this.#status }));
    else call.fail(new CallFailure(STATUS.NOT_FOUND, 'there is no such service'));
  }

  #list(call: Call): void {
    const statuses = Object.fromEntries([...this.#services].map((name) => [name, { status: this.#status }]));
    call.answer(listResponse.encode({ statuses }));
  }

  #watch(message: Buffer, call: Call): void {
    const known = this.#knows(message);
    call.onClose = () => this.#watching.delete(call);
    this.#watching.set(call, known);
    call.send(response.encode({ status: known ? this.#status : SERVICE_UNKNOWN }));
  }

  #knows(message: Buffer): boolean {
    return this.#services.has(request.decode(message).service);
  }
}
