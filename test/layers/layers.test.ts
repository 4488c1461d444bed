// Compares the table of imports in ARCHITECTURE.md with the real imports, and proves that each kind of planted violation is
// reported.
import { globSync, readFileSync } from 'node:fs';
import { sep } from 'node:path';
import { describe, expect, test } from 'vitest';
import { forbiddenNames } from './file-rules.ts';
import { faultsOf, moduleOf, type Packages } from './rules.ts';
import { ARROWS, rowsOf } from './table.ts';

const ROOT = new URL('../../', import.meta.url);

const textOf = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');

function packages(): Packages {
  const { dependencies, devDependencies, peerDependenciesMeta } = JSON.parse(textOf('package.json')) as {
    dependencies: Record<string, string>;
    devDependencies: Record<string, string>;
    peerDependenciesMeta: Record<string, { optional?: boolean }>;
  };
  return {
    dependencies: Object.keys(dependencies),
    devDependencies: Object.keys(devDependencies),
    optionalPeers: Object.keys(peerDependenciesMeta).filter((name) => peerDependenciesMeta[name]?.optional === true),
  };
}

const filesBelow = (folder: string): string[] =>
  globSync(`${folder}/**/*.{ts,js}`, { cwd: ROOT.pathname }).map((path) => path.split(sep).join('/'));

test('the imports of src follow the table of ARCHITECTURE.md', () => {
  const files = new Map(filesBelow('src').map((path) => [path.slice('src/'.length), textOf(path)]));
  expect(files.size).toBeGreaterThan(3);
  expect(faultsOf(files, packages())).toEqual([]);
});

test('every file and folder has a specific name', () => {
  const paths = ['src', 'test', 'bench', 'bin'].flatMap(filesBelow);
  expect(paths.filter((path) => forbiddenNames(path).length > 0)).toEqual([]);
});

test('the table is parsed from its printed form', () => {
  const rows = rowsOf('a   -> c (d, e), f (types)\nb -> g (dynamic), @x/y, node:crypto\nc ->\n');
  expect(rows.get('a')).toEqual({ arrows: [{ to: 'c/d' }, { to: 'c/e' }, { to: 'f', only: 'type' }] });
  expect(rows.get('b')).toEqual({ arrows: [{ to: 'g', only: 'dynamic' }, { to: '@x/y' }], builtins: ['node:crypto'] });
  expect(rows.get('c')).toEqual({ arrows: [] });
});

/** The module of an arrow's target: the name of a module, or of one file in it. */
const endOf = (to: string): string | undefined => (ARROWS.has(to) ? to : moduleOf(`${to}.ts`));

test('every arrow ends at a module of the table or a package of this repository', () => {
  const ends = [...ARROWS.values()].flatMap(({ arrows }) => arrows.map(({ to }) => to));
  expect(ends.filter((end) => !end.startsWith('@sealdex/') && endOf(end) === undefined)).toEqual([]);
});

test('the table has no cycle, so imports point down only', () => {
  const below = (module: string, trail: readonly string[]): string[] =>
    trail.includes(module)
      ? [[...trail, module].join(' -> ')]
      : (ARROWS.get(module)?.arrows ?? []).flatMap(({ to }) => below(endOf(to) ?? '', [...trail, module]));
  expect([...ARROWS.keys()].flatMap((module) => below(module, []))).toEqual([]);
});

/** A tree that follows every rule; each test below adds one violation. */
const SOUND: Record<string, string> = {
  'index.ts': "export { createProducer } from './app/app.ts';\nexport type { Producer } from './producer/producer.ts';",
  'cli/run.ts':
    "import type { LocalAws } from '@sealdex/local-aws';\nexport const run = async (aws?: LocalAws) => [(await import('../demo/demo.ts')).start(), aws];",
  'demo/demo.ts':
    "import type { Producer } from '../index.ts';\nexport const start = async (p?: Producer) => [p, await import('@aws-crypto/client-node')];",
  'app/app.ts':
    "import { open } from '../queue/open.ts';\nimport { s3 } from '../store/s3/s3-store.ts';\nexport const createProducer = () => open(s3());",
  'producer/producer.ts': "import { isShut } from '../parking/gate.ts';\nexport type Producer = typeof isShut;",
  'queue/open.ts':
    "import { Queue } from 'bullmq';\nimport type { Outcome } from '../jobs/outcome.ts';\nexport const open = (outcome?: Outcome) => [Queue, outcome];",
  'jobs/outcome.ts': 'export interface Outcome { kind: string }',
  'parking/gate.ts': "import { SealdexError } from '../runtime/errors.ts';\nexport const isShut = () => SealdexError;",
  'parking/probe.ts': 'export const tick = () => 1;',
  'keys/kms.ts': 'export interface Kms { close(): void }',
  'keys/aws/kms-client.ts':
    "import { KMSClient } from '@aws-sdk/client-kms';\nimport type { Kms } from '../kms.ts';\nexport const kms = (): Kms => KMSClient;",
  'store/store.ts': 'export interface Store { close(): void }',
  'store/s3/s3-store.ts':
    "import { S3Client } from '@aws-sdk/client-s3';\nimport '@smithy/undici-http-handler';\nexport const s3 = () => S3Client;\nexport const id = (a) => a.$metadata.requestId;",
  'envelope/suite.ts': "import { createCipheriv } from 'node:crypto';\nexport const seal = createCipheriv;",
  'documents/shapes.ts': 'export interface Shape { v: 1 }',
  'reencryption/pass.ts': 'export const pass = 1;',
  'extract/read.ts':
    "import type { Shape } from '../documents/shapes.ts';\nexport const read = (): Shape => ({ v: 1 });",
  'runtime/errors.ts': 'export class SealdexError {}',
  'runtime/config.ts': "import { SealdexError } from './errors.ts';\nexport const load = () => SealdexError;",
};

