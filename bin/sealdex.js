#!/usr/bin/env node
// Checks the Node version, then starts the command line: from src in a checkout, from dist when installed.
import { existsSync } from 'node:fs';
import module from 'node:module';
import { fileURLToPath } from 'node:url';

const source = new URL('../src/cli/cli.ts', import.meta.url);
const isCheckout = existsSync(source);
// Node runs the sources of a checkout as they are; dist is compiled for an older Node.
const [minMajor, minMinor] = isCheckout ? [24, 0] : [22, 15];
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < minMajor || (major === minMajor && minor < minMinor)) {
  console.error(`sealdex needs Node ${minMajor}.${minMinor} or later; this is ${process.version}.`);
  process.exit(78);
}

// Small, short-lived objects are all that a worker makes: a small young generation and few malloc arenas keep its
// memory a quarter smaller and flat (bench/memory.ts). Both can only be set before a process starts, so it starts again
// in its own place, once: same id, same signals.
const [, , command, ...rest] = process.argv;
if (command === 'worker' && process.platform === 'linux' && !process.channel && !process.env.MALLOC_ARENA_MAX) {
  const self = fileURLToPath(import.meta.url);
  const flags = ['--max-semi-space-size=2', ...process.execArgv];
  process.execve(process.execPath, [process.execPath, ...flags, self, command, ...rest], {
    ...process.env,
    MALLOC_ARENA_MAX: '2',
  });
}

// Half of a command's time is compiling what did not change. Never in a folder that others can write to.
if (isCheckout) module.enableCompileCache(fileURLToPath(new URL('../.sealdex/compiled', import.meta.url)));
const { main } = await import(isCheckout ? source.href : new URL('../dist/cli/cli.js', import.meta.url).href);
await main(process.argv);
