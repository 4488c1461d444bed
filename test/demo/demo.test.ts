// The guided tour as `sealdex demo` runs it. One whole run for all tests: it takes half a minute.
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DemoResult } from '../../src/demo/demo.ts';
import { jsonOf, linesOf } from '../cli/output.ts';
import { isAlive, run, start } from '../cli/run.ts';
import { temporaryFolder } from '../cli/temporary-folder.ts';
import { eventually } from '../support/eventually.ts';

/** Long enough for a machine ten times slower. */
const LIFE_MS = 600_000;

const any = expect.any(Number) as number;

describe('a whole run', () => {
  const temporary = temporaryFolder();
  let ended: Awaited<ReturnType<typeof run>>;

  beforeAll(async () => {
    ended = await run(['demo', '--json'], { cwd: tmpdir(), env: { TMPDIR: temporary.path } });
  }, LIFE_MS);

  afterAll(() => temporary[Symbol.dispose]());

  test('prints one line of JSON in which all claims hold', () => {
    expect({ code: ended.code, notices: linesOf(ended.stderr).slice(-20) }).toMatchObject({ code: 0 });
    const [result, ...rest] = jsonOf(ended.stdout) as unknown as DemoResult[];
    expect(rest).toEqual([]);
    expect(result).toEqual({
      documents: 300,
      failed: 0,
      seconds: any,
      documentsPerSecond: any,
      kms: { GenerateDataKey: any, Decrypt: any },
      readBack: true,
      officialDecrypt: true,
      plaintextFoundInRedis: false,
      plaintextFoundInS3: false,
      parked: { jobs: any, probes: any, kmsCallsWhileShut: any, releasedPerSecond: any, lost: 0 },
      others: { p50MsBefore: any, p50MsDuring: any },
      dead: { before: 1, after: 0 },
      uploads: { files: any, types: any, stored: (result?.uploads.files ?? 0) - 1, dead: 1 },
    } satisfies DemoResult);
    expect(result?.uploads.types).toBeGreaterThanOrEqual(12);
  });

  test('prints a line for each step, without control characters', () => {
    expect(
      linesOf(ended.stderr).filter((line) => !/^(?:Enqueueing|Indexing|Reading files) \d+\/\d+$/.test(line)),
    ).toEqual(
      [
        /^Started a local Redis, S3 and KMS/,
        /^Three tenants/,
        /^Encrypted and enqueued 300 documents and \d+ files/,
        /^Searched [\d,]+ Redis keys and [\d,]+ S3 objects for [\d,]+ phrases .*: 0 found, and all 4 controls/,
        /^A worker stored 300 documents/,
        /^Child processes .* read \d+ files of \d+ types/,
        /^Read all documents back/,
        /dead letter \(CONTENT_MISSING\)/,
        /Dead letters left: 0/,
        /^Documents of all tenants keep coming/,
        /^globex disabled its KMS key/,
        /^Its jobs are parked/,
        /^globex enabled its KMS key/,
        /documents are stored\.$/,
        /: 0 found, and all 4 controls/,
      ].map((line) => expect.stringMatching(line) as string),
    );
  });

  test('leaves nothing behind', () => {
    expect(readdirSync(temporary.path)).toEqual([]);
  });
});

test(
  'Ctrl-C ends the demo with 130 and leaves nothing running',
  async () => {
    await using running = start(['demo'], { cwd: tmpdir() });
    await eventually(() => running.stdout().includes('Three tenants'));
    // From /proc.
    const children = readFileSync(`/proc/${running.pid}/task/${running.pid}/children`, 'utf8').trim().split(' ');
    expect(children).not.toEqual(['']);
    running.child.kill('SIGINT');
    const { code, stdout, stderr } = await running.ended;
    expect(code).toBe(130);
    expect(children.map(Number).filter(isAlive)).toEqual([]);
    expect(stderr).not.toContain('sealdex:');
    expect(stdout).not.toContain('CLAIM');
  },
  LIFE_MS,
);
