/** Where each part of the quickstart listens, on 127.0.0.1. */
export interface QuickstartPorts {
  readonly edge: number;
  readonly forwardAuth: number;
  readonly relay: number;
  readonly identityProvider: number;
  readonly exampleServer: number;
  readonly clockServer: number;
  readonly forwardAuthInternal: number;
  readonly relayInternal: number;
}

const DEFAULT_PORTS: QuickstartPorts = {
  edge: 8080,
  forwardAuth: 4180,
  relay: 4444,
  // Not 4190: browsers and fetch refuse it as ManageSieve's (Fetch §2.9, "bad port").
  identityProvider: 4192,
  exampleServer: 4191,
  clockServer: 4193,
  forwardAuthInternal: 9464,
  relayInternal: 9465,
};

/** Offset 2 stays free for forward-auth's gRPC listener. */
const OFFSETS: QuickstartPorts = {
  edge: 0,
  forwardAuth: 1,
  relay: 3,
  identityProvider: 4,
  exampleServer: 5,
  forwardAuthInternal: 6,
  relayInternal: 7,
  clockServer: 8,
};

export const HIGHEST_PORT_BASE = 65_535 - Math.max(...Object.values(OFFSETS));

/**
 * The ports for a base: base + offset each. Absent: the documented ones. 0: any free ports.
 *
 * @throws RangeError where a port would not exist
 */
export function quickstartPorts(base: number | undefined): QuickstartPorts {
  if (base === undefined) return DEFAULT_PORTS;
  if (!Number.isInteger(base) || base < 0 || base > HIGHEST_PORT_BASE)
    throw new RangeError(`must be a whole number from 0 to ${HIGHEST_PORT_BASE}`);
  const at = (offset: number) => (base === 0 ? 0 : base + offset);
  return {
    edge: at(OFFSETS.edge),
    forwardAuth: at(OFFSETS.forwardAuth),
    relay: at(OFFSETS.relay),
    identityProvider: at(OFFSETS.identityProvider),
    exampleServer: at(OFFSETS.exampleServer),
    clockServer: at(OFFSETS.clockServer),
    forwardAuthInternal: at(OFFSETS.forwardAuthInternal),
    relayInternal: at(OFFSETS.relayInternal),
  };
}
