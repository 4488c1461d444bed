// The page of persisted shapes against the code: versioned shapes, Redis keys and S3 names.
import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { queueKeys, redisKeys } from '../../src/runtime/redis.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PAGE = readFileSync(`${ROOT}docs/compatibility.md`, 'utf8');

const sectionOf = (heading: string): string =>
  PAGE.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? '';

/** The names in the first column, with all placeholders alike. */
const namesIn = (heading: string): string[] =>
  [...sectionOf(heading).matchAll(/^\| `([^`]+)` \|/gm)].map(([, name = '']) => name.replaceAll(/<[^>]+>/g, '<>'));

test('each file with a versioned shape is in the table of versioned shapes', () => {
  const files = globSync('src/**/*.ts', { cwd: ROOT }).filter((file) =>
    /\bv: z\./.test(readFileSync(`${ROOT}${file}`, 'utf8')),
  );
  expect(files.length).toBeGreaterThan(5);
  const section = sectionOf('Versioned shapes');
  expect(files.filter((file) => !section.includes(`\`${file}\``))).toEqual([]);
});

test('the table of Redis keys equals the keys in the code', () => {
  const keys = queueKeys(redisKeys('q'), 'index');
  const names = Object.entries(keys)
    // A lease is one key name, whatever it is for.
    .filter(([field]) => field !== 'fairLease')
    .map(([, key]) => (typeof key === 'string' ? key : key('<>', '<>', '<>', '<>')))
    .filter((name) => name.startsWith('sealdex:{q}:') || name.startsWith('<>'))
    .map((name) => name.replace('sealdex:{q}:', ''));
  expect(namesIn('Redis keys').toSorted()).toEqual(names.toSorted());
});

test('each S3 name in the code is in the table of S3 names', () => {
  const listed = namesIn('S3 names');
  const used = globSync('src/store/*.ts', { cwd: ROOT }).flatMap((file) =>
    [
      ...readFileSync(`${ROOT}${file}`, 'utf8')
        .replaceAll(/\$\{[^}]*\}/g, '<>')
        .matchAll(/[`'](\w+\/[^`'\n]*)[`']/g),
    ]
      .map(([, name = '']) => name)
      .filter((name) => /^(?:documents|originals|intake|tenants|system)\//.test(name)),
  );
  expect(used.length).toBeGreaterThan(8);
  expect(used.filter((name) => !listed.some((known) => known.startsWith(name)))).toEqual([]);
});
