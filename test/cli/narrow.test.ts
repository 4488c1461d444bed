// Every command that prints a table, with the longest names: all fits 80 columns, and --wide prints full values.
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createProducer } from '../../src/app/app.ts';
import { newJobId } from '../../src/jobs/jobs.ts';
import { redisKeys } from '../../src/runtime/redis.ts';
import { putDeadLetters } from '../queue/dead-letter-fixture.ts';
import { dataOf } from '../queue/fixture.ts';
import { eventually } from '../support/eventually.ts';
import { openScene, type Scene } from './fixture.ts';
import { jsonOf, linesOf, unwrapped } from './output.ts';

const TENANT = `tenant-${'x'.repeat(38)}-west`;
const SERVED = `served-${'x'.repeat(38)}-west`;
const ID = `id-${'y'.repeat(300)}-end`;
const TITLE = `Title ${'z'.repeat(300)}`;
const INCIDENT = `incident${' 4711'.repeat(50)}`;
const EXPLANATION = 'The PDF is encrypted. Remove the password and upload it again.';
/** Placeholder for the ARN of the tenant's key, which exists only when the tests run. */
const KEY = 'KEY';

let scene: Scene;
let keyArn: string;

beforeAll(async () => {
  scene = await openScene({ SEALDEX_PROBE_MIN_MS: 600_000, SEALDEX_PROBE_MAX_MS: 3_600_000 });
  keyArn = scene.services.kms.createKey();
  await scene.operator.putTenant(TENANT, { plan: 'enterprise', kmsKeyArn: keyArn });
  await scene.operator.putTenant(SERVED, { plan: 'free' });
  await scene.startWorker();
  await scene.operator.block(TENANT, keyArn, INCIDENT);
  await using producer = await createProducer(scene.settings);
  for (const [tenant, state] of [
    [SERVED, 'done'],
    [TENANT, 'parked'],
  ] as const) {
    const document = { type: 'structured', id: ID, title: TITLE, sections: [{ text: 'Text.' }] };
    const { jobId } = await producer.enqueueIndex({ tenant, corpus: 'docs', document });
    await eventually(async () => (await producer.status(jobId)).state === state);
  }
  await layLetter();
});

afterAll(() => scene[Symbol.asyncDispose]());

async function layLetter(): Promise<void> {
  const redis = new Redis(scene.services.redisUrl);
  const bull = new Queue('upload', {
    connection: redis,
    prefix: redisKeys(String(scene.settings.SEALDEX_QUEUE)).prefix,
  });
  const jobId = newJobId();
  const data = JSON.stringify({ ...dataOf(), tenant: TENANT, kind: 'upload', content: { intake: '0123456789abcdef' } });
  await putDeadLetters({ redis, bull }, [
    { jobId, since: Date.now(), data, reason: `FILE_UNREADABLE ${jobId} pdf-encrypted` },
  ]);
  await bull.close();
  redis.disconnect();
}

/** Everything except commands, which are not broken, so that they can be copied. */
const textIn = (stdout: string): string[] =>
  linesOf(stdout).filter((line) => !/^(?:.*: | *)(?:aws|npm|sealdex) /.test(line));

describe('a table fits 80 columns, and its wide form has the full values:', () => {
  test.each<[string[], string[]]>([
    [
      ['tenants', 'list'],
      [TENANT, KEY, INCIDENT],
    ],
    [
      ['keys', 'list'],
      [TENANT, KEY, INCIDENT],
    ],
    [
      ['parked', 'list'],
      [TENANT, KEY],
    ],
    [
      ['dead', 'list'],
      [TENANT, EXPLANATION],
    ],
    [
      ['jobs', 'list'],
      [TENANT, 'docs'],
    ],
    [['status'], [TENANT]],
    [['list', '--tenant', SERVED, '--corpus', 'docs'], []],
    [
      ['list', '--tenant', SERVED, '--corpus', 'docs', '--metadata'],
      [ID, TITLE],
    ],
    [['doctor'], []],
  ])('sealdex %j', async (args, whole) => {
    const { stdout } = await scene.sealdex(args);
    expect(textIn(stdout).length).toBeGreaterThan(0);
    expect(textIn(stdout).filter((line) => line.length > 80)).toEqual([]);
    const wide = (await scene.sealdex([...args, '--wide'])).stdout;
    for (const text of whole) expect(wide).toContain(text === KEY ? keyArn : text);
    expect(wide).not.toContain('…');
  });
});

test('keys check fits 80 columns, and its wide form has a line for each check', async () => {
  const arn = scene.services.kms.createKey();
  const check = async (...more: string[]): Promise<string> =>
    (await scene.sealdex(['keys', 'check', arn, '--tenant', TENANT, ...more])).stdout;
  const narrow = await check();
  expect(textIn(narrow).filter((line) => line.length > 80)).toEqual([]);
  const wide = await check('--wide');
  expect(linesOf(narrow).length).toBeGreaterThan(linesOf(wide).length);
  const words = (text: string): string[] => text.split(/\s+/);
  expect(words(narrow)).toEqual(words(wide));
});

test('what jobs show, keys show and tenants show print fits 80 columns, except ARNs', async () => {
  const [job] = jsonOf((await scene.sealdex(['parked', 'list', '--json'])).stdout);
  for (const args of [
    ['jobs', 'show', String(job?.['jobId'])],
    ['keys', 'show', keyArn],
    ['tenants', 'show', TENANT],
  ]) {
    const { stdout } = await scene.sealdex(args);
    expect(textIn(stdout).length).toBeGreaterThan(0);
    expect(textIn(stdout).filter((line) => line.length > 80 && !/ arn:\S+$/.test(line))).toEqual([]);
  }
});

test('tenants show counts what waits and prints the next commands', async () => {
  const { stdout, stderr } = await scene.sealdex(['tenants', 'show', TENANT]);
  expect(stderr).toBe('');
  const [shown] = jsonOf((await scene.sealdex(['tenants', 'show', TENANT, '--json'])).stdout);
  expect(shown).toMatchObject({ gates: [{ keyArn, state: 'shut' }], parked: { jobs: 1 }, deadLetters: 0 });
  const lines = linesOf(stdout);
  expect(lines).toContainEqual(expect.stringMatching(/^parked jobs +1, oldest \d+(ms|s)$/));
  expect(unwrapped(stdout)).toContain(`\nblocked key   ${keyArn}, `);
  expect(lines.at(-1)).toBe(`    sealdex keys unblock ${keyArn} --tenant ${TENANT}`);
});

test('the short name of a key is the beginning of its id', async () => {
  const { stdout } = await scene.sealdex(['keys', 'list']);
  const id = keyArn.slice(keyArn.lastIndexOf('/') + 1);
  expect(linesOf(stdout)[0]).toMatch(/^KEY +TENANT +STATE +AGE +JOBS +NEXT PROBE +ACTION BY$/);
  expect(linesOf(stdout)[1]).toMatch(
    new RegExp(`^${id.slice(0, 8)}… +tenant-x+…x+-west +KEY_BLOCKED +\\d+(ms|s) +1 +- +operator$`),
  );
});

test('the full reason of a dead letter is printed below it', async () => {
  const [header = '', letter = '', reason = ''] = linesOf((await scene.sealdex(['dead', 'list'])).stdout);
  expect(header).toMatch(/^JOB +TENANT +CODE +AGE$/);
  expect(letter).toMatch(/^j[0-9a-f]{32} +tenant-x+…x+-west +FILE_UNREADABLE +\d+(ms|s)$/);
  expect(reason).toBe(`    ${EXPLANATION}`);
});