const PACKAGES: Packages = {
  dependencies: ['bullmq', '@aws-sdk/client-kms', '@aws-sdk/client-s3', '@smithy/undici-http-handler', 'zod'],
  devDependencies: ['fauxqs'],
  optionalPeers: ['@aws-crypto/client-node'],
};

const faultsWith = (planted: Record<string, string>): string[] =>
  faultsOf(new Map(Object.entries({ ...SOUND, ...planted })), PACKAGES);

test('a tree that follows every rule has no violation', () => {
  expect(faultsWith({})).toEqual([]);
});

describe('a planted violation is reported', () => {
  test.each<[path: string, source: string, fault: string]>([
    [
      'handlers/handle.ts',
      "import { open } from '../queue/open.ts';\nopen();",
      ':1: handlers may not import queue/open.ts',
    ],
    [
      'keys/ring.ts',
      "import type { Shape } from '../documents/shapes.ts';\nlet a: Shape;",
      ':1: keys may not import documents/shapes.ts',
    ],
    [
      'keys/ring.ts',
      "\nexport { s3 } from '../store/s3/s3-store.ts';\nlet a;",
      ':2: keys may not import store/s3/s3-store.ts',
    ],
    ['keys/ring.ts', "await import('../store/s3/s3-store.ts');", ':1: keys may not import store/s3/s3-store.ts'],
    [
      'keys/ring.ts',
      "import { kms } from './aws/kms-client.ts';\nkms();",
      ':1: keys may not import keys/aws/kms-client.ts',
    ],
    [
      'store/documents.ts',
      "import type { s3 } from './s3/s3-store.ts';\nlet a: typeof s3;",
      ':1: store may not import store/s3/s3-store.ts',
    ],
    [
      'handlers/canary.ts',
      "import { s3 } from '../store/s3/s3-store.ts';\ns3();",
      ':1: handlers may not import store/s3/s3-store.ts',
    ],
    [
      'doctor/key.ts',
      "import type { kms } from '../keys/aws/kms-client.ts';\nlet a: typeof kms;",
      ':1: doctor may not import keys/aws/kms-client.ts',
    ],
    [
      'store/s3/versions.ts',
      "import type { Kms } from '../../keys/kms.ts';\nlet a: Kms;",
      ':1: store/s3 may not import keys/kms.ts',
    ],
    [
      'runtime/config.ts',
      "import { kms } from '../keys/aws/kms-client.ts';\nkms();",
      ':1: runtime may not import keys/aws/kms-client.ts',
    ],
    [
      'reader/reader.ts',
      "import { tick } from '../parking/probe.ts';\ntick();",
      ':1: reader may not import parking/probe.ts',
    ],
    [
      'reencryption/pass.ts',
      "import { tick } from '../parking/probe.ts';\ntick();",
      ':1: reencryption may not import parking/probe.ts',
    ],
    [
      'handlers/page.ts',
      "import { pass } from '../reencryption/pass.ts';\nlet a;",
      ':1: handlers may import reencryption/pass.ts only as types',
    ],
    [
      'cli/demo.ts',
      "import { start } from '../demo/demo.ts';\nstart();",
      ':1: cli may import demo/demo.ts only by dynamic import',
    ],
    ['reader/reader.ts', "await import('../demo/demo.ts');", ':1: reader may not import demo/demo.ts'],
    ['demo/step.ts', "import { open } from '../app/app.ts';\nopen();", ':1: demo may not import app/app.ts'],
    [
      'demo/step.ts',
      "import { KMS } from '@aws-crypto/client-node';\nKMS;",
      ':1: imports @aws-crypto/client-node, an optional peer, other than dynamically',
    ],
    ['cli/demo.ts', "await import('@aws-crypto/client-node');", ':1: only demo may import @aws-crypto/client-node'],
    ['demo/step.ts', "import { buildApp } from 'fauxqs';\nbuildApp;", ':1: imports fauxqs, a dev dependency'],
    ['reader/reader.ts', "import { Job } from 'bullmq';\nJob;", ':1: only queue may import bullmq'],
    [
      'demo/kms.ts',
      "import type { KMSClient } from '@aws-sdk/client-kms';\nlet a;",
      ':1: only keys/aws may import @aws-sdk/client-kms',
    ],
    [
      'keys/ring.ts',
      "import { KMSClient } from '@aws-sdk/client-kms';\nlet a;",
      ':1: only keys/aws may import @aws-sdk/client-kms',
    ],
    [
      'cli/demo.ts',
      "import { startS3 } from '@sealdex/local-aws';\nstartS3();",
      ':1: cli may import @sealdex/local-aws only by dynamic import',
    ],
    [
      'app/app.ts',
      "import type { LocalAws } from '@sealdex/local-aws';\nexport let a: LocalAws;",
      ':1: app may not import @sealdex/local-aws',
    ],
    ['envelope/body.ts', "import { Readable } from 'node:stream';\nlet a;", ':1: envelope may not import node:stream'],
    ['envelope/body.ts', "import { z } from 'zod';\nlet a;", ':1: envelope may not import zod'],
    ['jobs/jobs.ts', "import { z } from 'zodd';\nlet a;", ':1: imports zodd, which package.json does not name'],
    ['jobs/jobs.ts', "import { buildApp } from 'fauxqs';\nlet a;", ':1: imports fauxqs, a dev dependency'],
    ['jobs/jobs.ts', "import { readFile } from 'fs/promises';\nlet a;", ':1: writes fs/promises without node:'],
    ['jobs/jobs.ts', 'await import(name);', ':1: imports what no reader can know: import() takes a literal'],
    ['jobs/jobs.ts', "const zod = require('zod');", ':1: uses require'],
    ['jobs/jobs.ts', "import { a } from './errors.js';\nlet b;", ':1: imports ./errors.js, which is no file of src'],
    [
      'jobs/jobs.ts',
      "import { a } from '../../test/jobs.ts';\nlet b;",
      ':1: imports ../../test/jobs.ts, which is no file of src',
    ],
    [
      'runtime/log.ts',
      'export const id = (a) => a.$metadata.requestId;',
      ': only keys/aws and store/s3 may read $metadata',
    ],
    ['keys/ring.ts', "export const id = (a) => a['$metadata'];", ': only keys/aws and store/s3 may read $metadata'],
    ['clock.ts', 'let a;', ': belongs to no module of the table'],
    ['queues/open.ts', 'let a;', ': belongs to no module of the table'],
    ['store/helpers.ts', 'let a;', ': nothing is named helpers'],
    ['store/lib/put.ts', 'let a;', ': nothing is named lib'],
    ['jobs/jobs.ts', 'export default 1;', ': has a default export'],
    ['store/all.ts', "export * from './store.ts';", ': only re-exports: a barrel'],
    ['index.ts', "import './app/app.ts';\nexport const a = 1;", ': holds more than an export list'],
    ['jobs/jobs.ts', 'let a;\n'.repeat(301), ': has 301 lines, more than 300'],
    ['jobs/jobs.ts', "import './jobs.ts';\nlet a;", ': imports itself: jobs/jobs.ts -> jobs/jobs.ts'],
    [
      'runtime/config.ts',
      "import { now } from './clock.ts';\nlet a;",
      ':1: imports ./clock.ts, which is no file of src',
    ],
  ])('in %s: %s', (path, source, fault) => {
    expect(faultsWith({ [path]: source })).toEqual([`${path}${fault}`]);
  });
});

test('a cycle among files of one module is reported, even one of types', () => {
  const planted = {
    'queue/a.ts': "import type { B } from './b.ts';\nexport type A = B;",
    'queue/b.ts': "import { c } from './c.ts';\nexport type B = typeof c;",
    'queue/c.ts': "import type { A } from './a.ts';\nexport const c: A = 1;",
  };
  expect(faultsWith(planted)).toEqual([
    'queue/a.ts: imports itself: queue/a.ts -> queue/b.ts -> queue/c.ts -> queue/a.ts',
  ]);
});
