#!/usr/bin/env node
// Checks the Node version, then starts the command line: from src in a checkout, from dist when installed.
import { existsSync } from 'node:fs';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  console.error(`sealdex needs Node 22.18 or later; this is ${process.version}.`);
  process.exit(78);
}
const source = new URL('../src/cli.ts', import.meta.url);
const { main } = await import(existsSync(source) ? source.href : new URL('../dist/cli.js', import.meta.url).href);
await main(process.argv);
