// docs/decrypt.md: its program, unchanged, opens stored documents with the official client and without sealdex.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { objectAt, openScene, type Scene } from '../producer/fixture.ts';
import { keyOf, storeDocuments } from './fixture.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PAGE = readFileSync(join(ROOT, 'docs/decrypt.md'), 'utf8');
const DOCUMENT = {
  type: 'core',
  id: 'my-document',
  metadata: { lang: 'de' },
  document_parts: [{ text: 'Grüße aus dem Süden.' }, { text: 'x'.repeat(1000) }],
};
const PLACE = { tenant: 'acme', corpus: 'docs', id: DOCUMENT.id };

let scene: Scene;
let folder: string;
let arns: string[];
let object: Buffer;

beforeAll(async () => {
  scene = await openScene();
  arns = [await scene.tenant('acme'), await scene.tenant('other')];
  await storeDocuments(scene, PLACE, [DOCUMENT]);
  object = (await objectAt(scene.store, keyOf(PLACE))).bytes;
  folder = mkdtempSync(join(tmpdir(), 'sealdex-decrypt-'));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  const [, program = ''] = /^```ts\n(.*?)^```$/ms.exec(PAGE) ?? [];
  writeFileSync(join(folder, 'decrypt.ts'), program);
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await scene[Symbol.asyncDispose]();
});

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly errors: string;
}

/** Runs a Node program in the folder, with the given environment of a user. */
function run(args: readonly string[], input: Uint8Array = Buffer.alloc(0)): Promise<Ended> {
  const env = {
    PATH: process.env['PATH'],
    AWS_REGION: scene.config.region,
    AWS_ENDPOINT_URL_KMS: scene.services.kms.endpoint,
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
  };
  return new Promise((resolve) => {
    const child = execFile(process.execPath, args, { cwd: folder, env, timeout: 600_000 }, (error, out, errors) =>
      resolve({ code: error ? 1 : 0, out, errors }),
    );
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
  });
}

const decrypt = (...args: string[]): Promise<Ended> => run(['decrypt.ts', ...args], object);

it('the program on the page opens a stored document with the KMS key of its tenant, and prints the whole record', async () => {
  const { code, out, errors } = await decrypt(arns[0]!, 'acme');
  expect({ code, errors }).toEqual({ code: 0, errors: '' });
  const lines = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
  const reader = await scene.reader();
  expect(lines).toEqual([
    await reader.metadata(PLACE),
    ...DOCUMENT.document_parts.map(({ text }) => ({ text, metadata: {} })),
  ]);
  expect(
    scene.services.kms.counts.count({ operation: 'Decrypt', key: arns[0]!, tenant: 'acme', result: 'ok' }),
  ).toBeGreaterThan(0);
});

it('the program opens nothing with the key of another tenant, or in the name of another tenant', async () => {
  for (const [arn, tenant] of [
    [arns[1]!, 'acme'],
    [arns[0]!, 'other'],
  ] as const) {
    const { code, out } = await decrypt(arn, tenant);
    expect({ code, out }).toEqual({ code: 1, out: '' });
  }
});

it('the program has no type errors', async () => {
  const options =
    '--noEmit --strict --noUncheckedIndexedAccess --module nodenext --target esnext --types node --skipLibCheck';
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  expect(await run([tsc, '--ignoreConfig', ...options.split(' '), 'decrypt.ts'])).toEqual({
    code: 0,
    out: '',
    errors: '',
  });
});

it('the page gives the real name of the object', () => {
  expect(PAGE).toContain(`'${PLACE.id}' | sha256sum`);
  expect(keyOf(PLACE)).toBe(`documents/acme/docs/${createHash('sha256').update(PLACE.id).digest('hex')}`);
});
