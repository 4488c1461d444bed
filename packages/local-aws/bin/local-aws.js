#!/usr/bin/env node
// Starts the local services: from src in a checkout, from dist when installed.
import { existsSync } from 'node:fs';

const source = new URL('../src/bin.ts', import.meta.url);
const { main } = await import(existsSync(source) ? source.href : new URL('../dist/bin.js', import.meta.url).href);
await main(process.argv.slice(2));
