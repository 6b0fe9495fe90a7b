/** What a service process tells the process that started it, over the IPC channel, once it listens. */
export interface ReadyMessage {
  readonly type: 'postern:ready';
  readonly port: number;
  readonly internalPort: number;
}

export function isReadyMessage(message: unknown): message is ReadyMessage {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'postern:ready';
}
