import { clientLines } from '../client-lines.ts';
import { type Html, html } from './html.ts';

/** The lines by which MCP clients learn of a server. @param name by which the client is to call it */
export function clientLineList(name: string, address: string): Html {
  const lines = clientLines(name, address).map(
    ({ client, line, file }) =>
      html`<dt>${client}${file === undefined ? undefined : html` <code>${file}</code>`}</dt><dd><pre><code>${line}</code></pre></dd>`,
  );
  return html`<dl>${lines}</dl>`;
}
