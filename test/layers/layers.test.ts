// Holds the table of arrows against the real imports, and proves first that a planted fault of each kind is reported.
import { globSync, readFileSync } from 'node:fs';
import { sep } from 'node:path';
import { describe, expect, test } from 'vitest';
import { faultsOf, forbiddenNames, type Packages } from './house.ts';
import { ARROWS, GROUND, rowsOf } from './table.ts';

const ROOT = new URL('../../', import.meta.url);

const textOf = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');

function packages(): Packages {
  const { dependencies, devDependencies } = JSON.parse(textOf('package.json')) as {
    dependencies: Record<string, string>;
    devDependencies: Record<string, string>;
  };
  return { dependencies: Object.keys(dependencies), devDependencies: Object.keys(devDependencies) };
}

const filesBelow = (folder: string): string[] =>
  globSync(`${folder}/**/*.{ts,js}`, { cwd: ROOT.pathname }).map((path) => path.split(sep).join('/'));

test('the house keeps its own table of arrows', () => {
  const files = new Map(filesBelow('src').map((path) => [path.slice('src/'.length), textOf(path)]));
  expect(files.size).toBeGreaterThan(3);
  expect(faultsOf(files, packages())).toEqual([]);
});

test('no file or folder has a name that says nothing', () => {
  const paths = ['src', 'test', 'bench', 'bin'].flatMap(filesBelow);
  expect(paths.filter((path) => forbiddenNames(path).length > 0)).toEqual([]);
});

test('the table reads as it is printed', () => {
  const row = (room: string) =>
    rowsOf('a, b -> c/d, e (types), f (dynamic import)     g -> all but a, c\n c -> h, types of a, b').get(room);
  const arrows = [{ to: 'c/d' }, { to: 'e', only: 'type' }, { to: 'f', only: 'dynamic' }];
  expect(row('a')).toEqual({ arrows });
  expect(row('b')).toEqual({ arrows });
  expect(row('g')).toEqual({ arrows: [{ to: 'b' }, { to: 'ground' }] });
  expect(row('c')).toEqual({ arrows: [{ to: 'h' }, { to: 'a', only: 'type' }, { to: 'b', only: 'type' }] });
});

test('every arrow ends at a room of the table', () => {
  const rooms = new Set([...ARROWS.keys(), ...GROUND, 'ground']);
  const ends = [...ARROWS.values()].flatMap(({ arrows }) => arrows.map(({ to }) => to.split('/')[0]));
  expect(ends.filter((end) => end === undefined || !rooms.has(end))).toEqual([]);
});

/** A house that keeps every rule; each test below plants one fault in it. */
const SOUND: Record<string, string> = {
  'index.ts': "export { createProducer } from './app.ts';\nexport type { Producer } from './producer.ts';",
  'cli.ts': "import { run } from './cli/run.ts';\nexport const main = run;",
  'cli/run.ts': "export const run = async () => (await import('../dev/embedded.ts')).start();",
  'dev/embedded.ts': "import { buildApp } from 'fauxqs';\nexport const start = () => buildApp;",
  'app.ts': "import { open } from './queue/open.ts';\nexport const createProducer = () => open();",
  'producer.ts': "import { isShut } from './parking/gate.ts';\nexport type Producer = typeof isShut;",
  'queue/open.ts':
    "import { Queue } from 'bullmq';\nimport type { Outcome } from '../work/outcome.ts';\nexport const open = (outcome?: Outcome) => [Queue, outcome];",
  'work/outcome.ts': 'export interface Outcome { kind: string }',
  'parking/gate.ts': "import { SealdexError } from '../errors.ts';\nexport const isShut = () => SealdexError;",
  'parking/probe.ts': 'export const tick = () => 1;',
  'keys/kms.ts': "import { KMSClient } from '@aws-sdk/client-kms';\nexport const kms = () => KMSClient;",
  'store/s3.ts':
    "import { S3Client } from '@aws-sdk/client-s3';\nimport '@smithy/undici-http-handler';\nexport const s3 = () => S3Client;",
  'envelope/suite.ts': "import { createCipheriv } from 'node:crypto';\nexport const seal = createCipheriv;",
  'documents/shapes.ts': 'export interface Shape { v: 1 }',
  'extract/read.ts':
    "import type { Shape } from '../documents/shapes.ts';\nexport const read = (): Shape => ({ v: 1 });",
  'errors.ts': 'export class SealdexError {}',
  'config.ts': "import { SealdexError } from './errors.ts';\nexport const load = () => SealdexError;",
};

const PACKAGES: Packages = {
  dependencies: ['bullmq', '@aws-sdk/client-kms', '@aws-sdk/client-s3', '@smithy/undici-http-handler', 'zod'],
  devDependencies: ['fauxqs'],
};

const faultsWith = (planted: Record<string, string>): string[] =>
  faultsOf(new Map(Object.entries({ ...SOUND, ...planted })), PACKAGES);

