import { z } from 'zod';

const file = (description: string) => z.string().min(1).meta({ description });

/** TLS of a listener. Files are read again when they change. */
export const listenerTls = z
  .strictObject({
    certPath: file('PEM file with the certificate, then those that lead to its authority'),
    keyPath: file('PEM file with its private key'),
    clientCaPath: file('PEM file with the authorities of client certificates').optional(),
    clientCertificate: z
      .enum(['none', 'request', 'require'])
      .default('none')
      .meta({ description: '`require` refuses connections without a certificate of clientCaPath' }),
    minVersion: z.enum(['1.2', '1.3']).default('1.2').meta({ description: 'oldest TLS version' }),
  })
  // Without authorities of its own Node would take a certificate of any public one.
  .refine((value) => value.clientCertificate === 'none' || value.clientCaPath !== undefined, {
    message: 'needed to verify client certificates',
    path: ['clientCaPath'],
  })
  .meta({ description: 'TLS of `listen`; its files are read again when they change; absent: no TLS' });

export type ListenerTls = z.output<typeof listenerTls>;

/** TLS towards a server. */
export const upstreamTls = z
  .strictObject({
    caPath: file('PEM file with the authorities of the server; absent: the public ones').optional(),
    certPath: file('PEM file with the certificate that we show').optional(),
    keyPath: file('PEM file with its private key').optional(),
    serverName: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'name in the server’s certificate, where it is not the host of `url`' }),
  })
  .refine((value) => (value.certPath === undefined) === (value.keyPath === undefined), {
    message: 'certPath and keyPath belong together',
  })
  .meta({ description: 'TLS to the server; absent: as an https or wss address needs it, with the public authorities' });

export type UpstreamTls = z.output<typeof upstreamTls>;
