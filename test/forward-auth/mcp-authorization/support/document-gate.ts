import { type BrokerGate, openBrokerGate } from './broker-gate.ts';
import { type DocumentHost, startDocumentHost } from './document-host.ts';
import { type CallbackPage, openCallbackPage } from './mcp-client.ts';

export interface DocumentGate {
  readonly gate: BrokerGate;
  /** Where clients come back to. */
  readonly callback: CallbackPage;
  /** Where clients describe themselves. */
  readonly host: DocumentHost;
  stop(): Promise<void>;
}

/** A broker for clients that register and for clients that are known by their document, as many as a test likes. */
export async function openDocumentGate(): Promise<DocumentGate> {
  const host = await startDocumentHost();
  const callback = await openCallbackPage();
  const gate = await openBrokerGate({
    broker: {
      registration: { maxPerAddress: 200 },
      metadataDocuments: { privateHosts: [host.host], caPath: host.caPath, maxPerAddress: 500 },
    },
  });
  return {
    ...{ gate, callback, host },
    stop: async () => {
      await gate.stop();
      await callback.stop();
      await host.stop();
    },
  };
}
