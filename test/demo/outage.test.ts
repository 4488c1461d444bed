// The demo's second act against real workers: what it says of parking is measured, and a promise that is broken shows.
import { describe, expect, test } from 'vitest';
import { createOperator, createProducer } from '../../src/app/app.ts';
import { castOf, putTenants } from '../../src/demo/cast.ts';
import type { CorpusFile } from '../../src/demo/corpus.ts';
import { medianOf } from '../../src/demo/flow.ts';
import { using } from '../../src/demo/indexing.ts';
import { showOutage, type OutageStage } from '../../src/demo/outage.ts';
import type { OutageFigures } from '../../src/demo/outage-story.ts';
import { openRedis } from '../../src/runtime/redis.ts';
import { testServices, type TestServices } from '../support/services.ts';

const FILES: readonly CorpusFile[] = [200, 3000, 9000].map((bytes, index) => ({
  path: `p${index}/README.md`,
  package: 'p',
  version: '1.0.0',
  text: `# Page ${index}\n\n${'Some words. '.repeat(bytes / 12)}`,
  bytes,
}));

interface Played {
  readonly figures: OutageFigures;
  readonly lines: readonly string[];
}

async function play(
  services: TestServices,
  change: Partial<OutageStage> = {},
  onLine: (line: string) => void = () => {},
): Promise<Played> {
  const settings = { ...services.settings, SEALDEX_PORT: 0, SEALDEX_DRAIN_MS: 2000, SEALDEX_STOP_MS: 5000 };
  const tenants = castOf(() => services.kms.createKey(), String(settings.SEALDEX_PLATFORM_KEY_ARN));
  const lines: string[] = [];
  const say = (line: string): void => {
    lines.push(line);
    onLine(line);
  };
  const redis = await openRedis({ redisUrl: services.redisUrl }, 'prompt');
  try {
    const figures = await using(await createOperator(settings), async (operator) => {
      await putTenants(operator, tenants);
      return using(await createProducer(settings), (producer) =>
        showOutage({
          kms: services.kms,
          settings,
          redis,
          operator,
          producer,
          tenants,
          victim: tenants[1]!,
          files: FILES,
          screen: { say, progress: () => {} },
          signal: new AbortController().signal,
          ...change,
        }),
      );
    });
    return { figures, lines };
  } finally {
    redis.disconnect();
  }
}

describe('a tenant disables its KMS key and enables it again', () => {
  test('its jobs are parked at the cost of probes alone, the others go on, and in the end all is stored', async () => {
    await using services = await testServices();
    const { figures, lines } = await play(services);
    const { parked, others } = figures;
    expect(parked.lost).toBe(0);
    expect(parked.jobs).toBeGreaterThan(0);
    expect(parked.releasedPerSecond).toBeGreaterThan(0);
    expect(parked.probes).toBeGreaterThanOrEqual(3);
    // Of a disabled key each probe's first call is refused, and the second one is not made.
    expect(parked.kmsCallsWhileShut).toBe(parked.probes);
    expect(others.p50MsBefore).toBeGreaterThan(0);
    expect(others.p50MsDuring).toBeGreaterThan(0);

    const story = lines.join('\n');
    expect(story).toMatch(
      / {2}enabled +open +0 .*\n(?:.*\n)* .* disabled +shut +[1-9].*\n(?:.*\n)* .* enabled +open +0 /,
    );
    expect(story).toMatch(/All \d+ documents of all tenants are stored/);
    expect(story).not.toContain('NOT');
  });

  test('documents that are not stored when time is up are counted as lost', async () => {
    await using services = await testServices();
    const broken = { ...services.kms, enable: () => {} };
    const { figures, lines } = await play(services, { kms: broken, deadlineMs: 4000 });
    expect(figures.parked.jobs).toBeGreaterThan(0);
    expect(figures.parked.lost).toBeGreaterThanOrEqual(figures.parked.jobs);
    expect(figures.parked.releasedPerSecond).toBe(0);
    expect(lines.join('\n')).toMatch(/ \d+ of [\d,]+ documents are NOT stored/);
  });

  test.each(['will disable its KMS key', 'disables its KMS key', 'enables its KMS key'])(
    'an abort at "%s" ends it with the reason',
    async (moment) => {
      await using services = await testServices();
      const controller = new AbortController();
      const abort = (line: string): void => {
        if (line.includes(moment)) controller.abort(new Error('enough'));
      };
      await expect(play(services, { signal: controller.signal }, abort)).rejects.toThrow('enough');
    },
  );
});

test('the median is the middle, or between the two in the middle', () => {
  expect([[], [3], [9, 1, 5], [4, 1, 3, 2]].map(medianOf)).toEqual([0, 3, 5, 2.5]);
});
