// The demo's third act against a real worker: a job dies for want of its content, and its replay shows in the figures.
import { expect, test } from 'vitest';
import { createOperator, createProducer, createReader, type Operator } from '../../src/app/app.ts';
import { openBucket } from '../../src/demo/bucket.ts';
import { castOf, putTenants } from '../../src/demo/cast.ts';
import { showDeadLetter, type DeadLetterFigures } from '../../src/demo/dead-letter.ts';
import { using } from '../../src/demo/indexing.ts';
import { testServices, type TestServices } from '../support/services.ts';

const TEXT = `# Large\n\n${'Some words. '.repeat(2000)}`;
const FILES = [
  { path: 'a/README.md', package: 'a', version: '1.0.0', text: 'small', bytes: 5 },
  { path: 'b/README.md', package: 'b', version: '1.0.0', text: TEXT, bytes: TEXT.length },
];

async function play(
  services: TestServices,
  { deadlineMs, replay }: { deadlineMs?: number; replay?: Operator['replay'] } = {},
): Promise<{ figures: DeadLetterFigures; story: string }> {
  const settings = { ...services.settings, SEALDEX_PORT: 0 };
  const tenants = castOf(() => services.kms.createKey(), String(settings.SEALDEX_PLATFORM_KEY_ARN));
  const lines: string[] = [];
  const figures = await using(await createOperator(settings), async (operator) => {
    await putTenants(operator, tenants);
    return using(await createProducer(settings), (producer) =>
      showDeadLetter({
        settings,
        bucket: openBucket(services.s3.endpoint, String(settings.SEALDEX_BUCKET)),
        operator: replay ? { ...operator, replay } : operator,
        producer,
        tenant: tenants[0]!,
        files: FILES,
        screen: { say: (line) => lines.push(line), progress: () => {} },
        signal: new AbortController().signal,
        ...(deadlineMs === undefined ? {} : { deadlineMs }),
      }),
    );
  });
  return { figures, story: lines.join('\n') };
}

test('a dead letter is made, listed with its code, and stored by the replay', async () => {
  await using services = await testServices();
  const { figures, story } = await play(services);
  expect(figures).toEqual({ before: 1, after: 0 });
  expect(story).toMatch(/j[0-9a-f]{32} {2}CONTENT_MISSING/);
  await using(await createReader(services.settings), async (reader) => {
    const { documents } = await reader.list({ tenant: 'acme', corpus: 'letters' });
    expect(documents).toHaveLength(1);
  });
});

test('a replay that sends nothing shows as a letter that is left', async () => {
  await using services = await testServices();
  const replay: Operator['replay'] = async () =>
    ({ sent: 0, alreadyTaken: 0 }) as Awaited<ReturnType<Operator['replay']>>;
  const { figures, story } = await play(services, { deadlineMs: 5000, replay });
  expect(figures).toEqual({ before: 1, after: 1 });
  expect(story).toContain('this must NOT be');
});
