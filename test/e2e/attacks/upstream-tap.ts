import { startByteTap, type TapTls } from './byte-tap.ts';
import { createWitness, readAlong, type Seen } from './witness.ts';

/**
 * A tap before the relay. A second reader of the same bytes, as strict as the relay, remembers the requests in them.
 *
 * @param to port of the relay
 */
export async function startUpstreamTap(to: number, tls?: TapTls) {
  const seen: Seen[] = [];
  const reader = createWitness((one) => seen.push(one));
  const listen = () => {
    const { write, end } = readAlong(reader);
    return { sent: write, ended: end };
  };
  return { ...(await startByteTap(to, listen, tls)), seen };
}
