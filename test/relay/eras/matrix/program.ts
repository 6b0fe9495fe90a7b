import { StdioServerTransport } from '@modelcontextprotocol/server/stdio';
import { matrixServer, onChanges, WATCHED } from './server.ts';

const folder = process.argv[2] as string;
const server = matrixServer('legacy', folder);
await server.connect(new StdioServerTransport());
const watch = onChanges(folder, () => {
  server.sendToolListChanged();
  void server.server.sendResourceUpdated({ uri: WATCHED });
});
server.server.onclose = () => {
  clearInterval(watch);
  // What is under way may still see that it was taken back.
  setTimeout(() => process.exit(), 200);
};
