// File names: any text is a name and the id of a document, and is never used otherwise.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { objectName } from '../../src/runtime/names.ts';
import type { Producer } from '../../src/producer/producer.ts';
import { eventually } from '../support/eventually.ts';
import { ended, openScene, type Scene } from './fixture.ts';

let scene: Scene;
let producer: Producer;

beforeAll(async () => {
  scene = await openScene();
  await scene.tenant('acme');
  producer = await scene.producer();
  await scene.work();
});

afterAll(() => scene[Symbol.asyncDispose]());

const upload = (filename: string) =>
  producer.enqueueUpload({ tenant: 'acme', corpus: 'files', filename, body: Buffer.from('Some text.') });

test.for([
  ['climbs', '../../../etc/passwd'],
  ['is absolute', '/etc/passwd'],
  ['holds NUL', 'report\0.txt'],
  ['runs from right to left', 'report\u202Ftxt.\u202Efdp'],
  ['holds what a shell obeys', '$(reboot); `reboot` | rm -rf ~ # .txt'],
  ['is as long as may be', 'n'.repeat(1024)],
] as const)('a name that %s is stored unchanged, and is not used as a path', async ([, name]) => {
  const { jobId } = await upload(name);
  expect(await ended(producer, jobId)).toMatchObject({ state: 'done' });
  const reader = await scene.reader();
  const head = await reader.metadata({ tenant: 'acme', corpus: 'files', id: name });
  expect(head).toMatchObject({ id: name, type: 'file', source: { filename: name, contentType: 'text/plain' } });
  expect(await scene.keysOf('documents/acme/files/')).toContain(`documents/acme/files/${objectName(name)}`);
});

test.for([
  ['4,000 characters', 'n'.repeat(4000)],
  ['none', ''],
  ['half a character', 'report\uD800.txt'],
] as const)('a name with %s is rejected, and nothing is queued', async ([, name]) => {
  await expect(upload(name)).rejects.toMatchObject({ code: 'DOCUMENT_INVALID', field: 'filename' });
  // Content of earlier jobs is deleted a moment after they are done.
  await eventually(async () => (await scene.keysOf('intake/')).length === 0);
  expect(await scene.operator.status()).toMatchObject({ upload: { waiting: 0, active: 0, delayed: 0, dead: 0 } });
});
