import type { Deployment } from '../../support/deployment.ts';
import type { Edit } from './gauntlet.ts';

/** Names of the files beside a proxy's configuration, also in a container; HAProxy reads both from one. */
export const EDGE_FILES = { certificate: 'edge.pem', key: 'edge.key', both: 'edge-and-key.pem' } as const;

/**
 * Lines by which a proxy of `deploy/`, all of which listen in the clear for a program on the same machine, takes TLS with HTTP/2
 * and HTTP/1.1 instead, as on the Internet.
 */
export function tlsEdits(name: Deployment): readonly Edit[] {
  const { certificate: certPath, key: keyPath, both } = EDGE_FILES;
  switch (name) {
    case 'traefik':
      return [
        {
          file: 'traefik.yaml',
          from: '      aliasHeadersStrategy: reject',
          to: '      tls: {}\n      aliasHeadersStrategy: reject',
        },
        {
          file: 'dynamic.yaml',
          from: /^http:$/m,
          to: `tls: { stores: { default: { defaultCertificate: { certFile: ${certPath}, keyFile: ${keyPath} } } } }\nhttp:`,
        },
      ];
    case 'caddy':
      return [
        { file: 'Caddyfile', from: 'protocols h1 h2c', to: 'protocols h1 h2' },
        { file: 'Caddyfile', from: /^http:\/\/:/m, to: 'https://:' },
        { file: 'Caddyfile', from: '\tbind 127.0.0.1\n', to: `\tbind 127.0.0.1\n\ttls ${certPath} ${keyPath}\n` },
      ];
    case 'nginx':
      return [
        {
          file: 'nginx.conf',
          from: /(?<=listen 127\.0\.0\.1:\d+);/,
          to: ` ssl http2;\n    ssl_certificate ${certPath};\n    ssl_certificate_key ${keyPath};`,
        },
      ];
    case 'envoy':
    case 'envoy-grpc':
      return [
        {
          file: 'envoy.yaml',
          from: '        - filters:',
          to: `        - transport_socket:
            name: envoy.transport_sockets.tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              common_tls_context:
                alpn_protocols: [h2, http/1.1]
                tls_certificates: [{ certificate_chain: { filename: ${certPath} }, private_key: { filename: ${keyPath} } }]
          filters:`,
        },
      ];
    case 'haproxy':
      return [
        {
          file: 'haproxy.cfg',
          from: /(?<=frontend edge\n +bind 127\.0\.0\.1:\d+)(?=\n)/,
          to: ` ssl crt ${both} alpn h2,http/1.1`,
        },
      ];
    default:
      return name satisfies never;
  }
}
