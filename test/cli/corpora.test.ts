// `sealdex corpora list`: the corpora of one tenant, also beyond one page.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createStore } from '../../src/store/s3/s3-store.ts';
import { loadConfig } from '../../src/runtime/config.ts';
import { openScene, type Scene } from './fixture.ts';
import { jsonOf, linesOf } from './output.ts';

const MANY = 1100;

let scene: Scene;

beforeAll(async () => {
  scene = await openScene();
  const store = createStore(loadConfig(scene.settings, {}), 'patient');
  const put = (key: string) => store.put(key, Buffer.from('message'), {});
  const object = 'a'.repeat(64);
  for (const corpus of ['docs', 'files']) await put(`documents/acme/${corpus}/${object}`);
  await put(`documents/acme/docs/${'b'.repeat(64)}`);
  await put(`documents/acme/not a corpus/${object}`);
  await put(`originals/acme/other/${object}`);
  for (let at = 0; at < MANY; at += 100)
    await Promise.all(Array.from({ length: 100 }, (_, n) => put(`documents/globex/c${1000 + at + n}/${object}`)));
  store.close();
});

afterAll(() => scene[Symbol.asyncDispose]());

const list = (...args: string[]) => scene.sealdex(['corpora', 'list', ...args]);

test('each corpus of the tenant has a line', async () => {
  expect(await list('--tenant', 'acme')).toMatchObject({ code: 0, stdout: 'docs\nfiles\n', stderr: '' });
  expect(jsonOf((await list('--tenant', 'acme', '--json')).stdout)).toEqual([
    { tenant: 'acme', corpus: 'docs' },
    { tenant: 'acme', corpus: 'files' },
  ]);
});

test('all pages of a tenant with many corpora are listed, without reading an object', async () => {
  const { s3 } = scene.services;
  s3.requests.reset();
  const lines = linesOf((await list('--tenant', 'globex')).stdout);
  expect(lines).toEqual(Array.from({ length: MANY }, (_, n) => `c${1000 + n}`));
  expect(s3.requests.count({ kind: 'list' })).toBe(2);
  expect(s3.requests.count({ kind: 'object', prefix: 'documents/' })).toBe(0);
});

test('a tenant without corpora has an empty list, and an unknown tenant is an error', async () => {
  await scene.operator.putTenant('empty', { plan: 'free' });
  expect(await list('--tenant', 'empty')).toMatchObject({
    code: 0,
    stdout: '',
    stderr: 'Tenant empty has no corpora.\n',
  });
  expect((await list('--tenant', 'nope')).stderr).toContain('(TENANT_UNKNOWN)');
});
