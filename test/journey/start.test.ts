// Errors at the start of a worker, after which no process remains.
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { startWorker } from '../../src/app/app.ts';
import { startRedis } from '@sealdex/local-aws';
import { eventually } from '../support/eventually.ts';
import { openInstallation, type Installation } from './installation.ts';
import { keysUnder } from '../support/documents.ts';
import { startWorkerChild } from './worker-child.ts';

/** Starts a worker that is expected to fail; returns its output. It has to exit without a signal. */
async function refusal(installation: Installation, settings: object = {}): Promise<string> {
  await using worker = await startWorkerChild({ ...installation.settings, ...settings });
  expect(await worker.exited).toEqual({ code: 78, signal: null });
  return worker.stderr();
}

test('a start fails with a Redis that evicts keys', async () => {
  const redis = await startRedis({ maxmemoryPolicy: 'allkeys-lru' });
  try {
    await using installation = await openInstallation();
    expect(await refusal(installation, { REDIS_URL: redis.url })).toContain('maxmemory-policy is allkeys-lru');
  } finally {
    await redis.stop();
  }
});

test('a start fails with a store without conditional writes, and leaves no test object', async () => {
  await using installation = await openInstallation();
  installation.services.s3.faults.set({ fault: { kind: 'ignoreConditions' } });
  expect(await refusal(installation)).toContain('ignores conditional writes');
  expect(await keysUnder(installation.store, 'system/')).toEqual([]);
});

test('a start fails with a taken port', async () => {
  await using installation = await openInstallation();
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    expect(await refusal(installation, { SEALDEX_PORT: port })).toContain(`port ${port} is already in use`);
  } finally {
    server.close();
  }
});

test('a start aborted between two steps closes what it had opened', async () => {
  await using installation = await openInstallation();
  const server = await startRedis();
  const looker = new Redis(server.url);
  try {
    const controller = new AbortController();
    const settings = { ...installation.settings, REDIS_URL: server.url };
    const starting = startWorker(settings, { signal: controller.signal });
    const reason = new Error('told to end');
    controller.abort(reason);
    await expect(starting).rejects.toBe(reason);
    await eventually(
      async () =>
        String(await looker.client('LIST'))
          .trim()
          .split('\n').length === 1,
    );
  } finally {
    looker.disconnect();
    await server.stop();
  }
});

test('a start reports all invalid settings at once', async () => {
  await using installation = await openInstallation();
  const message = await refusal(installation, { SEALDEX_CONCURRENCY: 0, SEALDEX_STOP_MS: 'soon' });
  expect(message).toContain('SEALDEX_CONCURRENCY');
  expect(message).toContain('SEALDEX_STOP_MS');
});

test('a start logs one warning for a Redis without an append-only file, and continues', async () => {
  await using installation = await openInstallation();
  await using worker = await startWorkerChild(installation.settings);
  await worker.ready;
  const warnings = await eventually(() => {
    const lines = worker.log();
    return lines.some(({ msg }) => msg === 'worker started') ? lines.filter(({ level }) => level === 40) : undefined;
  });
  expect(warnings.map(({ msg }) => String(msg))).toEqual([expect.stringContaining('persistence (AOF) is off')]);
  worker.kill('SIGTERM');
  expect(await worker.exited).toEqual({ code: 0, signal: null });
});
