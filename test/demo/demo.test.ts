// The acceptance test: the demo as `sealdex demo` runs it, from the start of its services to the last word of its story.
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startServices } from '../../src/cli/dev/local-services.ts';
import { type DemoScreen, runDemo } from '../../src/demo/demo.ts';
import { eventually } from '../support/eventually.ts';

/** What this process holds open of each kind that the demo uses; the test runner has timers of its own. */
const held = (): number[] => {
  const all = process.getActiveResourcesInfo();
  return ['TCPServerWrap', 'TCPSocketWrap', 'ProcessWrap'].map((kind) => all.filter((name) => name === kind).length);
};

const before = { TMPDIR: process.env.TMPDIR };
let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sealdex-demo-'));
  process.env.TMPDIR = folder;
});

afterEach(async () => {
  if (before.TMPDIR === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = before.TMPDIR;
  await rm(folder, { recursive: true, force: true });
});

interface Told extends DemoScreen {
  readonly lines: string[];
  readonly steps: { label: string; done: number; total: number }[];
}

function screen(onStep: (label: string) => void = () => {}): Told {
  const lines: string[] = [];
  const steps: Told['steps'] = [];
  return {
    lines,
    steps,
    say(line) {
      lines.push(line);
      onStep(line);
    },
    progress(label, done, total) {
      steps.push({ label, done, total });
      onStep(label);
    },
  };
}

async function expectNothingLeft(heldBefore: readonly number[]): Promise<void> {
  expect(await readdir(folder)).toEqual([]);
  await eventually(() => (expect(held()).toEqual(heldBefore), true));
}

describe('the demo', () => {
  test('indexes real documents of three tenants, proves each claim, and leaves nothing behind', async () => {
    const heldBefore = held();
    const told = screen();
    const started = performance.now();
    const { result, ...report } = await runDemo(told, new AbortController().signal, startServices);

    expect(result).toEqual({
      documents: expect.any(Number) as number,
      failed: 0,
      seconds: expect.any(Number) as number,
      documentsPerSecond: expect.any(Number) as number,
      kms: { GenerateDataKey: expect.any(Number) as number, Decrypt: expect.any(Number) as number },
      readBack: true,
      officialDecrypt: true,
      plaintextFoundInRedis: false,
      plaintextFoundInS3: false,
      parked: {
        jobs: expect.any(Number) as number,
        probes: expect.any(Number) as number,
        kmsCallsWhileShut: expect.any(Number) as number,
        releasedPerSecond: expect.any(Number) as number,
        lost: 0,
      },
      others: { p50MsBefore: expect.any(Number) as number, p50MsDuring: expect.any(Number) as number },
      dead: { before: 1, after: 0 },
      uploads: {
        files: expect.any(Number) as number,
        types: expect.any(Number) as number,
        stored: result.uploads.files - 1,
        dead: 1,
      },
    });
    expect(result.uploads.files).toBeGreaterThan(20);
    expect(result.uploads.types).toBeGreaterThanOrEqual(12);
    expect(result.parked.jobs).toBeGreaterThan(0);
    expect(result.parked.kmsCallsWhileShut).toBeLessThanOrEqual(2 * result.parked.probes);
    expect(result.documents).toBeGreaterThan(200);
    expect(result.seconds).toBeGreaterThan(0);
    expect(result.documentsPerSecond).toBeGreaterThan(0);
    // One call each per tenant, and again if a period ends in the middle: never one per document.
    for (const calls of Object.values(result.kms)) {
      expect(calls).toBeGreaterThanOrEqual(3);
      expect(calls).toBeLessThanOrEqual(6);
    }

    expect(report.bytes).toBeGreaterThan(1024 * result.documents);
    expect(report.storedBytes).toBeGreaterThan(report.bytes);
    expect(report.tenants.map(({ hasOwnKey }) => hasOwnKey)).toEqual([true, true, false]);
    expect(report.tenants.map(({ plan }) => plan)).toContain('free');
    expect(new Set(report.tenants.map(({ keyArn }) => keyArn)).size).toBe(3);
    expect(report.tenants.reduce((sum, { documents }) => sum + documents, 0)).toBe(result.documents);
    for (const { tenant } of report.tenants) {
      const operations = report.kmsByTenant.filter((row) => row.tenant === tenant).map(({ operation }) => operation);
      expect(operations).toEqual(['GenerateDataKey', 'Decrypt']);
    }

    for (const label of ['Encrypting and queueing', 'Indexing']) {
      const steps = told.steps.filter((step) => step.label === label);
      expect(steps.at(-1)).toMatchObject({ done: result.documents, total: result.documents });
      expect(steps.length).toBeLessThanOrEqual(2 + (performance.now() - started) / 50);
    }
    for (const label of ['Encrypting and uploading', 'Reading the files']) {
      const { files } = result.uploads;
      expect(told.steps.findLast((step) => step.label === label)).toMatchObject({ done: files, total: files });
    }
    const story = told.lines.join('\n');
    expect(story).toContain('one each of DOC, DOCX, ODT, PDF, PPT, PPTX, RTF, e-mail and ePUB');
    expect(story).toContain('FILE_UNREADABLE: The file is damaged or cut off: save it again and upload it whole.');
    expect(story).toMatch(/\| type: application\/msword, [\d,]+ bytes\n {2}\| title: Fair share and bounds\n/);
    expect(told.lines.filter((line) => line.startsWith('  |') && line.length > 80)).toEqual([]);
    expect(story).toContain(`${result.documents} jobs are queued`);
    expect(story).toMatch(/while all jobs wait: [\d,]+ Redis keys and [\d,]+ S3 objects/);
    expect(story.match(/Found none of them/g)).toHaveLength(2);
    expect(story).toContain('CONTENT_MISSING');
    expect(story).not.toMatch(/FOUND|FAILED|NOT|MORE/);
    await expectNothingLeft(heldBefore);
  });

  test.each([
    'Starting',
    'Three tenants',
    'Encrypting and queueing',
    'Encrypting and uploading',
    'Searched',
    'Indexing',
    'Reading the files',
    'Child processes',
    'One of them closely',
    'Last, something',
  ])('that is ended at "%s" ends with the reason and leaves nothing behind', async (moment) => {
    const heldBefore = held();
    const controller = new AbortController();
    const told = screen((label) => {
      if (label.startsWith(moment)) controller.abort(new Error('enough'));
    });
    await expect(runDemo(told, controller.signal, startServices)).rejects.toThrow('enough');
    await expectNothingLeft(heldBefore);
  });

  test('that is ended before it begins starts nothing', async () => {
    const told = screen();
    await expect(runDemo(told, AbortSignal.abort(new Error('enough')), startServices)).rejects.toThrow('enough');
    expect(told.lines).toEqual([]);
  });
});
