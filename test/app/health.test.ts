// /livez, /readyz and /metrics: their responses, the readiness of a worker, and the end of the server.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { Redis } from 'ioredis';
import { expect, inject, test } from 'vitest';
import { startWorker } from '../../src/app/app.ts';
import { startRedis } from '@sealdex/local-aws';
import { createReadiness, startHealth, type Health, type Readiness } from '../../src/app/health.ts';
import { createMetrics, METRICS } from '../../src/runtime/metrics.ts';
import { openInstallation } from '../journey/installation.ts';
import { documentOf } from '../support/documents.ts';
import { eventually } from '../support/eventually.ts';

const start = (
  readiness = async (): Promise<Readiness> => ({ isReady: true, reasons: [], shutGates: 0 }),
): Promise<Health> => startHealth({ host: '127.0.0.1', port: 0, metrics: createMetrics(), readiness });

async function answer(port: number, path: string): Promise<[number, string]> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return [response.status, (await response.text()).trim()];
}

const openRedis = (url = inject('redisUrl')): Redis & Disposable => {
  const redis = new Redis(url, { maxRetriesPerRequest: null });
  redis.on('error', () => {});
  return Object.assign(redis, { [Symbol.dispose]: () => redis.disconnect() });
};

test('/livez returns 200 regardless of /readyz', async () => {
  const health = await start(async () => ({ isReady: false, reasons: ['REDIS_FAILED', 'PLATFORM_KEY'], shutGates: 0 }));
  expect(await answer(health.port, '/livez')).toEqual([200, 'alive']);
  expect(await answer(health.port, '/readyz?from=probe')).toEqual([503, 'not ready: REDIS_FAILED, PLATFORM_KEY']);
  await health.stop();
});

test('another path is 404, and a readiness that fails is 500', async () => {
  const health = await start(() => Promise.reject(new Error('words of a document')));
  expect((await answer(health.port, '/documents'))[0]).toBe(404);
  expect(await answer(health.port, '/readyz')).toEqual([500, 'failed']);
  expect(await answer(health.port, '/livez')).toEqual([200, 'alive']);
  await health.stop();
});

test('a taken port is a wrong setting', async () => {
  const first = await start();
  const second = startHealth({
    host: '127.0.0.1',
    port: first.port,
    metrics: createMetrics(),
    readiness: async () => ({ isReady: true, reasons: [], shutGates: 0 }),
  });
  await expect(second).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('SEALDEX_PORT'),
  });
  await first.stop();
});

test('an address of another host is rejected with the name of its setting', async () => {
  const readiness = async (): Promise<Readiness> => ({ isReady: true, reasons: [], shutGates: 0 });
  await expect(startHealth({ host: '192.0.2.1', port: 0, metrics: createMetrics(), readiness })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringMatching(/^SEALDEX_HOST: 192\.0\.2\.1 is not an address of this host\./),
  });
});

