/** What to try, printed once everything is up. Each command works as printed; a test runs them. */
export function instructions(urls: { publicUrl: string; issuer: string }): string {
  const server = `${urls.publicUrl}/servers/example/mcp`;
  const initialize = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'curl', version: '1' } },
  });
  const post = [
    `-H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream'`,
    `-d '${initialize}'`,
  ];
  return `
1. Without a token: 401, and WWW-Authenticate says where to sign in

curl -i ${server} \\
  ${post.join(' \\\n  ')}

2. With one: get it for alice, and the example server answers

TOKEN=$(curl -s ${urls.issuer}/token -d grant_type=password -d client_id=demo -d username=alice -d password=alice -d 'scope=openid mcp:use' -d resource=${server} | node -p 'JSON.parse(require("fs").readFileSync(0)).access_token')
curl -i ${server} -H "Authorization: Bearer $TOKEN" \\
  ${post.join(' \\\n  ')}

3. With your MCP client, signing in as alice, bob or carol (the password is the name; carol is refused)

npx @modelcontextprotocol/inspector --transport http --server-url ${server}
claude mcp add --transport http postern ${server}
code --add-mcp '{"name":"postern","type":"http","url":"${server}"}'

4. Both example servers as one, their tools under example__… and clock__…

claude mcp add --transport http postern-all ${urls.publicUrl}/mcp

5. In your browser: sign in, see your sessions, sign out

${urls.publicUrl}/_postern/sessions

Ctrl-C ends everything. Accounts, client registrations and keys are forgotten then.
`;
}
