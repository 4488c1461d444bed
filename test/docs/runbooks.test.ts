// Runbooks: every command on them exists, and every alert leads to its page and back.
import { describe, expect, test } from 'vitest';
import { buildProgram } from '../../src/cli/cli.ts';
import { rulesOf } from './alert-rules.ts';
import { commandLinesOf, faultOf } from './command-lines.ts';
import { DOCS, fileOf, linksOf } from './pages.ts';

const RUNBOOKS = DOCS.filter((page) => page.startsWith('docs/runbooks/'));
const PARTS = ['What it means', 'Diagnose', 'Resolve', 'Resolved when'];

test('the runbooks are eight', () => {
  expect(RUNBOOKS.map((page) => page.slice('docs/runbooks/'.length, -'.md'.length))).toEqual([
    'audit-log',
    'dead-letter-flood',
    'deletion-scheduled',
    'key-disabled',
    'platform-fault',
    'redis-full',
    'redis-lost',
    'rolling-back-a-deploy',
  ]);
});

describe.each(RUNBOOKS)('%s', (page) => {
  const text = fileOf(page);

  test('begins with all alerts that link to it', () => {
    const [, , first = ''] = text.split('\n');
    expect(first).toMatch(/^Alerts?: `Sealdex/);
    const named = [...first.matchAll(/`(Sealdex\w+)`/g)].map(([, name]) => name);
    const leading = rulesOf().filter(({ annotations }) => annotations['runbook'] === page);
    expect(new Set(named)).toEqual(new Set(leading.map(({ alert }) => alert)));
  });

  test('has the meaning in two sentences, then how to diagnose and resolve it, and when it is resolved', () => {
    expect([...text.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)).toEqual(PARTS);
    const meaning = /^## What it means\n\n(.+)\n/m.exec(text)?.[1] ?? '';
    expect(meaning.match(/[.](?:\s|$)/g)).toHaveLength(2);
  });

  test('is short', () => {
    expect(text.split('\n').length).toBeLessThan(70);
  });

  test('names only existing commands in a valid form, and each has --help', async () => {
    const lines = commandLinesOf(page);
    expect(lines.length).toBeGreaterThan(1);
    const faults = await Promise.all(lines.map((line) => faultOf(buildProgram, line)));
    expect(faults.filter((fault) => fault !== undefined)).toEqual([]);
  });

  test('is linked from the operations page', () => {
    expect(linksOf('docs/operations.md')).toContain(page);
  });
});

test('the operations page names only existing commands', async () => {
  const lines = commandLinesOf('docs/operations.md');
  expect(lines.length).toBeGreaterThan(2);
  const faults = await Promise.all(lines.map((line) => faultOf(buildProgram, line)));
  expect(faults.filter((fault) => fault !== undefined)).toEqual([]);
});

describe('a wrong command line is detected:', () => {
  test.each([
    ['indx', 'there is no such command'],
    ['tenants', 'there is no such command'],
    ['tenants make acme', 'there is no such command'],
    ['tenants show', '0 arguments'],
    ['tenants show acme globex', '2 arguments'],
    ['dead list --tenants acme', '--tenants acme'],
    ['dead list --limit many', '--limit'],
    ['dead replay --rate 5000', '--rate'],
    ['index --corpus docs documents.ndjson', '--tenant'],
  ])('sealdex %s', async (line, why) => {
    expect(await faultOf(buildProgram, line)).toContain(why);
  });

  test.each(['status', 'dlq list --since 2h', 'dead discard --yes', 'tenants put "$TENANT" --plan pro'])(
    'unlike sealdex %s',
    async (line) => {
      expect(await faultOf(buildProgram, line)).toBeUndefined();
    },
  );
});