test('a house that keeps every rule has no fault', () => {
  expect(faultsWith({})).toEqual([]);
});

describe('a planted fault is reported', () => {
  test.each<[path: string, source: string, fault: string]>([
    ['work/handle.ts', "import { open } from '../queue/open.ts';\nopen();", ':1: work may not import queue/open.ts'],
    [
      'keys/ring.ts',
      "import type { Shape } from '../documents/shapes.ts';\nlet a: Shape;",
      ':1: keys may not import documents/shapes.ts',
    ],
    ['keys/ring.ts', "\nexport { s3 } from '../store/s3.ts';\nlet a;", ':2: keys may not import store/s3.ts'],
    ['keys/ring.ts', "await import('../store/s3.ts');", ':1: keys may not import store/s3.ts'],
    ['config.ts', "import { kms } from './keys/kms.ts';\nkms();", ':1: ground may not import keys/kms.ts'],
    ['reader.ts', "import { tick } from './parking/probe.ts';\ntick();", ':1: reader may not import parking/probe.ts'],
    [
      'queue/settle.ts',
      "import { Outcome } from '../work/outcome.ts';\nlet a;",
      ':1: queue may import work/outcome.ts only as types',
    ],
    [
      'cli/demo.ts',
      "import { start } from '../dev/embedded.ts';\nstart();",
      ':1: cli may import dev/embedded.ts only by dynamic import',
    ],
    [
      'cli/demo.ts',
      "import type { start } from '../dev/embedded.ts';\nlet a;",
      ':1: cli may import dev/embedded.ts only by dynamic import',
    ],
    [
      'app.ts',
      "await import('./dev/embedded.ts');\nexport const createProducer = 1;",
      ':1: app may not import dev/embedded.ts',
    ],
    ['reader.ts', "import { Job } from 'bullmq';\nJob;", ':1: only queue may import bullmq'],
    [
      'dev/kms.ts',
      "import type { KMSClient } from '@aws-sdk/client-kms';\nlet a;",
      ':1: only keys/kms may import @aws-sdk/client-kms',
    ],
    [
      'keys/ring.ts',
      "import { KMSClient } from '@aws-sdk/client-kms';\nlet a;",
      ':1: only keys/kms may import @aws-sdk/client-kms',
    ],
    ['envelope/body.ts', "import { Readable } from 'node:stream';\nlet a;", ':1: envelope may not import node:stream'],
    ['envelope/body.ts', "import { z } from 'zod';\nlet a;", ':1: envelope may not import zod'],
    ['jobs.ts', "import { z } from 'zodd';\nlet a;", ':1: imports zodd, which package.json does not name'],
    ['jobs.ts', "import { buildApp } from 'fauxqs';\nlet a;", ':1: imports fauxqs, a dev dependency'],
    ['jobs.ts', "import { readFile } from 'fs/promises';\nlet a;", ':1: writes fs/promises without node:'],
    ['jobs.ts', 'await import(name);', ':1: imports what no reader can know: import() takes a literal'],
    ['jobs.ts', "const zod = require('zod');", ':1: uses require'],
    ['jobs.ts', "import { a } from './errors.js';\nlet b;", ':1: imports ./errors.js, which is no file of src'],
    ['jobs.ts', "import { a } from '../test/jobs.ts';\nlet b;", ':1: imports ../test/jobs.ts, which is no file of src'],
    ['queues/open.ts', 'let a;', ': belongs to no room of the table'],
    ['store/helpers.ts', 'let a;', ': nothing is named helpers'],
    ['store/lib/put.ts', 'let a;', ': nothing is named lib'],
    ['jobs.ts', 'export default 1;', ': has a default export'],
    ['store/all.ts', "export * from './s3.ts';", ': only re-exports: a barrel'],
    ['index.ts', "import './app.ts';\nexport const a = 1;", ': holds more than an export list'],
    ['jobs.ts', 'let a;\n'.repeat(301), ': has 301 lines, more than 300'],
    ['jobs.ts', "import './jobs.ts';\nlet a;", ': imports itself: jobs.ts -> jobs.ts'],
    ['config.ts', "import { now } from './clock.ts';\nlet a;", ':1: imports ./clock.ts, which is no file of src'],
  ])('in %s: %s', (path, source, fault) => {
    expect(faultsWith({ [path]: source })).toEqual([`${path}${fault}`]);
  });
});

test('a cycle among files of one room is reported, even one of types', () => {
  const planted = {
    'queue/a.ts': "import type { B } from './b.ts';\nexport type A = B;",
    'queue/b.ts': "import { c } from './c.ts';\nexport type B = typeof c;",
    'queue/c.ts': "import type { A } from './a.ts';\nexport const c: A = 1;",
  };
  expect(faultsWith(planted)).toEqual([
    'queue/a.ts: imports itself: queue/a.ts -> queue/b.ts -> queue/c.ts -> queue/a.ts',
  ]);
});