/** Connections to the server that have sent `text`; `open` is the number that the server has not closed. */
async function hold(port: number, count: number, text: string): Promise<Disposable & { open(): number }> {
  const sockets = Array.from({ length: count }, () =>
    connect(port, '127.0.0.1')
      .on('error', () => {})
      .resume(),
  );
  const closed = new Set<Socket>();
  await Promise.all(
    sockets.map(
      (socket) =>
        new Promise<void>((resolve) => {
          socket.once('connect', () => socket.write(text, () => resolve()));
          socket.once('close', () => (closed.add(socket), resolve()));
        }),
    ),
  );
  return {
    open: () => count - closed.size,
    [Symbol.dispose]: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

test('the server answers a probe while clients hold 64 connections without a request, and closes the others', async () => {
  const health = await start();
  using held = await hold(health.port, 200, 'GET /livez HTTP/1.1\r\n');
  expect(await answer(health.port, '/livez')).toEqual([200, 'alive']);
  expect(await eventually(() => held.open() <= 64)).toBe(true);
  // The headers are late: no connection stays.
  expect(await eventually(() => held.open() === 0)).toBe(true);
  await health.stop();
});

test('the server closes connections beyond 128 while requests wait for their response', async () => {
  const waiting = Promise.withResolvers<Readiness>();
  const health = await start(() => waiting.promise);
  using held = await hold(health.port, 150, 'GET /readyz HTTP/1.1\r\nHost: probe\r\n\r\n');
  expect(await eventually(() => held.open() === 128)).toBe(true);
  waiting.resolve({ isReady: true, reasons: [], shutGates: 0 });
  await health.stop();
});

test('the server can be stopped twice, with connections open, and frees its port', async () => {
  const health = await start();
  const socket = connect(health.port, '127.0.0.1');
  await new Promise((resolve) => socket.once('connect', resolve));
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => {});
  await Promise.all([health.stop(), health.stop()]);
  await health.stop();
  await closed;
  const next = createServer().listen(health.port, '127.0.0.1');
  await new Promise((resolve) => next.once('listening', resolve));
  expect((next.address() as AddressInfo).port).toBe(health.port);
  await new Promise((resolve) => next.close(resolve));
});

test('a pause makes a worker unready as long as it lasts, and shut gates are reported without that', async () => {
  using redis = openRedis();
  let pausedBy: 'PLATFORM_STORE' | undefined;
  let shutGates = 0;
  const readiness = createReadiness(
    redis,
    () => pausedBy,
    () => shutGates,
  );
  const health = await start(readiness.check);
  expect(await answer(health.port, '/readyz')).toEqual([200, 'ready']);
  shutGates = 2;
  expect(await answer(health.port, '/readyz')).toEqual([200, 'ready (gates shut: 2)']);
  pausedBy = 'PLATFORM_STORE';
  expect(await answer(health.port, '/readyz')).toEqual([503, 'not ready: PLATFORM_STORE (gates shut: 2)']);
  pausedBy = undefined;
  expect(await readiness.check()).toMatchObject({ isReady: true, reasons: [] });
  readiness.stopping();
  expect(await readiness.check()).toMatchObject({ isReady: false, reasons: ['stopping'] });
  await health.stop();
});

test('a Redis without a response makes a worker unready, with one ping for any number of requests', async () => {
  const server = await startRedis();
  using redis = openRedis(server.url);
  using other = openRedis(server.url);
  await other.ping();
  const readiness = createReadiness(
    redis,
    () => undefined,
    () => 0,
  );
  expect((await readiness.check()).isReady).toBe(true);
  process.kill(server.pid, 'SIGSTOP');
  const checks = await Promise.all(Array.from({ length: 50 }, () => readiness.check()));
  process.kill(server.pid, 'SIGCONT');
  expect(new Set(checks.map(({ reasons }) => reasons.join(', ')))).toEqual(new Set(['REDIS_FAILED']));
  expect(await eventually(async () => (await readiness.check()).isReady)).toBe(true);
  expect(/cmdstat_ping:calls=(\d+)/.exec(await other.info('commandstats'))?.[1]).toMatch(/^\d$/);
  await server.stop();
});

test('/metrics of a worker contains every metric of the list and no tenant, document or key', async () => {
  await using installation = await openInstallation();
  const arn = await installation.tenant('acme-tenant');
  await using worker = await startWorker(installation.settings, { host: '127.0.0.1' });
  const document = documentOf('secret document', 'Text.');
  const { jobId } = await installation.producer.enqueueIndex({
    tenant: 'acme-tenant',
    corpus: 'secret-corpus',
    document,
  });
  expect(await installation.end(jobId)).toBe('done');
  const [status, text] = await answer(worker.port, '/metrics');
  expect(status).toBe(200);
  const missing = Object.keys(METRICS).filter((name) => !text.includes(`# TYPE ${name} `));
  expect(missing).toEqual([]);
  expect(text).toContain('sealdex_jobs_total{kind="index",outcome="done"} 1');
  expect(text).toContain('sealdex_kms_calls_total{operation="Decrypt",result="ok"} 1');
  expect(text).toContain('sealdex_ready 1');
  for (const phase of ['tenant', 'content', 'open', 'parse', 'record', 'encrypt', 'store']) {
    expect(text).toContain(`sealdex_job_phase_seconds_count{kind="index",phase="${phase}"} 1`);
  }
  for (const secret of ['acme-tenant', 'secret-corpus', 'secret document', arn, jobId])
    expect(text).not.toContain(secret);
});

test('a paused worker is not ready, reports that in its metrics, and returns its job without an attempt', async () => {
  await using installation = await openInstallation();
  const platformKey = String(installation.settings.SEALDEX_PLATFORM_KEY_ARN);
  await installation.operator.putTenant('acme', { plan: 'free' });
  const { jobId } = await installation.producer.enqueueIndex({
    tenant: 'acme',
    corpus: 'docs',
    document: documentOf('one', 'Text.'),
  });
  installation.services.kms.disable(platformKey);
  await using worker = await startWorker(installation.settings, { host: '127.0.0.1' });
  await eventually(async () => (await answer(worker.port, '/readyz'))[0] === 503);
  expect(await answer(worker.port, '/readyz')).toEqual([503, 'not ready: PLATFORM_KEY']);
  expect(await answer(worker.port, '/livez')).toEqual([200, 'alive']);
  expect((await answer(worker.port, '/metrics'))[1]).toContain('sealdex_ready 0');
  // The process may report it before the job is handed back.
  await eventually(async () => (await installation.producer.status(jobId)).state === 'retrying');
  expect(await installation.producer.status(jobId)).toMatchObject({ state: 'retrying', code: 'PLATFORM_KEY' });
  const job = await installation.queue.getJob(jobId);
  expect(job?.attemptsMade).toBe(0);
  installation.services.kms.enable(platformKey);
  await job?.promote();
  expect(await installation.end(jobId)).toBe('done');
});
