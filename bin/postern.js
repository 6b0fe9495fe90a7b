#!/usr/bin/env node
const words = process.argv.slice(2);
// Until the process listens to it, SIGHUP would end it: the configuration is read after this moment anyway.
if (words[0] === 'auth' || words[0] === 'relay') process.on('SIGHUP', () => {});
const { main } = await import(words[0] === 'health' ? '../dist/cli/health-main.js' : '../dist/cli/main.js');

process.exitCode = await main(words);
