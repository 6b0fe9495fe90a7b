import type { IncomingMessage } from 'node:http';
import { isLoopback } from '../../../platform/addresses.ts';
import { withoutBrackets } from '../../../platform/config/host-and-port.ts';

/** Headers by which a proxy shows that it passes on what somebody else sent. */
const PASSED_ON = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip'];

/**
 * Whether a program of this machine asks for itself. By `Host` too: a page from elsewhere whose name leads here all of a sudden
 * (DNS rebinding) still names itself there.
 */
export function isLocal({ socket, headers }: IncomingMessage): boolean {
  const host = withoutBrackets((headers.host ?? '').replace(/:\d+$/, ''));
  return (
    isLoopback(socket.remoteAddress ?? '') && isLoopback(host) && !PASSED_ON.some((name) => headers[name] !== undefined)
  );
}
