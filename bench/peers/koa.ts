import Koa from 'koa';

const app = new Koa();
app.use((context) => {
  context.status = 200;
  context.set({
    'X-Authenticated-User': 'alice',
    'X-Authenticated-Email': 'alice@example.com',
    'X-Authenticated-Name': 'Alice',
    'X-Authenticated-Groups': 'engineering',
    'X-Authenticated-Scopes': 'mcp:use',
  });
  context.body = '';
});
app.listen(Number(process.env.PORT), '127.0.0.1');
