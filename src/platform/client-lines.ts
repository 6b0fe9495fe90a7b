/** How to add an MCP server to one client. */
export interface ClientLine {
  readonly client: string;
  /** A command, or what belongs into `file`. */
  readonly line: string;
  readonly file?: string;
}

/**
 * The lines by which MCP clients learn of a server, as their documentation has them (docs/mcp-clients.md).
 *
 * @param name by which the client is to call it
 * @param address of the server
 */
export function clientLines(name: string, address: string): readonly ClientLine[] {
  return [
    { client: 'Claude Code', line: `claude mcp add --transport http ${name} ${address}` },
    { client: 'VS Code', line: `code --add-mcp '${JSON.stringify({ name, type: 'http', url: address })}'` },
    {
      client: 'Cursor',
      line: JSON.stringify({ mcpServers: { [name]: { url: address } } }),
      file: '~/.cursor/mcp.json',
    },
    { client: 'mcp-remote', line: `npx mcp-remote ${address}` },
    { client: 'MCP Inspector', line: `npx @modelcontextprotocol/inspector --transport http --server-url ${address}` },
  ];
}
