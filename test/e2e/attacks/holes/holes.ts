import type { Deployment } from '../../../support/deployment.ts';
import { CADDY } from './caddy.ts';
import { ENVOY, ENVOY_GRPC } from './envoy.ts';
import { HAPROXY } from './haproxy.ts';
import type { Hole, HolesOfOne } from './hole.ts';
import { NGINX } from './nginx.ts';
import { TRAEFIK } from './traefik.ts';

const of = (proxy: Deployment, holes: HolesOfOne): Hole[] => holes.map((hole) => ({ proxy, ...hole }));

/** Lines of `deploy/` that close a hole, each with an attack that shows the hole once the line is gone. */
export const HOLES: readonly Hole[] = [
  ...of('traefik', TRAEFIK),
  ...of('caddy', CADDY),
  ...of('nginx', NGINX),
  ...of('envoy', ENVOY),
  ...of('envoy-grpc', ENVOY_GRPC),
  ...of('haproxy', HAPROXY),
];

/** The hole as docs/proxy-holes.md lists it. */
export function rowOf({ proxy, line, hole, stops }: Hole): string {
  return `| ${proxy} | \`${line}\` | ${hole} | ${stops} |`;
}
