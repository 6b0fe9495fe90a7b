#!/usr/bin/env node
const words = process.argv.slice(2);
const { main } = await import(words[0] === 'health' ? '../dist/cli/health-main.js' : '../dist/cli/main.js');

process.exitCode = await main(words);
