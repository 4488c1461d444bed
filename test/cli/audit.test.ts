// `sealdex audit reconcile`: its report, JSON, input files and exit codes, with real calls.
import { GetKeyPolicyCommand } from '@aws-sdk/client-kms';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { contextOf, openFixture, type Line, type Fixture } from '../audit/fixture.ts';
import { runInProcess } from './in-process.ts';
import { jsonOf, linesOf, type Ended } from './output.ts';
import { temporaryFolder, type Folder } from './temporary-folder.ts';

let fixture: Fixture;
let folder: Folder;
let key: string;
let lines: Line[];
let events: readonly Line[];

beforeAll(async () => {
  fixture = await openFixture();
  folder = temporaryFolder();
  key = fixture.kms.createKey();
  lines = [];
  for (let call = 0; call < 3; call += 1) lines.push(await fixture.generate(key, contextOf('acme')));
  events = fixture.kms.trail();
  file('audit.jsonl', lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  file('trail.json', JSON.stringify({ Records: events }));
});

afterAll(async () => {
  folder[Symbol.dispose]();
  await fixture[Symbol.asyncDispose]();
});

function file(name: string, content: string | Uint8Array): string {
  writeFileSync(join(folder.path, name), content);
  return name;
}

/** Without any setting. */
const reconcile = (...args: string[]): Promise<Ended> =>
  runInProcess(['audit', 'reconcile', 'acme', ...args], { cwd: folder.path });

const both = (audit: string, trail: string, ...more: string[]): Promise<Ended> =>
  reconcile('--audit', audit, '--cloudtrail', trail, '--wide', ...more);

const textOf = (all: readonly Line[]): string => all.map((line) => `${JSON.stringify(line)}\n`).join('');

describe('audit reconcile', () => {
  test('prints the headline and the compared ranges, and exits with 0 if both sides agree', async () => {
    const { code, stdout, stderr } = await both('audit.jsonl', 'trail.json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const span = String.raw`20\S+Z to 20\S+Z`;
    expect(linesOf(stdout)).toEqual([
      'Tenant acme: the audit log and CloudTrail agree on 3 calls.',
      expect.stringMatching(new RegExp(`^audit log {3}3 calls in 1 file, ${span}$`)),
      expect.stringMatching(new RegExp(`^CloudTrail {2}3 events in 1 file, ${span}$`)),
    ]);
  });

  test('prints each difference under the heading of its kind, and exits with 1 if the sides differ', async () => {
    const forged = {
      ...lines[1],
      requestId: 'made-up',
      process: 'worker\u001b[31m',
      job: 'j9',
      command: 'dead replay',
    };
    const refused = {
      ...lines[1],
      requestId: 'denied',
      result: 'AccessDeniedException',
      activity: 'key check',
      job: undefined,
    };
    const other = { ...lines[2], period: '2026-11-30T09:17Z' };
    file('other.jsonl', `${textOf([lines[0]!, forged, refused, other])}{"audit":1,"ti\n`);
    const { code, stdout, stderr } = await both('other.jsonl', 'trail.json');
    expect(code).toBe(1);
    expect(stderr).toBe('other.jsonl:5: cannot parse the line.\n');
    const [headline, , , ...report] = linesOf(stdout);
    expect(headline).toBe(
      'Tenant acme: the audit log and CloudTrail differ: 1 only in CloudTrail, 1 only in the audit log, 1 different; 1 call matches.',
    );
    const timeless = report.map((line) => line.replace(/^ {2}20\S+Z /, '  TIME '));
    const context = 'tenant acme  period 2026-11-30T00:17Z  purpose documents';
    expect(timeless).toEqual([
      '',
      'Only in CloudTrail:',
      `  TIME  GenerateDataKey  ok  ${context}`,
      `    ${key}  by arn:aws:sts::111122223333:assumed-role/sealdex/local  from 127.0.0.1  request ${String(lines[1]?.['requestId'])}`,
      '',
      'Only in the audit log (successful calls):',
      `  TIME  GenerateDataKey  ok  ${context}`,
      `    ${key}  by worker\uFFFD[31m  for j9, dead replay  request made-up`,
      '',
      'Different:',
      `  TIME  GenerateDataKey  ok  ${context.replace('00:17', '09:17')}`,
      `    ${key}  by worker 8f3a  for j1  request ${String(lines[2]?.['requestId'])}`,
      '    period: 2026-11-30T09:17Z in the audit log, 2026-11-30T00:17Z in CloudTrail',
      '',
      'Denied, and not in CloudTrail (AWS does not log every denied call):',
      `  TIME  GenerateDataKey  AccessDeniedException  ${context}`,
      `    ${key}  by worker 8f3a  for key check  request denied`,
    ]);
  });

  test('prints at most 20 differences of a kind and refers to --json for the rest', async () => {
    const many = Array.from({ length: 25 }, (_, at) => ({ ...lines[0], requestId: `r${at}` }));
    file('many.jsonl', textOf(many));
    const { stdout } = await both('many.jsonl', 'trail.json');
    expect(linesOf(stdout).filter((line) => line.includes('request r'))).toHaveLength(20);
    expect(stdout).toContain('\n  … and 5 more: --json\n');
  });

  test('reports differences outside the covered time, and leaves them out with --from', async () => {
    const early = { ...lines[0], requestId: 'early', time: '2020-01-01T00:00:00.000Z' };
    file('early.jsonl', textOf([early, ...lines]));
    const { code, stdout } = await both('early.jsonl', 'trail.json');
    expect(code).toBe(1);
    expect(stdout).toContain('\n1 difference outside the time covered by the other side. ');
    const since = await both('early.jsonl', 'trail.json', '--from', '2021-01-01');
    expect({ code: since.code, stderr: since.stderr }).toEqual({ code: 0, stderr: '' });
    expect(since.stdout).toContain('1 outside the time range');
  });

  test('reports which calls were matched without a request id or not compared', async () => {
    const other = fixture.kms.createKey();
    const lost = { ...(await fixture.generate(key, contextOf('acme'))), result: 'unanswered', requestId: undefined };
    await fixture.generate(other, { ...contextOf('acme'), purpose: 'intake' });
    const owner = fixture.stranger('arn:aws:iam::111122223333:user/owner');
    await owner.send(new GetKeyPolicyCommand({ KeyId: key }));
    file('lost.jsonl', textOf([...lines, lost]));
    file('more.json', JSON.stringify({ Records: fixture.kms.trail() }));
    const { code, stdout } = await both('lost.jsonl', 'more.json');
    expect(code).toBe(0);
    expect(
      linesOf(stdout)
        .filter((line) => line !== '')
        .slice(3),
    ).toEqual([
      '1 of the matching calls had no response and were matched by operation, key, context and time.',
      'Not compared: 1 call with the platform key for waiting content, which the audit log does not record.',
      "Not compared: management calls by the key owner's account: GetKeyPolicy 1.",
    ]);
  });

  test('exits with 1 if there are no calls to compare', async () => {
    file('nothing.json', '{"Records":[]}');
    file('log.jsonl', '{"level":30,"msg":"started"}\n');
    const { code, stdout } = await both('log.jsonl', 'nothing.json');
    expect(code).toBe(1);
    expect(linesOf(stdout)[0]).toBe(
      'Tenant acme: no calls to compare. No call appears in both the audit log and CloudTrail.',
    );
    expect(stdout).toContain(
      "\nThe audit log has no calls for tenant acme. It records only calls with tenants' own keys.\n",
    );
  });
});

test('--json prints one line per difference, then the counts', async () => {
  file(
    'short.jsonl',
    textOf(lines.slice(0, 2).map((line, at) => (at === 1 ? { ...line, result: 'DisabledException' } : line))),
  );
  const { code, stdout, stderr } = await both('short.jsonl', 'trail.json', '--json', '--from', '2026-01-01T00:00Z');
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
  expect(jsonOf(stdout)).toEqual([
    {
      kind: 'cloudtrail-only',
      event: expect.objectContaining({
        time: expect.stringMatching(/Z$/),
        requestId: lines[2]?.['requestId'],
        keys: [key],
      }),
    },
    {
      kind: 'different',
      differences: [{ what: 'result', audit: 'DisabledException', trail: 'ok' }],
      call: expect.objectContaining({ time: lines[1]?.['time'], job: 'j1' }),
      event: expect.objectContaining({ requestId: lines[1]?.['requestId'] }),
    },
    expect.objectContaining({
      kind: 'summary',
      tenant: 'acme',
      agrees: false,
      matched: 1,
      cloudtrailOnly: 1,
      auditOnly: 0,
      different: 1,
      from: '2026-01-01T00:00:00.000Z',
      audit: expect.objectContaining({ files: 1, count: 2, duplicates: 0, outside: 0 }),
      cloudtrail: expect.objectContaining({ files: 1, count: 3, accounts: ['111122223333'] }),
    }),
  ]);
});

describe('audit reconcile', () => {
  test('reads packed CloudTrail exports in folders, ignores digests and counts duplicates', async () => {
    const day = join('AWSLogs', 'CloudTrail', '2026', '11', '30');
    const digests = join('AWSLogs', 'CloudTrail-Digest');
    for (const path of [day, digests]) mkdirSync(join(folder.path, path), { recursive: true });
    file(join(day, 'one.json.gz'), gzipSync(JSON.stringify({ Records: events.slice(0, 2) })));
    file(join(day, 'two.json.gz'), gzipSync(JSON.stringify({ Records: events.slice(1) })));
    file(join(digests, 'digest.json.gz'), gzipSync(JSON.stringify({ digestStartTime: '2026-11-30T00:00:00Z' })));
    const { code, stdout } = await both('audit.jsonl', 'AWSLogs');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^CloudTrail {2}4 events in 3 files, .*, 1 duplicate$/m);
  });

  test('reads packed and split audit logs, and events in the format of lookup-events or one per line', async () => {
    file('one.jsonl.gz', gzipSync(textOf(lines.slice(0, 1))));
    file('two.jsonl', `{"level":30,"msg":"started"}\n${textOf(lines.slice(1))}`);
    const lookupEvents = events
      .slice(0, 1)
      .map((event) => ({ EventId: event['eventID'], CloudTrailEvent: JSON.stringify(event) }));
    file('looked.json', JSON.stringify({ Events: lookupEvents }, null, 2));
    file('events.jsonl', textOf(events.slice(1)));
    const audit = ['--audit', 'one.jsonl.gz', 'two.jsonl'];
    expect(await reconcile(...audit, '--cloudtrail', 'looked.json', '--cloudtrail', 'events.jsonl')).toMatchObject({
      code: 0,
    });
  });

  test.each([
    ['text', 'hello\n', 'is not a CloudTrail file'],
    ['an audit', '{"audit":1}\n', 'is not a CloudTrail file'],
    ['half of a file', '{"Records":[{"eventVersion":"1.11"', 'ends in the middle: fetch it again'],
    ['half of a packed file', gzipSync('{"Records":[]}').subarray(0, 12), 'is corrupt or truncated. Download it again'],
  ])('exits with 65 if %s is given instead of a trail', async (_, content, fault) => {
    file('wrong', content);
    expect(await both('audit.jsonl', 'wrong')).toMatchObject({
      code: 65,
      stdout: '',
      stderr: `sealdex: wrong ${fault}.\n`,
    });
  });

  test('exits with 66 if a file does not exist or a folder is empty', async () => {
    mkdirSync(join(folder.path, 'empty'), { recursive: true });
    const end = (stderr: string): object => ({ code: 66, stdout: '', stderr });
    expect(await both('missing', 'trail.json')).toMatchObject(end('sealdex: missing: file not found.\n'));
    expect(await both('audit.jsonl', 'missing')).toMatchObject(end('sealdex: missing: file not found.\n'));
    expect(await both('audit.jsonl', 'empty')).toMatchObject(end('sealdex: empty: the directory contains no files.\n'));
  });
});

describe('wrong usage exits with 64:', () => {
  test.each<[string[], RegExp]>([
    [['audit', 'reconcile', 'acme', '--audit', 'a'], /required option '--cloudtrail <path\.\.\.>' not specified/],
    [['audit', 'reconcile', 'acme', '--cloudtrail', 'a'], /required option '--audit <path\.\.\.>' not specified/],
    [['audit', 'reconcile', '--audit', 'a', '--cloudtrail', 'b'], /missing required argument 'tenant'/],
    [
      ['audit', 'reconcile', 'a', '--audit', 'a', '--cloudtrail', 'b', '--from', 'noon'],
      /'noon' is invalid\. Expected an age/,
    ],
    [
      ['audit', 'reconcile', 'a', '--audit', 'a', '--cloudtrail', 'b', '--from', '2026-02-01', '--to', '2026-01-01'],
      /^sealdex: --from must be before --to\.\n$/,
    ],
  ])('sealdex %j', async (args, sentence) => {
    const { code, stdout, stderr } = await runInProcess(args, { cwd: folder.path });
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
    expect(stderr).toMatch(sentence);
  });
});
