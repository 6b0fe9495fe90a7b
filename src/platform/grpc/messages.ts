import protobuf from 'protobufjs/light.js';

type Field = readonly [type: string, id: number, rule?: 'repeated' | { readonly map: string }];

/** A message as JSON descriptor, by type and number of each field. */
export function message(
  fields: Readonly<Record<string, Field>>,
  oneofs?: Readonly<Record<string, { readonly oneof: string[] }>>,
) {
  const entries = Object.entries(fields).map(([name, [type, id, rule]]) => [
    name,
    { type, id, ...(rule === 'repeated' ? { rule } : rule === undefined ? {} : { keyType: rule.map }) },
  ]);
  return { fields: Object.fromEntries(entries), ...(oneofs === undefined ? {} : { oneofs }) };
}

/** Writes and reads the messages of one type. */
export interface MessageType<M extends object> {
  /** Fields are taken as they are. */
  encode(message: Partial<M>): Uint8Array;
  /** What is absent on the wire reads as empty: 0, '', null for a message. @throws Error where the bytes are no such message */
  decode(bytes: Uint8Array): M;
}

/**
 * Types by their full names, out of descriptors in code and not in a file, because the compiler copies no `.proto` file beside its
 * output. protobufjs compiles a function for each at its first use. Fields that are not named are skipped on the wire.
 *
 * @param api descriptors, as protobufjs reads them
 */
export function messageTypes(api: object): <M extends object>(name: string) => MessageType<M> {
  const root = protobuf.Root.fromJSON(api);
  return <M extends object>(name: string) => {
    const type = root.lookupType(name);
    return {
      encode: (given: Partial<M>) => type.encode(given).finish(),
      decode: (bytes: Uint8Array) => type.decode(bytes) as unknown as M,
    };
  };
}
