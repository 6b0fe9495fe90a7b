/** What a service process tells the process that started it, over the IPC channel, once it listens. */
export interface ReadyMessage {
  readonly type: 'postern:ready';
  readonly port: number;
  readonly internalPort: number;
}

export function isReadyMessage(message: unknown): message is ReadyMessage {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'postern:ready';
}

/** What the process that started a service tells it once its configuration file is gone: it was for the start alone. */
export interface FileGoneMessage {
  readonly type: 'postern:file-gone';
}

export function isFileGoneMessage(message: unknown): message is FileGoneMessage {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'postern:file-gone';
}
